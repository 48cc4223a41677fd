//! Reruns: jobs that get the results of their counterparts in the run that this one repeats.
//!
//! A job is looked at once, when it may run for the first time. If its counterpart has completed and nothing that it depends on is
//! different, it completes with the counterpart's result at once. What depends on it is looked at next, in the same change set. A
//! job that does run is compared with its counterpart when it completes: if the results are the same, what depends on it can still
//! be reused. Only what [`Original`](crate::jobs::original::Original) says may be reused at all; handlers and `finally` always run.

use bue_model::NodeId;

use super::change_set::{ChangeError, ChangeResult, ChangeSet};
use super::rows::{ChunkRow, CopiedList, CounterpartRow, DoneRow, JobRow};
use super::snapshot::OriginalId;
use crate::jobs::initial_state::Hint;
use crate::jobs::instance::{FanOut, Instance, Location, Run, instance_of, location_in, node_of};
use crate::jobs::matching_rounds::matching_rounds;
use crate::jobs::outcome_rules::is_looped;
use crate::jobs::state::State;

impl ChangeSet<'_> {
    /// A job may run for the first time. Returns whether it will be looked at again, because it may be reused instead.
    pub(super) fn consider_reuse(&mut self, run: &Run, location: Location) -> bool {
        let is_reusable = run.original.as_ref().is_some_and(|original| original.reusable.contains(location.node));
        if is_reusable {
            self.to_reuse.insert((run.key, location));
        }
        is_reusable
    }

    /// Completes a ready job with the result of its counterpart, if nothing that it depends on is different.
    pub(super) fn reuse(&mut self, key: i64, location: Location) -> ChangeResult<()> {
        let run = self.run(key)?;
        let Some(row) = self.job(location.id)?.filter(|row| row.state == State::Ready) else { return Ok(()) };
        let original = match self.has_same_inputs(&run, location)? {
            true => self.completed_counterpart(&run, location)?,
            false => None,
        };
        match original {
            Some((id, hint)) => self.complete_reused(&run, row, id, &hint),
            None if row.is_expired(self.now) => self.fail_expired(&run, row),
            None => Ok(()),
        }
    }

    fn complete_reused(&mut self, run: &Run, row: JobRow, original: i64, hint: &Hint) -> ChangeResult<()> {
        let location = row.location;
        if is_looped(run, location.node) {
            self.copied_lists.push(CopiedList { from: original, to: location.id });
        }
        if let Some(job) = run.graph.job(location.node) {
            self.counts.step(run.key, job.step).reused += 1;
        }
        self.move_to_done(row, State::Completed, hint.clone(), None);
        self.mark_same(location.id, true);
        if let Some(Some(done)) = self.done.get_mut(&location.id) {
            // no attempt printed anything
            (done.copied, done.log) = (Some(original), Some(None));
        }
        self.count_transition(run, location.node, State::Ready, State::Completed);
        self.mark_closed(run, location)?;
        self.unblock_dependants(run, location, hint)
    }

    /// A completed job starts over. Only one that was reused had never been leased.
    pub(super) fn count_not_reused(&mut self, run: &Run, node: NodeId, token: i64) {
        if let Some(job) = run.graph.job(node).filter(|_| token == 0) {
            self.counts.step(run.key, job.step).reused -= 1;
        }
    }

    /// Records that the result of a row that was just completed is that of its counterpart.
    pub(super) fn mark_same(&mut self, id: i64, same: bool) {
        if let Some(Some(done)) = self.done.get_mut(&id) {
            done.same = same;
        }
    }

    /// Returns whether the inputs of a job are those of its counterpart: all its parents have the results of theirs. Literals are
    /// the same, because the node is reusable, and elements are, because the round has a counterpart.
    fn has_same_inputs(&mut self, run: &Run, location: Location) -> ChangeResult<bool> {
        if self.has_started_over(run, location)? {
            return Ok(false);
        }
        let instance = instance_of(run, location)?;
        for parent in &node_of(run, location.node)?.parents {
            let enclosing = self.enclosing(run, instance, node_of(run, *parent)?.block)?;
            let parent = location_in(run, enclosing, *parent)?;
            if !self.done_row(parent.id)?.is_some_and(|row| row.same) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns whether the call that a job belongs to was reset. What was there before is what the step did not want.
    fn has_started_over(&mut self, run: &Run, location: Location) -> ChangeResult<bool> {
        let chain = run.graph.job(location.node).map_or(&[][..], |job| run.graph.chain(job.call));
        let Some(first) = chain.first() else { return Ok(false) };
        let first = location_in(run, instance_of(run, location)?, *first)?;
        if first == location {
            return Ok(self.job(location.id)?.is_some_and(|row| row.resets > 0));
        }
        let (open, ended) = (self.job(first.id), self.done_row(first.id));
        let (open, ended) = (open?, ended?);
        Ok(open.map(|row| row.resets).or(ended.map(|row| row.resets)).is_some_and(|resets| resets > 0))
    }

    /// Returns the id of a job's counterpart, and what it passes on, if it has one and that has completed.
    fn completed_counterpart(&mut self, run: &Run, location: Location) -> ChangeResult<Option<(i64, Hint)>> {
        let Some((version, id)) = self.counterpart(run, location)? else { return Ok(None) };
        Ok(self.original((version, id))?.map(|hint| (id, hint)))
    }

    fn original(&mut self, id: OriginalId) -> ChangeResult<Option<Hint>> {
        let Some(original) = self.snapshot.original(id) else {
            self.required.originals.insert(id);
            return Err(ChangeError::MissingRows);
        };
        Ok(original.cloned())
    }

    /// Returns the counterpart of a job or fan-out. There may be no row of it.
    fn counterpart(&mut self, run: &Run, location: Location) -> ChangeResult<Option<OriginalId>> {
        let Some(original) = &run.original else { return Ok(None) };
        if run.graph.begins_late(location.node) {
            return Ok(None);
        }
        let instance = instance_of(run, location)?;
        let first = match instance.fanout {
            0 => Some(original.first),
            _ => self.counterpart_of_round(instance)?,
        };
        Ok(first.map(|first| (original.version, first + location.id - instance.first)))
    }

    /// Returns the id of the first node of a round's counterpart.
    fn counterpart_of_round(&mut self, instance: Instance) -> ChangeResult<Option<i64>> {
        let fan_out = self.require_fan_out(instance.fanout)?;
        let round = fan_out.round_index(instance);
        if !self.snapshot.fan_outs.contains_key(&fan_out.id) {
            // it starts in this change set
            let is_there =
                |row: &&CounterpartRow| row.fan_out == fan_out.id && (0..row.count).contains(&(round - row.first));
            let row = self.counterparts.iter().find(is_there);
            return Ok(row.map(|row| row.original + (round - row.first) * fan_out.stride));
        }
        let Some(counterpart) = self.snapshot.counterparts.get(&(fan_out.id, round)) else {
            self.required.counterparts.insert((fan_out.id, round));
            return Err(ChangeError::MissingRows);
        };
        Ok(*counterpart)
    }

    /// Finds the counterparts of the rounds of a fan-out that starts. They have the same elements, and inherit the same.
    pub(super) fn match_rounds(&mut self, run: &Run, fan_out: &FanOut) -> ChangeResult<()> {
        let Some((version, id)) = self.counterpart(run, fan_out.location())? else { return Ok(()) };
        let Some(original) = self.fan_out(id)?.filter(|original| original.stride == fan_out.stride) else {
            return Ok(());
        };
        let Some(source) = self.done_row(fan_out.source)? else { return Ok(()) };
        let add = |changes: &mut Self, (first, count, round)| {
            let original = original.round_start(round);
            changes.counterparts.push(CounterpartRow { fan_out: fan_out.id, first, count, original });
        };
        if source.same {
            add(self, (0, fan_out.count.min(original.count), 0));
            return Ok(());
        }
        let original_source = (version, original.source);
        if self.original(original_source)?.is_none_or(|hint| hint != source.hint) {
            return Ok(());
        }
        let (list, original_list) = (self.list(fan_out.source), self.original_list(original_source));
        for rounds in matching_rounds(&list?, &original_list?)? {
            add(self, (rounds.first, rounds.count, rounds.original));
        }
        Ok(())
    }

    /// Returns the list of a job that has completed, and was not reused.
    fn list(&mut self, source: i64) -> ChangeResult<Vec<ChunkRow>> {
        let new: Vec<ChunkRow> = self.chunks.iter().filter(|chunk| chunk.source == source).cloned().collect();
        if !new.is_empty() {
            return Ok(new);
        }
        let Some(list) = self.snapshot.lists.get(&source) else {
            self.required.lists.insert(source);
            return Err(ChangeError::MissingRows);
        };
        Ok(list.clone())
    }

    fn original_list(&mut self, source: OriginalId) -> ChangeResult<Vec<ChunkRow>> {
        let Some(list) = self.snapshot.original_lists.get(&source) else {
            self.required.original_lists.insert(source);
            return Err(ChangeError::MissingRows);
        };
        Ok(list.clone())
    }

    /// Returns whether a job that ran has the result of its counterpart, and passes on the same.
    pub(super) fn is_same_result(
        &mut self,
        run: &Run,
        location: Location,
        value: &[u8],
        hint: &Hint,
    ) -> ChangeResult<bool> {
        let Some(id) = self.counterpart(run, location)? else { return Ok(false) };
        let (original, original_value) = (self.original(id), self.original_value(id));
        let (original, original_value) = (original?, original_value?);
        Ok(original.is_some_and(|original| original == *hint)
            && original_value.is_some_and(|original| original == value))
    }

    fn original_value(&mut self, id: OriginalId) -> ChangeResult<Option<Vec<u8>>> {
        let Some(value) = self.snapshot.original_values.get(&id) else {
            self.required.original_values.insert(id);
            return Err(ChangeError::MissingRows);
        };
        Ok(value.clone())
    }

    /// Returns whether the list that a completed loop gathers is that of its counterpart: it ran over the same list, and each round
    /// has the same result.
    pub(super) fn is_same_loop(&mut self, run: &Run, location: Location) -> ChangeResult<bool> {
        let Some(node) = run.graph.fan_out(location.node).filter(|_| run.original.is_some()) else { return Ok(false) };
        let (Some(over), Some(gather)) = (node.over, node.gather) else { return Ok(false) };
        let source = location_in(run, instance_of(run, location)?, over)?;
        if !self.done_row(source.id)?.is_some_and(|row| row.same) {
            return Ok(false);
        }
        // a loop over an empty list never became a fan-out
        let Some(fan_out) = self.fan_out(location.id)? else { return Ok(true) };
        Ok(self.same_rounds(&fan_out, gather)? == fan_out.count)
    }

    /// Returns the number of rounds in which a node has the result of its counterpart.
    fn same_rounds(&mut self, fan_out: &FanOut, node: NodeId) -> ChangeResult<i64> {
        let is_stored = self.snapshot.fan_outs.contains_key(&fan_out.id);
        let stored = match self.snapshot.same_rounds.get(&(fan_out.id, node.0)) {
            _ if !is_stored => 0,
            Some(stored) => *stored,
            None => {
                self.required.same_rounds.insert((fan_out.id, node.0));
                return Err(ChangeError::MissingRows);
            }
        };
        let (first, end) = fan_out.expanded_ids();
        let changed = self.done.range(first..end.max(first));
        let change = |(id, row): (&i64, &Option<DoneRow>)| {
            let was_same = self.snapshot.done.get(id).is_some_and(|row| row.same && row.location.node == node);
            let is_same = row.as_ref().is_some_and(|row| row.same && row.location.node == node);
            i64::from(is_same) - i64::from(was_same)
        };
        Ok(stored + changed.map(change).sum::<i64>())
    }
}
