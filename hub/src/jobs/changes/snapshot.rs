//! [`Snapshot`]: what was read of the database. [`RequiredReads`]: what must be read before an operation can go on.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bue_model::{RateKey, RunState, StepIndex};

use super::rows::{ChunkRow, DoneRow, JobRow};
use crate::jobs::initial_state::Hint;
use crate::jobs::instance::{FanOut, IdRange, Run};

/// What identifies a row of `rate` that counts the starts of a step with one key.
pub(crate) type KeyedRate = (i64, StepIndex, RateKey);

/// A row of the run that a rerun repeats: the version that this run must have, and the row's id. Under another version nothing of it
/// is read.
pub(crate) type OriginalId = (i64, i64);

/// Ids of which all rows were read: first id to end of each range.
#[derive(Debug, Default)]
pub(crate) struct IdRanges(BTreeMap<i64, i64>);

impl IdRanges {
    /// Adds a range.
    pub(crate) fn add(&mut self, (mut first, mut end): IdRange) {
        // ranges that touch become one
        while let Some((&start, &stop)) = self.0.range(..=end).next_back().filter(|(_, stop)| **stop >= first) {
            self.0.remove(&start);
            (first, end) = (first.min(start), end.max(stop));
        }
        self.0.insert(first, end);
    }

    /// Returns whether all of a range was added.
    pub(crate) fn contains(&self, (first, end): IdRange) -> bool {
        self.0.range(..=first).next_back().is_some_and(|(_, stop)| *stop >= end)
    }
}

/// Rows as they are in the database, and where none were found.
#[derive(Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) runs: HashMap<i64, Arc<Run>>,
    pub(crate) run_states: HashMap<i64, RunState>,
    /// The states of runs when their `finally` blocks began, of those where they have.
    pub(crate) endings: HashMap<i64, RunState>,
    /// The numbers of failed jobs of runs.
    pub(crate) failed_counts: HashMap<i64, i64>,
    /// When each run was created or, if failed jobs of it were reset since, when that happened last.
    pub(crate) fresh_since: HashMap<i64, i64>,
    /// Rows of `rate` that count all starts of a step, by run and step.
    pub(crate) rates: HashMap<(i64, u32), i64>,
    pub(crate) keyed_rates: HashMap<KeyedRate, i64>,
    pub(crate) jobs: BTreeMap<i64, JobRow>,
    /// Ranges of which all rows of `job` were read.
    job_ranges: IdRanges,
    pub(crate) done: BTreeMap<i64, DoneRow>,
    /// Ids that were looked up in `done`.
    pub(crate) done_lookups: HashSet<i64>,
    pub(crate) fan_outs: BTreeMap<i64, FanOut>,
    /// Ids that were looked up in `fanout`.
    pub(crate) fan_out_lookups: HashSet<i64>,
    /// Fan-outs and nodes whose rows in all rounds were read, as far as they may wait for something.
    pub(crate) round_rows: HashSet<(i64, u32)>,
    /// Ranges without open rows beside those that were read.
    pub(crate) no_other_open: HashSet<IdRange>,
    /// The first failed or stuck row of a range, beside those that were read before.
    pub(crate) first_failed: HashMap<IdRange, Option<i64>>,
    /// Runs that are submitted by this very transaction, so that nothing of them was stored before.
    pub(crate) new_runs: HashSet<i64>,
    /// Elements of the list that a job returned.
    pub(crate) elements: HashMap<i64, i64>,
    /// The list that a job returned.
    pub(crate) lists: HashMap<i64, Vec<ChunkRow>>,
    /// What completed rows of original runs pass on.
    originals: HashMap<OriginalId, Hint>,
    /// By version, the ids that were looked up in them.
    original_ranges: HashMap<i64, IdRanges>,
    /// The results of completed jobs of original runs.
    pub(crate) original_values: HashMap<OriginalId, Option<Vec<u8>>>,
    /// The lists that such jobs returned.
    pub(crate) original_lists: HashMap<OriginalId, Vec<ChunkRow>>,
    /// By fan-out and round: the first id of the round's counterpart, if it has one.
    pub(crate) counterparts: HashMap<(i64, i64), Option<i64>>,
    /// By fan-out and node: the number of rounds whose results are those of their counterparts.
    pub(crate) same_rounds: HashMap<(i64, u32), i64>,
    /// Allocated ids: the first one, and how many.
    pub(crate) ids: Vec<(i64, i64)>,
}

impl Snapshot {
    /// Keeps what stays true once changes were written: the runs.
    pub(crate) fn keep_runs_only(self) -> Self {
        let Self { runs, run_states, endings, fresh_since, rates, .. } = self;
        Self { runs, run_states, endings, fresh_since, rates, ..Self::default() }
    }

    /// Records that all rows of `job` in a range were read.
    pub(crate) fn mark_jobs_read(&mut self, range: IdRange) {
        self.job_ranges.add(range);
    }

    /// Returns whether a row of `job` was looked up.
    pub(crate) fn has_looked_up_job(&self, id: i64) -> bool {
        self.has_read_jobs((id, id.saturating_add(1)))
    }

    /// Returns whether all rows of `job` in a range were read.
    pub(crate) fn has_read_jobs(&self, range: IdRange) -> bool {
        self.job_ranges.contains(range)
    }

    /// Adds what a completed row of an original run passes on.
    pub(crate) fn add_original(&mut self, id: OriginalId, hint: Hint) {
        self.originals.insert(id, hint);
    }

