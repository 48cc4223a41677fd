//! `finally`: what runs when a run ends.
//!
//! The block is a loop whose elements are the ends of the run: each end adds a round, whose element is the state in which the run
//! ends. The run has ended when that round has. `run.ending` is set meanwhile and afterwards, so the block begins once; a reset of
//! jobs outside the block clears it, so that the next end has a round, too.

use bue_model::{NodeId, RunState, Value};

use super::change_set::{ChangeError, ChangeResult, ChangeSet};
use super::handlers::one_map;
use super::rows::{ChunkRow, JobRow};
use crate::error::HubError;
use crate::jobs::graph::Block;
use crate::jobs::initial_state::{InheritedHint, InitialState};
use crate::jobs::instance::{FanOut, IdRange, Location, Run, WINDOW, location_in};
use crate::jobs::state::State;

/// Ends of a run for which ids are reserved. Each is after a reset by a person.
const MAX_ENDS: i64 = 10_000;

impl ChangeSet<'_> {
    /// Nothing of a run is open any more: its `finally` block begins, or the run ends.
    pub(super) fn end_run(&mut self, run: &Run, state: RunState) -> ChangeResult<()> {
        match run.graph.finally {
            Some(node) if self.ending(run.key).is_none() && self.run_state(run.key)? == RunState::Running => {
                self.start_finally(run, node, state)
            }
            _ => Ok(self.finish_run(run, state)?),
        }
    }

    /// Everything of a run was cancelled. Its `finally` block runs all the same, unless it was cancelled, too.
    pub(crate) fn end_cancelled(&mut self, run: &Run) -> ChangeResult<()> {
        self.mark_run_changed(run.key);
        // a second cancellation is that of the `finally` block
        if self.ending(run.key) != Some(RunState::Cancelled) {
            self.cancelled_runs.insert(run.key);
        }
        if run.graph.finally.is_some() && self.ending(run.key).is_none() {
            return self.end_run(run, RunState::Cancelled);
        }
        self.run_states.insert(run.key, (RunState::Cancelled, Some(self.now)));
        self.note_run_end(run, Some(RunState::Cancelled));
        Ok(())
    }

    /// Ends a run. One that was cancelled stays so.
    fn finish_run(&mut self, run: &Run, state: RunState) -> Result<(), HubError> {
        let key = run.key;
        let state = if self.ending(key) == Some(RunState::Cancelled) { RunState::Cancelled } else { state };
        if self.run_state(key)? == RunState::Running {
            self.run_states.insert(key, (state, Some(self.now)));
            self.note_run_end(run, Some(state));
        }
        self.mark_run_changed(key);
        Ok(())
    }

    /// Returns the state in which a run was when its `finally` block began.
    pub(super) fn ending(&self, key: i64) -> Option<RunState> {
        let changed = self.endings.get(&key).copied();
        changed.unwrap_or_else(|| self.snapshot.endings.get(&key).copied())
    }

    /// Adds a round to the `finally` block. Safe: `ending` is set by the same transaction, and read under the same lock.
    fn start_finally(&mut self, run: &Run, node: NodeId, state: RunState) -> ChangeResult<()> {
        let location = location_in(run, run.top_level(), node)?;
        let (failed, fan_out, earlier) =
            (self.count_failed(run.key), self.fan_out(location.id), self.done_row(location.id));
        let (failed, fan_out, earlier) = (failed?, fan_out?, earlier?);
        let mut fan_out = fan_out.map_or_else(|| self.new_finally(run, location), Ok)?;
        if earlier.is_some() {
            self.done.insert(location.id, None);
        }
        let (round, value) = (fan_out.count, end_value(run, state, failed)?);
        (fan_out.count, fan_out.expanded) = (round + 1, round + 1);
        self.chunks.push(ChunkRow { source: location.id, first: round, count: 1, value });
        self.fan_outs.insert(location.id, fan_out);
        self.endings.insert(run.key, Some(state));
        self.insert_row(run, location, State::Expanding, &InitialState::Ready, InheritedHint::default())?;
        self.mark_run_changed(run.key);
        self.instantiate_alone(run, fan_out.round(round, fan_out.body(run)?))
    }

    /// Returns the block before its first round.
    fn new_finally(&mut self, run: &Run, location: Location) -> ChangeResult<FanOut> {
        let node =
            run.graph.fan_out(location.node).ok_or_else(|| HubError::damaged("a job where `finally` should be"))?;
        let stride = run.graph.blocks.get(node.body).map_or(0, Block::stride);
        Ok(FanOut {
            id: location.id,
            run: run.key,
            node: location.node,
            outer: location.fanout,
            source: location.id,
            first: self.allocate_ids(stride.saturating_mul(MAX_ENDS))?,
            stride,
            count: 0,
            streams: false,
            max_live: WINDOW,
            expanded: 0,
            settled: 0,
            failed: 0,
        })
    }

    /// Returns the number of failed jobs of a run.
    fn count_failed(&mut self, key: i64) -> ChangeResult<i64> {
        let Some(stored) = self.snapshot.failed_counts.get(&key) else {
            self.required.failed_counts.insert(key);
            return Err(ChangeError::MissingRows);
        };
        let changes = self.failed.range((key, i64::MIN)..=(key, i64::MAX));
        Ok(stored + changes.map(|(_, entry)| if entry.is_some() { 1 } else { -1 }).sum::<i64>())
    }

    /// A failed job is about to be reset. Unless it is part of the `finally` block, the run ends once more, and with it begins the
    /// block: what failed of the earlier round is cancelled.
    pub(super) fn reopen_ending(&mut self, run: &Run, reset: Location) -> ChangeResult<()> {
        let Some(node) = run.graph.finally.filter(|_| self.ending(run.key).is_some()) else { return Ok(()) };
        if run.graph.node(reset.node).is_some_and(|node| run.graph.is_in_finally(node.block)) {
            return Ok(());
        }
        let location = location_in(run, run.top_level(), node)?;
        let (row, fan_out) = (self.job(location.id), self.require_fan_out(location.id));
        let (row, mut fan_out) = (row?, fan_out?);
        if row.as_ref().is_some_and(|row| row.state == State::Expanding) {
            return Err(HubError::RunEnding(run.id).into());
        }
        if fan_out.count >= MAX_ENDS {
            return Err(HubError::BadRequest(format!("the run has ended {MAX_ENDS} times; start another one")).into());
        }
        match row {
            Some(row) => self.cancel_ended(run, row)?,
            None if self.was_interrupted(location)? => self.cancel_failed_rounds(run, &fan_out)?,
            None => {}
        }
        // also the round of a block that was cancelled while it ran
        (fan_out.settled, fan_out.failed) = (fan_out.count, 0);
        self.fan_outs.insert(fan_out.id, fan_out);
        self.endings.insert(run.key, None);
        Ok(())
    }

    /// Cancels a loop in which nothing is open, with everything inside it that failed or is stuck.
    fn cancel_ended(&mut self, run: &Run, fan_out: JobRow) -> ChangeResult<()> {
        let mut rows = vec![fan_out];
        while let Some(row) = rows.pop() {
            if run.graph.fan_out(row.location.node).is_some()
                && let Some(fan_out) = self.fan_out(row.location.id)?
            {
                rows.extend(self.rows_in(fan_out.expanded_ids())?);
            }
            self.cancel_row(run, row);
        }
        Ok(())
    }

    /// Returns whether the `finally` block was cancelled while it ran.
    fn was_interrupted(&mut self, location: Location) -> ChangeResult<bool> {
        Ok(self.done_row(location.id)?.is_some_and(|row| row.state == State::Cancelled))
    }

    /// Cancels the failed jobs in a loop of which everything else that had not ended is cancelled.
    fn cancel_failed_rounds(&mut self, run: &Run, fan_out: &FanOut) -> ChangeResult<()> {
        let mut loops = vec![*fan_out];
        while let Some(fan_out) = loops.pop() {
            for row in self.rows_in(fan_out.expanded_ids())? {
                self.cancel_row(run, row);
            }
            let body = fan_out.body(run)?;
            let nodes = run.graph.blocks.get(body).map_or(&[][..], |block| &block.nodes);
            let inner: Vec<_> = nodes.iter().filter(|node| run.graph.fan_out(**node).is_some()).collect();
            for round in 0..fan_out.expanded {
                for node in &inner {
                    let id = location_in(run, fan_out.round(round, body), **node)?.id;
                    loops.extend(self.fan_out(id)?);
                }
            }
        }
        Ok(())
    }

    /// Returns the rows of `job` in a range.
    pub(super) fn rows_in(&mut self, range: IdRange) -> ChangeResult<Vec<JobRow>> {
        if !self.snapshot.has_read_jobs(range) {
            self.required.job_ranges.insert(range);
            return Err(ChangeError::MissingRows);
        }
        Ok(self.rows_between(range).cloned().collect())
    }
}

/// Returns the value of `run` in the block, as an element of a loop is stored.
fn end_value(run: &Run, state: RunState, failed: i64) -> Result<Vec<u8>, HubError> {
    one_map([
        ("id", Value::Text(run.id.to_string())),
        ("state", Value::Text(state.name().to_owned())),
        ("failed", Value::Int(failed)),
    ])
}
