//! Starting again: a call whose step asks for it, and failed jobs that a person puts back.

use bue_model::wire::Changed;
use bue_model::{JobId, RunId, RunState};
use rusqlite::{OptionalExtension, params};

use super::complete::no_step;
use super::fate::{Fate, Inherited, Standing, fate};
use super::job_row::JobRow;
use super::ledger::{Instance, Ledger, Slot, instance_of, node_of, row_id, signed, slot_in};
use super::memory::Run;
use super::state::{State, run_state, run_state_code};
use crate::delay::pending_ms;
use crate::error::HubError;
use crate::outcome_rules::{rate_by, settings, too_many_resets};
use crate::store::MAX_RESETS;

impl Ledger<'_> {
    /// The call begins again with its first job and that one's first inputs. The jobs of a call are a chain in which each
    /// waits for the one before it alone, and only the last one is used by others; it has not completed, because the job
    /// that asks stands before it or is it. So nothing outside the call has seen what is undone here.
    pub(super) fn reset_call(&mut self, run: &Run, mut row: JobRow, delay_ms: Option<u64>) -> Result<(), HubError> {
        let Some((step, settings)) = settings(run, row.slot.node) else { return Err(no_step(&row)) };
        let call = run.graph.job(row.slot.node).ok_or_else(|| no_step(&row))?.call;
        let instance = instance_of(run, row.slot)?;
        let chain = run.graph.chain(call);
        let first = slot_in(run, instance, *chain.first().ok_or_else(|| no_step(&row))?)?;
        let resets = if first == row.slot { row.resets } else { self.resets_of(first)? };
        if resets >= MAX_RESETS {
            return self.give_up(run, &row, &too_many_resets());
        }
        self.counts.step(run.key, step).resets += 1;
        let at = self.now.saturating_add(signed(pending_ms(delay_ms, settings.every_ms, resets)));
        for node in chain.iter().take_while(|node| **node != row.slot.node) {
            self.revive(run, slot_in(run, instance, *node)?)?;
        }
        row.forget_attempts();
        if first == row.slot {
            row.resets = resets + 1;
            return self.put_back(run, row, at);
        }
        self.block_again(run, row)?;
        let mut first = self.job_row(first.id)?.ok_or_else(|| HubError::damaged("a call without its first job"))?;
        first.resets = resets + 1;
        first.waiting_for = 0;
        self.put_back(run, first, at)
    }

    fn resets_of(&self, first: Slot) -> Result<u32, HubError> {
        let mut select = self.db.prepare_cached("SELECT resets FROM done WHERE id = ?1")?;
        Ok(select.query_row([first.id], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// Back to waiting for the job before it, with nothing inherited from its earlier result.
    fn block_again(&mut self, run: &Run, mut row: JobRow) -> Result<(), HubError> {
        let priority = settings(run, row.slot.node).map_or(0, |(_, settings)| settings.priority);
        let mut update = self
            .db
            .prepare_cached("UPDATE job SET priority = ?2, hinted = NULL, env = NULL, env_from = NULL WHERE id = ?1")?;
        update.execute(params![row.slot.id, priority])?;
        self.moved(run, row.slot.node, row.state, State::Blocked);
        row.state = State::Blocked;
        row.waiting_for = 1;
        if rate_by(run, row.slot.node).is_some() {
            // its next input may count as something else
            row.rate = 0;
        }
        row.lease_end = None;
        self.save(&row)
    }

    /// Takes a completed job of the call from `done` back to `job`, blocked, with its token, which must go on growing.
    fn revive(&mut self, run: &Run, slot: Slot) -> Result<(), HubError> {
        let mut delete =
            self.db.prepare_cached("DELETE FROM done WHERE id = ?1 AND state = 7 RETURNING token, resets, worker")?;
        let gone = delete.query_row([slot.id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
        let (token, resets, worker): (i64, u32, Option<String>) =
            gone.ok_or_else(|| HubError::damaged("a call with a hole"))?;
        let parents = self.parents(run, slot)?;
        let mut inherited = Inherited::default();
        for (parent, standing) in &parents {
            if let Standing::Completed(hint) = standing {
                inherited.take(*parent, hint);
            }
        }
        // the first job's parents are completed, the others' only parent is the job revived before them
        let waiting_for = i64::from(!parents.iter().all(|(_, standing)| matches!(standing, Standing::Completed(_))));
        self.insert(run, slot, State::Blocked, &Fate::Blocked(waiting_for), inherited)?;
        self.moved(run, slot.node, State::Completed, State::Blocked);
        let mut update = self
            .db
            .prepare_cached("UPDATE job SET token = ?2, reported = ?2, resets = ?3, worker = ?4 WHERE id = ?1")?;
        update.execute(params![slot.id, token, resets, worker])?;
        Ok(())
    }

    /// How the parents of a row stand.
    fn parents(&self, run: &Run, slot: Slot) -> Result<Vec<(bue_model::NodeId, Standing)>, HubError> {
        let instance = instance_of(run, slot)?;
        let mut parents = Vec::new();
        for parent in &node_of(run, slot.node)?.parents {
            let around = self.climb(run, instance, node_of(run, *parent)?.block)?;
            parents.push((*parent, self.standing(slot_in(run, around, *parent)?.id)?));
        }
        Ok(parents)
    }

    /// Puts a failed job back.
    pub(super) fn reset_job(&mut self, job: JobId) -> Result<Changed, HubError> {
        let (key, state) = self.state_of(job)?;
        let run = self.run(key)?;
        if run_state_of(self, key)? == RunState::Cancelled {
            return Err(HubError::RunCancelled(run.id));
        }
        if state != State::Failed {
            return Err(HubError::NotFailed { job, state: state.shown() });
        }
        self.put_back_failed(&run, row_id(job))?;
        Ok(Changed { jobs: 1 })
    }

    /// Puts all failed jobs of a run back.
    pub(super) fn reset_run(&mut self, id: RunId) -> Result<Changed, HubError> {
        let Some(key) = self.run_key(id)? else { return Err(HubError::RunNotFound(id)) };
        if run_state_of(self, key)? == RunState::Cancelled {
            return Err(HubError::RunCancelled(id));
        }
        let run = self.run(key)?;
        let mut select = self.db.prepare_cached("SELECT job FROM failed WHERE run = ?1")?;
        let failed: Vec<i64> = select.query_map([key], |row| row.get(0))?.collect::<Result<_, _>>()?;
        for id in &failed {
            self.put_back_failed(&run, *id)?;
        }
        Ok(Changed { jobs: failed.len() as u64 })
    }

    fn put_back_failed(&mut self, run: &Run, id: i64) -> Result<(), HubError> {
        let Some(mut row) = self.job_row(id)? else { return Err(HubError::damaged("a failed job without a row")) };
        self.reopen(run, instance_of(run, row.slot)?)?;
        self.db.prepare_cached("DELETE FROM failed WHERE run = ?1 AND job = ?2")?.execute(params![run.key, id])?;
        row.forget_attempts();
        let (slot, now) = (row.slot, self.now);
        self.put_back(run, row, now)?;
        self.free(run, slot)
    }

    /// Something in this instance is about to be open. If nothing was, the round is not settled any more, nor is what stands
    /// around it.
    fn reopen(&mut self, run: &Run, instance: Instance) -> Result<(), HubError> {
        if self.is_open(instance)? {
            return Ok(());
        }
        if instance.fanout == 0 {
            let mut update = self
                .db
                .prepare_cached("UPDATE run SET state = ?2, finished_at = NULL WHERE key = ?1 AND state = ?3")?;
            let (running, failed) = (run_state_code(RunState::Running), run_state_code(RunState::Failed));
            update.execute(params![run.key, running, failed])?;
            return Ok(());
        }
        let mut update =
            self.db.prepare_cached("UPDATE fanout SET settled = settled - 1, failed = failed - 1 WHERE id = ?1")?;
        update.execute([instance.fanout])?;
        let slot = self.presume_fan_out(instance.fanout)?.slot();
        let mut select = self.db.prepare_cached("SELECT 1 FROM job WHERE id = ?1 AND state = 6")?;
        if select.exists([slot.id])? {
            self.reopen(run, instance_of(run, slot)?)?;
            let mut update =
                self.db.prepare_cached("UPDATE job SET state = 4, blocked_by = NULL WHERE id = ?1 AND state = 6")?;
            update.execute([slot.id])?;
            self.free(run, slot)?;
        }
        Ok(())
    }

    /// What was stuck behind this row looks again at how its parents stand: it may wait again, or be stuck behind another
    /// one, or turn out to be called off. Ends because a row is looked at again only when one before it changed.
    fn free(&mut self, run: &Run, slot: Slot) -> Result<(), HubError> {
        let mut walk = vec![slot];
        while let Some(slot) = walk.pop() {
            for child in self.dependants(run, slot)? {
                if self.look_again(run, child)? {
                    walk.push(child);
                }
            }
        }
        Ok(())
    }

    /// Whether a stuck row changed.
    fn look_again(&mut self, run: &Run, slot: Slot) -> Result<bool, HubError> {
        let Some(row) = self.job_row(slot.id)?.filter(|row| row.state == State::Stuck) else { return Ok(false) };
        let parents = self.parents(run, slot)?;
        match fate(parents.iter().map(|(_, standing)| standing)) {
            Fate::Stuck(_, by) if row.blocked_by == Some(by) => Ok(false),
            Fate::Stuck(_, by) => {
                self.save(&JobRow { blocked_by: Some(by), ..row })?;
                Ok(true)
            }
            Fate::Cancelled => {
                self.wait_again(run, row)?;
                self.call_off(run, vec![slot])?;
                Ok(false)
            }
            Fate::Blocked(_) | Fate::Free => {
                self.wait_again(run, row)?;
                Ok(true)
            }
        }
    }

    fn wait_again(&mut self, run: &Run, row: JobRow) -> Result<(), HubError> {
        self.reopen(run, instance_of(run, row.slot)?)?;
        self.save(&JobRow { state: State::Blocked, blocked_by: None, ..row })
    }
}

/// Where a run stands.
pub(super) fn run_state_of(ledger: &Ledger<'_>, key: i64) -> Result<RunState, HubError> {
    let mut select = ledger.db.prepare_cached("SELECT state FROM run WHERE key = ?1")?;
    Ok(select.query_row([key], |row| run_state(row.get(0)?))?)
}
