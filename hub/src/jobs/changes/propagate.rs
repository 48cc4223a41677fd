//! What becomes of the dependants of a job that completed, failed or was cancelled.
//!
//! Each of the three walks reaches rows that are Blocked, cancelling reaches Stuck ones too, and they leave all others alone:
//! what is completed, failed or cancelled stays so, and a row that does not exist yet finds out the states of its parents when
//! it is instantiated.

use bue_model::NodeId;

use super::change_set::{ChangeError, ChangeResult, ChangeSet, MissingRows};
use super::rows::JobRow;
use crate::jobs::failed_entry::FailedEntry;
use crate::jobs::failure_record::FailureRecord;
use crate::jobs::initial_state::Hint;
use crate::jobs::instance::{IdRange, Location, Run, instance_of, location_in, node_of};
use crate::jobs::state::State;

impl ChangeSet<'_> {
    /// Returns the rows that wait for this one: in its own instance, and in the rounds inside it that exist.
    pub(super) fn dependants(&mut self, run: &Run, location: Location) -> ChangeResult<Vec<Location>> {
        let instance = instance_of(run, location)?;
        let mut dependants = Vec::new();
        for child in &node_of(run, location.node)?.children {
            let block = node_of(run, *child)?.block;
            if block == instance.block {
                dependants.push(location_in(run, instance, *child)?);
                continue;
            }
            let mut path: Vec<NodeId> = run.graph.loops_around(block);
            let is_inside = |node: &NodeId| run.graph.node(*node).is_some_and(|node| node.block == instance.block);
            let start = path.iter().position(is_inside);
            path.drain(..start.unwrap_or(0));
            path.push(*child);
            let mut path = path.into_iter();
            let Some(outermost) = path.next() else { continue };
            let mut rows = vec![location_in(run, instance, outermost)?];
            for node in path {
                rows = self.rows_in_rounds(&rows, node)?;
            }
            dependants.append(&mut rows);
        }
        self.need_jobs(&dependants)?;
        Ok(dependants)
    }

    /// Returns the rows of a node in all rounds of these fan-outs, as far as they have not ended.
    fn rows_in_rounds(&mut self, fan_outs: &[Location], node: NodeId) -> ChangeResult<Vec<Location>> {
        let (mut all, mut missing) = (Vec::new(), MissingRows::default());
        for fan_out in fan_outs {
            let rows = self.rows_in_rounds_of(*fan_out, node);
            all.extend(missing.allow(rows)?.unwrap_or_default());
        }
        missing.check()?;
        Ok(all)
    }

    fn rows_in_rounds_of(&mut self, location: Location, node: NodeId) -> ChangeResult<Vec<Location>> {
        let Some(fan_out) = self.fan_out(location.id)? else { return Ok(Vec::new()) };
        // rounds made by this change set were never stored
        let is_stored = self.snapshot.fan_outs.contains_key(&fan_out.id);
        if is_stored && !self.snapshot.round_rows.contains(&(fan_out.id, node.0)) {
            self.required.round_rows.insert((fan_out.id, node.0));
            return Err(ChangeError::MissingRows);
        }
        let rows = self.rows_between(fan_out.expanded_ids());
        Ok(rows.filter(|row| row.location.node == node).map(|row| row.location).collect())
    }

    /// Returns the rows of `job` that were read or changed, by id.
    pub(super) fn rows_between(&self, (first, end): IdRange) -> impl Iterator<Item = &JobRow> {
        let end = end.max(first);
        let stored = self.snapshot.jobs.range(first..end);
        let mut all: Vec<&JobRow> = stored.filter(|(id, _)| !self.jobs.contains_key(id)).map(|(_, row)| row).collect();
        all.extend(self.jobs.range(first..end).filter_map(|(_, row)| row.as_ref()));
        all.sort_by_key(|row| row.location.id);
        all.into_iter()
    }

    /// Everything that waited for this row waits for one parent less.
    pub(super) fn unblock_dependants(&mut self, run: &Run, location: Location, hint: &Hint) -> ChangeResult<()> {
        for child in self.dependants(run, location)? {
            let Some(mut row) = self.job(child.id)? else { continue };
            row.inherit(location.node, hint);
            if hint.scope.is_some() {
                row.return_home(run);
            }
            let is_job = run.graph.job(child.node).is_some();
            let next = if is_job { State::Ready } else { State::Expanding };
            let is_free = row.after_parent_completed(self.now, next);
            let streams = !is_job && row.state == State::Expanding && !is_free;
            self.put(row.clone());
            if is_free && is_job {
                self.pending_notifications.work = true;
                self.count_transition(run, child.node, State::Blocked, State::Ready);
                if !self.consider_reuse(run, child) && row.is_expired(self.now) {
                    self.fail_expired(run, row)?;
                }
            } else if is_free {
                self.start_fan_out(run, child)?;
            } else if streams {
                self.end_stream(run, child)?;
            }
        }
        Ok(())
    }

    /// Fails a job for good. Its row must be open.
    pub(super) fn fail(&mut self, run: &Run, mut row: JobRow, record: &FailureRecord) -> ChangeResult<()> {
        let (location, from) = (row.location, row.state);
        row.after_last_attempt(record.encode()?);
        self.end_attempt(&mut row)?;
        self.put(row.clone());
        let entry = FailedEntry::new(&run.graph, location.node, &record.failure.message);
        self.failed.insert((run.key, location.id), Some(entry));
        self.count_transition(run, location.node, from, State::Failed);
        self.mark_closed(run, location)?;
        let blocked = self.block_dependants(run, location, location.id);
        let blocked = self.block_streams(run, location).and(blocked);
        self.call_handler(run, &row, &record.failure).and(blocked)
    }

    /// Everything that waits for this row, directly or not, is stuck behind a failed job.
    pub(super) fn block_dependants(&mut self, run: &Run, start: Location, failed_job: i64) -> ChangeResult<()> {
        let (mut walk, mut missing) = (vec![start], MissingRows::default());
        while let Some(location) = walk.pop() {
            let dependants = self.dependants(run, location);
            for child in missing.allow(dependants)?.unwrap_or_default() {
                if let Some(row) = self.job(child.id)?.filter(|row| row.state == State::Blocked) {
                    self.put(row.blocked_by_failure(failed_job));
                    self.mark_closed(run, child)?;
                    walk.push(child);
                }
            }
        }
        missing.check()
    }

    /// Cancels these rows and everything that waits for them, also what is stuck: it could not complete after a reset either.
    /// Returns the number of jobs.
    pub(super) fn cancel_rows(&mut self, run: &Run, rows: Vec<Location>) -> ChangeResult<u64> {
        let (mut walk, mut jobs, mut missing) = (rows, 0, MissingRows::default());
        while let Some(location) = walk.pop() {
            let Some(row) = self.job(location.id)?.filter(|row| row.state.can_be_cancelled()) else { continue };
            if row.state == State::Stuck {
                // its round was counted as failed, and settles once more
                self.reopen(run, instance_of(run, location)?)?;
            }
            jobs += u64::from(run.graph.job(location.node).is_some());
            let has_rounds = run.graph.fan_out(location.node).is_some() && row.state != State::Blocked;
            self.count_transition(run, location.node, row.state, State::Cancelled);
            self.move_to_done(row, State::Cancelled, Hint::default(), None);
            self.mark_closed(run, location)?;
            if has_rounds && let Some(fan_out) = self.fan_out(location.id)? {
                jobs += self.cancel_rounds(run, &fan_out)?;
            }
            let dependants = self.dependants(run, location);
            walk.extend(missing.allow(dependants)?.unwrap_or_default());
        }
        missing.check()?;
        Ok(jobs)
    }

    /// Moves an open row from `job` to `done`.
    pub(super) fn move_to_done(&mut self, row: JobRow, state: State, hint: Hint, value: Option<Vec<u8>>) {
        let id = row.location.id;
        self.note_end_of_lease(&row, state);
        self.note_last_attempt(&row, state);
        self.jobs.insert(id, None);
        self.done.insert(id, Some(row.into_done(state, hint, value)));
    }
}
