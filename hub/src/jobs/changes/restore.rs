//! Resets of what was cancelled.
//!
//! A reset of a cancelled run undoes the cancellation: it brings back the rows that were cancelled with the run, and no others. Their
//! states follow from those of their parents, as when they were instantiated; rows come in the order of their ids, parents first. A
//! reset of a cancelled job brings back its call and what depends on it, as far as nothing has used that there was no result.

use bue_model::wire::Changed;
use bue_model::{JobId, RunState};

use super::cancel::jobs_in_round;
use super::change_set::{ChangeResult, ChangeSet, MissingRows};
use crate::error::HubError;
use crate::jobs::columns::{job_id, row_id, unsigned};
use crate::jobs::graph::NodeKind;
use crate::jobs::initial_state::{InheritedHint, InitialState, ParentState};
use crate::jobs::instance::{FanOut, Location, Run, instance_of, location_in, node_of};
use crate::jobs::state::State;

impl ChangeSet<'_> {
    /// Requeues the failed jobs of a run with fresh attempts. If the run was cancelled, also brings back what was cancelled with it.
    pub(crate) fn reset_run(&mut self, key: i64, failed: &[i64], cancelled: &[i64]) -> ChangeResult<Changed> {
        match (self.run_state(key)?, self.ending(key)) {
            (RunState::Cancelled, _) => self.reset_cancelled_run(key, failed, cancelled),
            (RunState::Running, Some(RunState::Cancelled)) => Err(HubError::RunEnding(self.run(key)?.id).into()),
            _ => self.reset_failed(key, failed),
        }
    }

    /// If nothing was cancelled but a part of the `finally` block, that block goes on; otherwise the run ends once more later, and the
    /// block begins then.
    fn reset_cancelled_run(&mut self, key: i64, failed: &[i64], cancelled: &[i64]) -> ChangeResult<Changed> {
        let run = self.run(key)?;
        let (mut inside, mut outside) = (Vec::new(), Vec::new());
        for location in self.cancelled_locations(cancelled)? {
            let node = node_of(&run, location.node)?;
            let is_inside = run.graph.is_in_finally(node.block) || run.graph.finally == Some(location.node);
            if is_inside { inside.push(location) } else { outside.push(location) }
        }
        let (mut has_failed_outside, mut missing) = (false, MissingRows::default());
        for id in failed {
            let is_failed = self.is_failed(&run, *id, false);
            has_failed_outside |= missing.allow(is_failed)?.unwrap_or_default();
        }
        if let Some(first) = outside.first() {
            self.reopen_ending(&run, *first)?;
        }
        let restored = if outside.is_empty() && !has_failed_outside { inside } else { outside };
        self.restart_run(&run);
        let mut jobs = 0;
        for location in restored {
            let restored = self.restore_cancelled(&run, location);
            jobs += missing.allow(restored)?.unwrap_or_default();
        }
        missing.check()?;
        let Changed { jobs: reset } = self.reset_failed(key, failed)?;
        Ok(Changed { jobs: jobs + reset })
    }

    /// A run that has ended goes on.
    fn restart_run(&mut self, run: &Run) {
        self.mark_reset(run);
        self.run_states.insert(run.key, (RunState::Running, None));
        self.mark_run_changed(run.key);
    }

    /// Returns where these rows are that were cancelled, in order.
    fn cancelled_locations(&mut self, ids: &[i64]) -> ChangeResult<Vec<Location>> {
        let (mut locations, mut missing) = (Vec::with_capacity(ids.len()), MissingRows::default());
        for id in ids {
            let row = self.done_row(*id);
            let Some(Some(row)) = missing.allow(row)? else { continue };
            if row.state == State::Cancelled {
                locations.push(row.location);
            }
        }
        missing.check()?;
        locations.sort_by_key(|location| location.id);
        Ok(locations)
    }

    /// Moves a cancelled row from `done` back to `job`, in the state that follows from its parents. Returns the number of jobs, with
    /// those of rounds that were never instantiated. Handlers do not count: the reset of their jobs withdraws them again.
    fn restore_cancelled(&mut self, run: &Run, location: Location) -> ChangeResult<u64> {
        let fan_out = match node_of(run, location.node)?.kind {
            NodeKind::Loop(_) => self.fan_out(location.id)?,
            NodeKind::Job(_) => None,
        };
        let (state, initial) = match fan_out {
            Some(fan_out) => self.state_of_restored(run, &fan_out)?,
            None => {
                let parents = self.parent_states(run, location)?;
                let initial = InitialState::from_parents(parents.iter().map(|(_, state)| state));
                let state = match initial {
                    InitialState::Ready => State::Ready,
                    InitialState::Blocked { .. } => State::Blocked,
                    InitialState::Stuck { .. } => State::Stuck,
                    InitialState::Cancelled => return Ok(0),
                };
                (state, initial)
            }
        };
        self.insert_restored(run, location, state, &initial)?;
        let jobs = u64::from(run.graph.job(location.node).is_some_and(|job| job.handles.is_none()));
        Ok(jobs + fan_out.map_or(Ok(0), |fan_out| self.restore_unexpanded(run, &fan_out))?)
    }

    /// Returns the state of a fan-out that had started when it was cancelled. If all its rounds had settled, some had failed.
    fn state_of_restored(&mut self, run: &Run, fan_out: &FanOut) -> ChangeResult<(State, InitialState)> {
        if fan_out.streams {
            let parents = self.parent_states(run, fan_out.location())?;
            let initial = InitialState::from_parents(parents.iter().map(|(_, state)| state));
            let is_stuck = matches!(initial, InitialState::Stuck { .. }) && fan_out.settled == fan_out.count;
            return Ok(match is_stuck {
                true => (State::Stuck, initial),
                // its source completes later
                false => (State::Expanding, InitialState::Blocked { waiting_for: 1 }),
            });
        }
        if fan_out.settled < fan_out.count {
            return Ok((State::Expanding, InitialState::Ready));
        }
        let failed_job = match self.failed_inside(run, fan_out)? {
            Some(failed_job) => Some(failed_job),
            None => self.failed_outside(run, fan_out)?,
        };
        let failed_job = failed_job.ok_or_else(|| HubError::damaged("a failed round without a failed job"))?;
        Ok((State::Stuck, InitialState::Stuck { waiting_for: 0, failed_job }))
    }

    /// Returns a failed job in the rounds of a loop, or of the loops in it, which are restored after it.
    fn failed_inside(&mut self, run: &Run, fan_out: &FanOut) -> ChangeResult<Option<i64>> {
        let mut loops = vec![*fan_out];
        while let Some(fan_out) = loops.pop() {
            if let Some(failed_job) = self.first_failed(fan_out.expanded_ids())? {
                return Ok(Some(failed_job));
            }
            loops.extend(self.loops_in_rounds(run, &fan_out)?);
        }
        Ok(None)
    }

    /// Returns the loops that have started in the rounds of a loop.
    fn loops_in_rounds(&mut self, run: &Run, fan_out: &FanOut) -> ChangeResult<Vec<FanOut>> {
        let body = fan_out.body(run)?;
        let nodes = run.graph.blocks.get(body).map_or(&[][..], |block| &block.nodes);
        let inner: Vec<_> = nodes.iter().filter(|node| run.graph.fan_out(**node).is_some()).collect();
        let (mut loops, mut missing) = (Vec::new(), MissingRows::default());
        for round in 0..fan_out.expanded {
            for node in &inner {
                let started = self.fan_out(location_in(run, fan_out.round(round, body), **node)?.id);
                loops.extend(missing.allow(started)?.flatten());
            }
        }
        missing.check()?;
        Ok(loops)
    }

    /// Returns a failed job outside of a loop that something in its rounds waits for. The rounds were stuck behind it, and are restored
    /// after the loop.
    fn failed_outside(&mut self, run: &Run, fan_out: &FanOut) -> ChangeResult<Option<i64>> {
        let instance = instance_of(run, fan_out.location())?;
        for parent in run.graph.used_outside(fan_out.node) {
            let enclosing = self.enclosing(run, instance, node_of(run, parent)?.block)?;
            if let ParentState::Failed(job) = self.parent_state(location_in(run, enclosing, parent)?.id)? {
                return Ok(Some(job));
            }
        }
        Ok(None)
    }

    /// Inserts a row as if it had never run, but with the token of the cancelled one, which must go on growing.
    fn insert_restored(
        &mut self,
        run: &Run,
        location: Location,
        state: State,
        initial: &InitialState,
    ) -> ChangeResult<()> {
        let Some(done) = self.done_row(location.id)? else { return Ok(()) };
        let inherited = self.inherited_by(run, location)?;
        let earlier = done.all_attempts(self.now)?;
        self.done.insert(location.id, None);
        self.insert_row(run, location, state, initial, inherited)?;
        if let Some(Some(row)) = self.jobs.get_mut(&location.id) {
            row.earlier = earlier;
            // its last lease ended without a report
            (row.token, row.resets, row.worker) = (done.token, done.resets, done.worker);
        }
        self.count_transition(run, location.node, State::Cancelled, state);
        self.pending_notifications.work |= state == State::Ready;
        Ok(())
    }

    /// Counts the jobs of rounds that were never instantiated, and so were counted as cancelled, as blocked, and has these rounds
    /// instantiated later. Returns their number.
    fn restore_unexpanded(&mut self, run: &Run, fan_out: &FanOut) -> Result<u64, HubError> {
        let rounds = fan_out.count - fan_out.expanded;
        let body = fan_out.body(run)?;
        self.count_rounds(run, body, State::Cancelled, -rounds);
        self.count_rounds(run, body, State::Blocked, rounds);
        if fan_out.can_grow() {
            self.pending_notifications.growing.insert(fan_out.id);
        }
        Ok(unsigned(rounds) * jobs_in_round(run, body))
    }

    /// Returns what a row inherits from the fan-out around it and from its parents that have completed.
    pub(super) fn inherited_by(&mut self, run: &Run, location: Location) -> ChangeResult<InheritedHint> {
        let mut inherited = match location.fanout {
            0 => InheritedHint::default(),
            id => {
                let fan_out = self.require_fan_out(id)?;
                self.hint_of_fan_out(fan_out.location())?
            }
        };
        for (parent, state) in self.parent_states(run, location)? {
            if let ParentState::Completed(hint) = state {
                inherited.inherit(parent, &hint);
            }
        }
        Ok(inherited)
    }

    /// Brings back a cancelled job, with the rest of its call, and with what depends on it. What is around it must not have ended: a
    /// list that was gathered without its result may have been used.
    pub(super) fn reset_cancelled_job(&mut self, run: &Run, job: JobId) -> ChangeResult<Changed> {
        let id = row_id(job);
        let row = self.done_row(id)?.ok_or_else(|| HubError::damaged("a cancelled job without a row"))?;
        if run.graph.job(row.location.node).is_some_and(|node| node.handles.is_some()) {
            return Err(HubError::JobNotFailed { job, state: row.state.as_job_state() }.into());
        }
        let start = self.first_cancelled_of_call(run, row.location)?;
        self.expect_open_around(run, start, job)?;
        for (parent, state) in self.parent_states(run, start)? {
            if matches!(state, ParentState::Cancelled | ParentState::Failed(_)) {
                let enclosing = self.enclosing(run, instance_of(run, start)?, node_of(run, parent)?.block)?;
                let parent = job_id(location_in(run, enclosing, parent)?.id);
                return Err(HubError::BehindEnded { job, parent }.into());
            }
        }
        self.reopen_ending(run, start)?;
        let instance = instance_of(run, start)?;
        let has_failed = instance.fanout != 0 && self.first_failed(self.ids(instance)?)?.is_some();
        self.reopen_settled(run, instance, i64::from(has_failed))?;
        self.mark_reset(run);
        self.restore_with_dependants(run, start)
    }

    /// Returns the job of a call with which its cancellation began.
    fn first_cancelled_of_call(&mut self, run: &Run, location: Location) -> ChangeResult<Location> {
        let instance = instance_of(run, location)?;
        let chain = run.graph.job(location.node).map_or(&[][..], |job| run.graph.chain(job.call));
        for node in chain {
            let location = location_in(run, instance, *node)?;
            if self.done_row(location.id)?.is_some_and(|row| row.state == State::Cancelled) {
                return Ok(location);
            }
        }
        Ok(location)
    }

    /// Checks that the loop around a job has not ended.
    pub(super) fn expect_open_around(&mut self, run: &Run, location: Location, job: JobId) -> ChangeResult<()> {
        match self.is_open_around(run, location)? {
            true => Ok(()),
            false => Err(HubError::LoopEnded { run: run.id, job }.into()),
        }
    }

    /// Returns whether the loop around a row has not ended. Of the `finally` block, only the last round can go on.
    pub(super) fn is_open_around(&mut self, run: &Run, location: Location) -> ChangeResult<bool> {
        if location.fanout == 0 {
            return Ok(true);
        }
        let (row, fan_out) = (self.job(location.fanout), self.require_fan_out(location.fanout));
        let (row, fan_out) = (row?, fan_out?);
        let is_last = fan_out.round_index(instance_of(run, location)?) + 1 == fan_out.count;
        let is_open = row.is_some_and(|row| matches!(row.state, State::Expanding | State::Stuck));
        Ok(is_open && (is_last || run.graph.finally != Some(fan_out.node)))
    }

    /// Restores a cancelled row, and those of its block that depend on it and have no other cancelled parent.
    fn restore_with_dependants(&mut self, run: &Run, start: Location) -> ChangeResult<Changed> {
        let mut jobs = self.restore_cancelled(run, start)?;
        let mut walk = vec![start];
        while let Some(location) = walk.pop() {
            for child in self.cancelled_dependants(run, location)? {
                let restored = self.restore_cancelled(run, child)?;
                jobs += restored;
                if self.job(child.id)?.is_some() {
                    walk.push(child);
                }
            }
        }
        Ok(Changed { jobs })
    }

    /// Returns the cancelled rows that depend on a row. They have to be of its block: what was cancelled in rounds cannot come back.
    fn cancelled_dependants(&mut self, run: &Run, location: Location) -> ChangeResult<Vec<Location>> {
        let (instance, mut cancelled) = (instance_of(run, location)?, Vec::new());
        for child in &node_of(run, location.node)?.children {
            let block = node_of(run, *child)?.block;
            if block == instance.block {
                let child = location_in(run, instance, *child)?;
                if self.done_row(child.id)?.is_some_and(|row| row.state == State::Cancelled) {
                    // the rounds of a loop that streamed were cancelled with it
                    if run.graph.fan_out(child.node).is_some() && self.fan_out(child.id)?.is_some() {
                        return Err(HubError::LoopEnded { run: run.id, job: job_id(location.id) }.into());
                    }
                    cancelled.push(child);
                }
                continue;
            }
            // the loop of this block that the child is in
            let outermost = run.graph.loops_around(block).into_iter().find_map(|owner| {
                let is_here = run.graph.node(owner).is_some_and(|node| node.block == instance.block);
                is_here.then(|| location_in(run, instance, owner))
            });
            if let Some(outermost) = outermost.transpose()?
                && self.fan_out(outermost.id)?.is_some()
            {
                return Err(HubError::LoopEnded { run: run.id, job: job_id(location.id) }.into());
            }
        }
        Ok(cancelled)
    }
}
