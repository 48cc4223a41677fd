//! Starting again: a call whose step asks for it, and failed jobs that a person puts back.

use bue_model::wire::Changed;
use bue_model::{JobId, NodeId, RunState};

use super::complete::no_step;
use super::{Draft, Halt, JobRow, Step};
use crate::error::HubError;
use crate::jobs::columns::{row_id, signed};
use crate::jobs::delay::pending_ms;
use crate::jobs::initial_state::{Fate, Inherited, Standing, fate};
use crate::jobs::instance::{Instance, Run, Slot, instance_of, node_of, slot_in};
use crate::jobs::outcome_rules::{rate_by, settings, too_many_resets};
use crate::jobs::state::State;
use crate::store::MAX_RESETS;

impl Draft<'_> {
    /// The call begins again with its first job and that one's first inputs. The jobs of a call are a chain in which each
    /// waits for the one before it alone, and only the last one is used by others; it has not completed, because the job
    /// that asks stands before it or is it. So nothing outside the call has seen what is undone here.
    pub(super) fn reset_call(&mut self, run: &Run, mut row: JobRow, delay_ms: Option<u64>) -> Step<()> {
        let (step, settings) = settings(run, row.slot.node).ok_or_else(|| no_step(&row))?;
        let call = run.graph.job(row.slot.node).ok_or_else(|| no_step(&row))?.call;
        let instance = instance_of(run, row.slot)?;
        let chain = run.graph.chain(call);
        let first = slot_in(run, instance, *chain.first().ok_or_else(|| no_step(&row))?)?;
        let resets = if first == row.slot { row.resets } else { self.resets_of(first)? };
        if resets >= MAX_RESETS {
            return self.fail(run, row, &too_many_resets());
        }
        self.counts.step(run.key, step).resets += 1;
        let at = self.now.saturating_add(signed(pending_ms(delay_ms, settings.every_ms, resets)));
        for node in chain.iter().take_while(|node| **node != row.slot.node) {
            self.revive(run, slot_in(run, instance, *node)?)?;
        }
        row.forget_attempts();
        if first == row.slot {
            row.resets = resets + 1;
            self.put_back(run, row, at);
            return Ok(());
        }
        self.block_again(run, row);
        let mut first = self.job(first.id)?.ok_or_else(|| HubError::damaged("a call without its first job"))?;
        first.resets = resets + 1;
        first.waiting_for = 0;
        self.put_back(run, first, at);
        Ok(())
    }

    fn resets_of(&mut self, first: Slot) -> Step<u32> {
        Ok(self.done_row(first.id)?.map_or(0, |row| row.resets))
    }

    /// Back to waiting for the job before it, with nothing inherited from its earlier result.
    fn block_again(&mut self, run: &Run, mut row: JobRow) {
        row.priority = settings(run, row.slot.node).map_or(0, |(_, settings)| settings.priority);
        (row.hinted, row.env, row.env_from) = (None, None, None);
        self.moved(run, row.slot.node, row.state, State::Blocked);
        row.state = State::Blocked;
        row.waiting_for = 1;
        if rate_by(run, row.slot.node).is_some() {
            // its next input may count as something else
            row.rate = 0;
        }
        row.lease_end = None;
        self.put(row);
    }

    /// Takes a completed job of the call from `done` back to `job`, blocked, with its token, which must go on growing.
    fn revive(&mut self, run: &Run, slot: Slot) -> Step<()> {
        let gone = self.done_row(slot.id)?.filter(|row| row.state == State::Completed);
        let gone = gone.ok_or_else(|| HubError::damaged("a call with a hole"))?;
        self.done.insert(slot.id, None);
        let parents = self.parents(run, slot)?;
        let mut inherited = Inherited::default();
        for (parent, standing) in &parents {
            if let Standing::Completed(hint) = standing {
                inherited.take(*parent, hint);
            }
        }
        // the first job's parents are completed, the others' only parent is the job revived before them
        let waiting_for = i64::from(!parents.iter().all(|(_, standing)| matches!(standing, Standing::Completed(_))));
        self.insert(run, slot, State::Blocked, &Fate::Blocked(waiting_for), inherited);
        self.moved(run, slot.node, State::Completed, State::Blocked);
        if let Some(Some(row)) = self.jobs.get_mut(&slot.id) {
            (row.token, row.reported, row.resets, row.worker) = (gone.token, gone.token, gone.resets, gone.worker);
        }
        Ok(())
    }

    /// How the parents of a row stand.
    fn parents(&mut self, run: &Run, slot: Slot) -> Step<Vec<(NodeId, Standing)>> {
        let instance = instance_of(run, slot)?;
        let mut parents = Vec::new();
        for parent in &node_of(run, slot.node)?.parents {
            let around = self.climb(run, instance, node_of(run, *parent)?.block)?;
            parents.push((*parent, self.standing(slot_in(run, around, *parent)?.id)?));
        }
        Ok(parents)
    }

    /// Puts a failed job back.
    pub(crate) fn reset_job(&mut self, job: JobId) -> Step<Changed> {
        let (run, state) = self.state_of(job)?;
        self.expect_not_cancelled(&run)?;
        if state != State::Failed {
            return Err(HubError::JobNotFailed { job, state: state.shown() }.into());
        }
        self.put_back_failed(&run, row_id(job))?;
        Ok(Changed { jobs: 1 })
    }

    /// Puts these failed jobs of a run back. Goes on with the others where one needs something read, so that all is read at
    /// once.
    pub(crate) fn reset_failed(&mut self, key: i64, failed: &[i64]) -> Step<Changed> {
        let run = self.run(key)?;
        self.expect_not_cancelled(&run)?;
        let mut missing = false;
        for id in failed {
            match self.put_back_failed(&run, *id) {
                Err(Halt::Need) => missing = true,
                done => done?,
            }
        }
        if missing { Err(Halt::Need) } else { Ok(Changed { jobs: failed.len() as u64 }) }
    }

    fn expect_not_cancelled(&self, run: &Run) -> Result<(), HubError> {
        match self.run_state(run.key)? {
            RunState::Cancelled => Err(HubError::RunCancelled(run.id)),
            _ => Ok(()),
        }
    }

    fn put_back_failed(&mut self, run: &Run, id: i64) -> Step<()> {
        let row = self.job(id)?.ok_or_else(|| HubError::damaged("a failed job without a row"))?;
        self.reopen(run, instance_of(run, row.slot)?)?;
        self.failed.insert((run.key, id), false);
        let (slot, now) = (row.slot, self.now);
        let mut row = row;
        row.forget_attempts();
        self.put_back(run, row, now);
        self.free(run, slot)
    }

    /// Something in this instance is about to be open. If nothing was, the round is not settled any more, nor is what stands
    /// around it.
    pub(super) fn reopen(&mut self, run: &Run, instance: Instance) -> Step<()> {
        // one that closed in this very draft has not been settled since
        if self.closings.contains(&instance) || self.is_open(instance)? {
            return Ok(());
        }
        if instance.fanout == 0 {
            if self.run_state(run.key)? == RunState::Failed {
                self.run_states.insert(run.key, (RunState::Running, None));
            }
            return Ok(());
        }
        let mut fan_out = self.presume_fan_out(instance.fanout)?;
        fan_out.settled -= 1;
        fan_out.failed -= 1;
        self.fan_outs.insert(fan_out.id, fan_out);
        let slot = fan_out.slot();
        if self.job(slot.id)?.is_some_and(|row| row.state == State::Stuck) {
            self.reopen(run, instance_of(run, slot)?)?;
            if let Some(row) = self.job(slot.id)? {
                self.put(JobRow { state: State::Expanding, blocked_by: None, ..row });
            }
            self.free(run, slot)?;
        }
        Ok(())
    }

    /// What was stuck behind this row looks again at how its parents stand: it may wait again, or be stuck behind another
    /// one, or turn out to be called off. Ends because a row is looked at again only when one before it changed. There may be
    /// one in each of many rounds: goes on with the others where one needs something read.
    fn free(&mut self, run: &Run, slot: Slot) -> Step<()> {
        let (mut walk, mut missing) = (vec![slot], false);
        while let Some(slot) = walk.pop() {
            for child in self.dependants_as_known(run, slot, &mut missing)? {
                match self.look_again(run, child) {
                    Err(Halt::Need) => missing = true,
                    changed => walk.extend(changed?.then_some(child)),
                }
            }
        }
        if missing { Err(Halt::Need) } else { Ok(()) }
    }

    /// Whether a stuck row changed, so that those behind it must look again.
    fn look_again(&mut self, run: &Run, slot: Slot) -> Step<bool> {
        let Some(row) = self.job(slot.id)?.filter(|row| row.state == State::Stuck) else { return Ok(false) };
        let parents = self.parents(run, slot)?;
        match fate(parents.iter().map(|(_, standing)| standing)) {
            Fate::Stuck(_, by) if row.blocked_by == Some(by) => Ok(false),
            Fate::Stuck(_, by) => {
                self.put(JobRow { blocked_by: Some(by), ..row });
                Ok(true)
            }
            // and so is all that is behind it
            Fate::Cancelled => self.call_off(run, vec![slot]).map(|_| false),
            Fate::Blocked(_) | Fate::Free => {
                self.wait_again(run, row)?;
                Ok(true)
            }
        }
    }

    fn wait_again(&mut self, run: &Run, row: JobRow) -> Step<()> {
        self.reopen(run, instance_of(run, row.slot)?)?;
        self.put(JobRow { state: State::Blocked, blocked_by: None, ..row });
        Ok(())
    }
}
