//! Fan-outs: they start when their source completes, or while it runs (see [`stream`](super::stream)). Their rounds are instantiated a window at a time, so that a loop over a
//! million elements has few live rows.

use super::change_set::{ChangeError, ChangeResult, ChangeSet};
use crate::error::HubError;
use crate::jobs::graph::Block;
use crate::jobs::instance::{FanOut, Location, Run, instance_of, location_in};
use crate::jobs::state::State;

impl ChangeSet<'_> {
    /// Starts a fan-out whose source has completed, which tells the number of rounds. Its row has just become Expanding,
    /// which happens once.
    pub(super) fn start_fan_out(&mut self, run: &Run, location: Location) -> ChangeResult<()> {
        let node = run.graph.fan_out(location.node).ok_or_else(|| HubError::damaged("a job where a loop should be"))?;
        let stride = run.graph.blocks.get(node.body).map_or(0, Block::stride);
        let over = node.over.ok_or_else(|| HubError::damaged("a `finally` block where a loop should be"))?;
        let source = location_in(run, instance_of(run, location)?, over)?.id;
        let count = if stride == 0 { 0 } else { self.elements(source)? };
        if count == 0 {
            return self.complete_fan_out(run, location);
        }
        let fan_out = self.new_fan_out(run, location, count)?;
        self.fan_outs.insert(location.id, fan_out);
        self.match_rounds(run, &fan_out)?;
        self.count_rounds(run, node.body, State::Blocked, count);
        self.grow(location.id)
    }

    /// Counts the jobs of rounds that are not instantiated. They count as blocked, so that users see how much is to come.
    pub(super) fn count_rounds(&mut self, run: &Run, body: usize, state: State, rounds: i64) {
        for node in run.graph.blocks.get(body).map_or(&[][..], |block| &block.nodes) {
            if let Some(job) = run.graph.job(*node).filter(|job| job.handles.is_none()) {
                self.counts.add(run.key, job.step, state, rounds);
            }
        }
    }

    /// Returns the length of the list that a job returned, or how much of it is recorded while the job runs.
    pub(super) fn elements(&mut self, source: i64) -> ChangeResult<i64> {
        let changed = self.chunks.iter().rev().find(|chunk| chunk.source == source);
        if let Some(last) = changed {
            return Ok(last.first + last.count);
        }
        let copied = self.copied_lists.iter().find(|copied| copied.to == source);
        let source = copied.map_or(source, |copied| copied.from);
        if let Some(elements) = self.snapshot.elements.get(&source) {
            return Ok(*elements);
        }
        self.required.elements.insert(source);
        Err(ChangeError::MissingRows)
    }

    /// Instantiates the next batch of rounds, if the window has room for one. Safe to call at any time: rounds below
    /// `expanded` are never instantiated again, and a fan-out that was cancelled is not Expanding any more.
    pub(crate) fn grow(&mut self, id: i64) -> ChangeResult<()> {
        self.pending_notifications.growing.remove(&id);
        let Some(mut fan_out) = self.fan_out(id)?.filter(FanOut::can_grow) else { return Ok(()) };
        if self.job(id)?.is_none_or(|row| row.state != State::Expanding) {
            return Ok(());
        }
        let run = self.run(fan_out.run)?;
        let body = fan_out.body(&run)?;
        let context = self.round_context(&run, fan_out.round(fan_out.expanded, body), fan_out.location())?;
        let end = fan_out.next_batch_end();
        for round in fan_out.expanded..end {
            self.instantiate(&run, fan_out.round(round, body), &context)?;
        }
        fan_out.expanded = end;
        if fan_out.can_grow() {
            self.pending_notifications.growing.insert(id);
        }
        self.fan_outs.insert(id, fan_out);
        Ok(())
    }

    /// Completes a fan-out without rounds, or whose rounds have all ended without a failed job: what gathers them may run.
    pub(super) fn complete_fan_out(&mut self, run: &Run, location: Location) -> ChangeResult<()> {
        let Some(row) = self.job(location.id)?.filter(|row| row.state.is_open()) else { return Ok(()) };
        let (hint, same) = (row.hint(), self.is_same_loop(run, location)?);
        self.move_to_done(row, State::Completed, hint.clone(), None);
        self.mark_same(location.id, same);
        self.mark_closed(run, location)?;
        self.unblock_dependants(run, location, &hint)
    }
}
