//! Starting over: a call whose step answers `reset`, and failed jobs that a person resets.

use bue_model::wire::Changed;
use bue_model::{JobId, NodeId, RunState};

use super::change_set::{ChangeResult, ChangeSet, MissingRows};
use super::rows::JobRow;
use crate::error::HubError;
use crate::jobs::columns::{row_id, signed};
use crate::jobs::delay::pending_ms;
use crate::jobs::initial_state::{InitialState, ParentState};
use crate::jobs::instance::{Instance, Location, Run, instance_of, location_in, node_of};
use crate::jobs::outcome_rules::{keyed_rate_settings, step_settings, too_many_resets};
use crate::jobs::state::State;
use crate::store::MAX_RESETS;

impl ChangeSet<'_> {
    /// Starts a call over with its first job and that one's first inputs. The jobs of a call are a chain in which each waits
    /// for the one before it alone, and only the last one is used by others. That one has not completed, because the job that
    /// asks for the reset comes before it or is it. So nothing outside the call has seen what is undone here.
    pub(super) fn reset_call(&mut self, run: &Run, mut row: JobRow, delay_ms: Option<u64>) -> ChangeResult<()> {
        let (step, settings) = step_settings(run, row.location.node).ok_or_else(|| row.without_step())?;
        let call = run.graph.job(row.location.node).ok_or_else(|| row.without_step())?.call;
        let instance = instance_of(run, row.location)?;
        let chain = run.graph.chain(call);
        let first = location_in(run, instance, *chain.first().ok_or_else(|| row.without_step())?)?;
        let resets = if first == row.location { row.resets } else { self.resets_of(first)? };
        if resets >= MAX_RESETS {
            return self.fail(run, row, &too_many_resets().into());
        }
        self.counts.step(run.key, step).resets += 1;
        let at = self.now.saturating_add(signed(pending_ms(delay_ms, settings.every_ms, resets)));
        for node in chain.iter().take_while(|node| **node != row.location.node) {
            self.restore(run, location_in(run, instance, *node)?)?;
        }
        row.after_reset();
        row.return_home(run);
        if first == row.location {
            row.resets = resets + 1;
            return self.requeue(run, row, at);
        }
        self.block_again(run, row)?;
        let mut first = self.job(first.id)?.ok_or_else(|| HubError::damaged("a call without its first job"))?;
        first.resets = resets + 1;
        first.waiting_for = 0;
        self.requeue(run, first, at)
    }

    fn resets_of(&mut self, first: Location) -> ChangeResult<u32> {
        Ok(self.done_row(first.id)?.map_or(0, |row| row.resets))
    }

    /// The job waits for the one before it again.
    fn block_again(&mut self, run: &Run, mut row: JobRow) -> ChangeResult<()> {
        let node = row.location.node;
        self.end_attempt(&mut row)?;
        self.count_transition(run, node, row.state, State::Blocked);
        row.block_again(step_settings(run, node).map_or(0, |(_, settings)| settings.priority));
        row.return_home(run);
        if keyed_rate_settings(run, node).is_some() {
            // its next input may have another key
            row.rate = 0;
        }
        self.put(row);
        Ok(())
    }

    /// Moves a completed job of the call from `done` back to `job`, blocked, with its token, which must go on growing.
    fn restore(&mut self, run: &Run, location: Location) -> ChangeResult<()> {
        let done = self.done_row(location.id)?.filter(|row| row.state == State::Completed);
        let done = done.ok_or_else(|| HubError::damaged("a call with a gap"))?;
        let earlier = done.all_attempts(self.now)?;
        self.done.insert(location.id, None);
        let (parents, inherited) = (self.parent_states(run, location)?, self.inherited_by(run, location)?);
        // the first job's parents are completed; the others' only parent is the job that was restored before them
        let waiting_for = i64::from(!parents.iter().all(|(_, state)| matches!(state, ParentState::Completed(_))));
        self.insert_row(run, location, State::Blocked, &InitialState::Blocked { waiting_for }, inherited)?;
        self.count_transition(run, location.node, State::Completed, State::Blocked);
        self.count_not_reused(run, location.node, done.token);
        if let Some(Some(row)) = self.jobs.get_mut(&location.id) {
            (row.token, row.reported, row.resets, row.worker) = (done.token, done.token, done.resets, done.worker);
            row.expires_at = None;
            row.earlier = earlier;
        }
        Ok(())
    }

    /// Returns the parents of a row and their states.
    pub(super) fn parent_states(&mut self, run: &Run, location: Location) -> ChangeResult<Vec<(NodeId, ParentState)>> {
        let instance = instance_of(run, location)?;
        let mut parents = Vec::new();
        for parent in &node_of(run, location.node)?.parents {
            let enclosing = self.enclosing(run, instance, node_of(run, *parent)?.block)?;
            parents.push((*parent, self.parent_state(location_in(run, enclosing, *parent)?.id)?));
        }
        Ok(parents)
    }

    /// Requeues a failed job with fresh attempts, or brings back a cancelled one.
    pub(crate) fn reset_job(&mut self, job: JobId) -> ChangeResult<Changed> {
        let (run, state) = self.job_state(job)?;
        match state {
            State::Cancelled => self.reset_cancelled_job(&run, job),
            State::Failed => self.reset_failed_job(&run, job),
            state => Err(HubError::JobNotFailed { job, state: state.as_job_state() }.into()),
        }
    }

    fn reset_failed_job(&mut self, run: &Run, job: JobId) -> ChangeResult<Changed> {
        let row = self.job(row_id(job))?.ok_or_else(|| HubError::damaged("a failed job without a row"))?;
        let is_inside = run.graph.is_in_finally(node_of(run, row.location.node)?.block);
        if self.is_cancelled(run)? && !is_inside {
            // what depends on it was cancelled with the run
            return Err(HubError::RunCancelled(run.id).into());
        }
        self.expect_open_around(run, row.location, job)?;
        self.requeue_failed(run, row_id(job))?;
        Ok(Changed { jobs: 1 })
    }

    /// Requeues these failed jobs of a run with fresh attempts.
    pub(super) fn reset_failed(&mut self, key: i64, failed: &[i64]) -> ChangeResult<Changed> {
        let run = self.run(key)?;
        let (mut missing, mut jobs) = (MissingRows::default(), 0);
        // those outside the `finally` block first, because their reset cancels the others
        for is_inside in [false, true] {
            for id in failed {
                let is_next = self.is_failed(&run, *id, is_inside);
                if missing.allow(is_next)?.unwrap_or_default() {
                    let result = self.requeue_failed(&run, *id);
                    missing.allow(result)?;
                    jobs += 1;
                }
            }
        }
        missing.check()?;
        Ok(Changed { jobs })
    }

    /// Returns whether a job is failed, and inside or outside the `finally` block. The reset of another one may have cancelled it, and a
    /// loop that was cancelled with the run does not go on if only some of its jobs were reset.
    pub(super) fn is_failed(&mut self, run: &Run, id: i64, is_inside: bool) -> ChangeResult<bool> {
        let Some(row) = self.job(id)?.filter(|row| row.state == State::Failed) else { return Ok(false) };
        let is_here = run.graph.is_in_finally(node_of(run, row.location.node)?.block) == is_inside;
        Ok(is_here && self.is_open_around(run, row.location)?)
    }

    fn is_cancelled(&self, run: &Run) -> Result<bool, HubError> {
        Ok([Some(self.run_state(run.key)?), self.ending(run.key)].contains(&Some(RunState::Cancelled)))
    }

    fn requeue_failed(&mut self, run: &Run, id: i64) -> ChangeResult<()> {
        let mut row = self.job(id)?.ok_or_else(|| HubError::damaged("a failed job without a row"))?;
        let location = row.location;
        self.reopen_ending(run, location)?;
        self.reopen(run, instance_of(run, location)?)?;
        self.failed.insert((run.key, id), None);
        self.mark_reset(run);
        row.after_reset();
        row.return_home(run);
        row.expires_at = self.expiry(run, location.node)?;
        self.requeue(run, row, self.now)?;
        self.withdraw_handler(run, location)?;
        self.recheck_dependants(run, location)
    }

    /// Something in this instance is about to be open. If nothing was, the round is not settled any more, and neither is what
    /// is around it.
    pub(super) fn reopen(&mut self, run: &Run, instance: Instance) -> ChangeResult<()> {
        // a row that is about to be open failed, or is stuck
        self.reopen_settled(run, instance, 1)
    }

    /// The same for an instance that counts as so many failed ones: 0 or 1.
    pub(super) fn reopen_settled(&mut self, run: &Run, instance: Instance, failed: i64) -> ChangeResult<()> {
        // one in which a row closed in this very change set has not been settled since
        if self.to_settle.contains(&instance) || self.is_open(instance)? {
            return Ok(());
        }
        if instance.fanout == 0 {
            if self.run_state(run.key)? != RunState::Running {
                self.run_states.insert(run.key, (RunState::Running, None));
            }
            return Ok(());
        }
        let mut fan_out = self.require_fan_out(instance.fanout)?;
        fan_out.settled -= 1;
        fan_out.failed -= failed;
        self.fan_outs.insert(fan_out.id, fan_out);
        let location = fan_out.location();
        if self.job(location.id)?.is_some_and(|row| row.state == State::Stuck) {
            self.reopen(run, instance_of(run, location)?)?;
            if let Some(row) = self.job(location.id)? {
                self.put(row.unblocked(State::Expanding));
            }
            self.recheck_dependants(run, location)?;
        }
        Ok(())
    }

    /// Checks what was stuck behind this row again: it may wait, or be stuck behind another job, or turn out to be cancelled.
    /// Terminates because a row is checked only when one before it changed.
    fn recheck_dependants(&mut self, run: &Run, start: Location) -> ChangeResult<()> {
        let (mut walk, mut missing) = (vec![start], MissingRows::default());
        while let Some(location) = walk.pop() {
            let dependants = self.dependants(run, location);
            for child in missing.allow(dependants)?.unwrap_or_default() {
                let is_changed = self.recheck(run, child);
                walk.extend(missing.allow(is_changed)?.unwrap_or_default().then_some(child));
            }
        }
        missing.check()
    }

    /// Returns whether a stuck row changed, so that those behind it must be checked too.
    fn recheck(&mut self, run: &Run, location: Location) -> ChangeResult<bool> {
        let Some(mut row) = self.job(location.id)?.filter(|row| row.state == State::Stuck) else { return Ok(false) };
        let parents = self.parent_states(run, location)?;
        match InitialState::from_parents(parents.iter().map(|(_, state)| state)) {
            InitialState::Stuck { failed_job, .. } if row.blocked_by == Some(failed_job) => Ok(false),
            InitialState::Stuck { failed_job, .. } => {
                self.put(row.blocked_by_failure(failed_job));
                Ok(true)
            }
            // and with it everything behind it
            InitialState::Cancelled => self.cancel_rows(run, vec![location]).map(|_| false),
            InitialState::Blocked { .. } | InitialState::Ready => {
                self.reopen(run, instance_of(run, location)?)?;
                // one that has started before does not expire
                row.expires_at = row.expires_at.and(self.expiry(run, location.node)?);
                // a loop that streamed goes on where it was
                let has_started = run.graph.fan_out(location.node).is_some() && self.fan_out(location.id)?.is_some();
                self.put(row.unblocked(if has_started { State::Expanding } else { State::Blocked }));
                Ok(true)
            }
        }
    }
}