    /// Records that all completed rows of original runs with this version in a range were added.
    pub(crate) fn mark_originals_read(&mut self, version: i64, range: IdRange) {
        self.original_ranges.entry(version).or_default().add(range);
    }

    /// Returns what a completed row of an original run passes on; the outer `None` if it was not looked up.
    pub(crate) fn original(&self, (version, id): OriginalId) -> Option<Option<&Hint>> {
        let is_read = self.original_ranges.get(&version).is_some_and(|ranges| ranges.contains((id, id + 1)));
        is_read.then(|| self.originals.get(&(version, id)))
    }
}

/// What must be read before an operation can go on.
#[derive(Debug, Default)]
pub(crate) struct RequiredReads {
    /// Rows of `job`; those behind them are likely to be needed next.
    pub(crate) jobs: BTreeSet<i64>,
    /// All rows of `job` in these ranges.
    pub(crate) job_ranges: BTreeSet<IdRange>,
    pub(crate) done: BTreeSet<i64>,
    pub(crate) fan_outs: BTreeSet<i64>,
    /// Rows of a node in all rounds of a fan-out.
    pub(crate) round_rows: BTreeSet<(i64, u32)>,
    /// One more open row of each range.
    pub(crate) open: BTreeSet<IdRange>,
    /// The first failed or stuck row of each range.
    pub(crate) first_failed: BTreeSet<IdRange>,
    /// The length of the list that a job returned.
    pub(crate) elements: BTreeSet<i64>,
    /// The list that a job returned.
    pub(crate) lists: BTreeSet<i64>,
    /// Rows of `done` of original runs; those behind them are likely to be needed next.
    pub(crate) originals: BTreeSet<OriginalId>,
    /// The results of jobs of original runs.
    pub(crate) original_values: BTreeSet<OriginalId>,
    /// The lists that jobs of original runs returned.
    pub(crate) original_lists: BTreeSet<OriginalId>,
    /// The counterpart of a round of a fan-out.
    pub(crate) counterparts: BTreeSet<(i64, i64)>,
    /// The number of rounds of a fan-out in which a node has the result of its counterpart.
    pub(crate) same_rounds: BTreeSet<(i64, u32)>,
    /// The number of failed jobs of a run.
    pub(crate) failed_counts: BTreeSet<i64>,
    /// A row of `rate`, to be inserted if there is none.
    pub(crate) keyed_rates: BTreeSet<KeyedRate>,
    /// Ids to allocate, this many each.
    pub(crate) ids: Vec<i64>,
}

impl RequiredReads {
    /// Needs these rows of `job`.
    pub(crate) fn jobs(ids: impl IntoIterator<Item = i64>) -> Self {
        Self { jobs: ids.into_iter().collect(), ..Self::default() }
    }

    /// Needs a fan-out and its row of `job`.
    pub(crate) fn fan_out(id: i64) -> Self {
        Self { fan_outs: [id].into(), ..Self::jobs([id]) }
    }

    /// Returns the ranges of rows of original runs to read, with the versions that these runs must have.
    pub(crate) fn original_ranges(&self, read_ahead: i64) -> Vec<(i64, IdRange)> {
        let mut by_version: BTreeMap<i64, Vec<IdRange>> = BTreeMap::new();
        for (version, id) in &self.originals {
            by_version.entry(*version).or_default().push((*id, id.saturating_add(read_ahead)));
        }
        let ranges = by_version.into_iter().flat_map(|(version, ranges)| {
            merge_ranges(ranges.into_iter(), 0).into_iter().map(move |range| (version, range))
        });
        ranges.collect()
    }

    /// Returns whether nothing is needed.
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
            && self.job_ranges.is_empty()
            && self.done.is_empty()
            && self.fan_outs.is_empty()
            && self.round_rows.is_empty()
            && self.open.is_empty()
            && self.first_failed.is_empty()
            && self.elements.is_empty()
            && self.lists.is_empty()
            && self.originals.is_empty()
            && self.original_values.is_empty()
            && self.original_lists.is_empty()
            && self.counterparts.is_empty()
            && self.same_rounds.is_empty()
            && self.failed_counts.is_empty()
            && self.keyed_rates.is_empty()
            && self.ids.is_empty()
    }
}

/// Sorts ranges and merges those with at most `max_gap` ids between them.
pub(crate) fn merge_ranges(ranges: impl Iterator<Item = IdRange>, max_gap: i64) -> Vec<IdRange> {
    let mut sorted: Vec<IdRange> = ranges.collect();
    sorted.sort_unstable();
    let mut merged: Vec<IdRange> = Vec::new();
    for (first, end) in sorted {
        match merged.last_mut() {
            Some((_, last)) if last.saturating_add(max_gap) >= first => *last = end.max(*last),
            _ => merged.push((first, end)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_one() {
        let mut snapshot = Snapshot::default();
        for range in [(10, 20), (30, 40), (20, 30), (0, 5), (4, 11), (12, 13)] {
            snapshot.mark_jobs_read(range);
        }
        assert!(snapshot.has_read_jobs((0, 40)));
        assert!(!snapshot.has_read_jobs((0, 41)));
        assert!(!snapshot.has_looked_up_job(40) && !snapshot.has_looked_up_job(-1));
        assert_eq!(snapshot.job_ranges.0.len(), 1);
    }
}
