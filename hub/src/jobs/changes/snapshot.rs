//! [`Snapshot`]: what was read of the database. [`RequiredReads`]: what must be read before an operation can go on.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bue_model::{RateKey, RunState, StepIndex};

use super::rows::{DoneRow, JobRow};
use crate::jobs::instance::{FanOut, IdRange, Run};

/// What identifies a row of `rate` that counts the starts of a step with one key.
pub(crate) type KeyedRate = (i64, StepIndex, RateKey);

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
    /// Ranges of which all rows of `job` were read: first id to end.
    job_ranges: BTreeMap<i64, i64>,
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
    pub(crate) fn mark_jobs_read(&mut self, (mut first, mut end): IdRange) {
        // ranges that touch become one
        while let Some((&start, &stop)) = self.job_ranges.range(..=end).next_back().filter(|(_, stop)| **stop >= first)
        {
            self.job_ranges.remove(&start);
            (first, end) = (first.min(start), end.max(stop));
        }
        self.job_ranges.insert(first, end);
    }

    /// Returns whether a row of `job` was looked up.
    pub(crate) fn has_looked_up_job(&self, id: i64) -> bool {
        self.has_read_jobs((id, id.saturating_add(1)))
    }

    /// Returns whether all rows of `job` in a range were read.
    pub(crate) fn has_read_jobs(&self, (first, end): IdRange) -> bool {
        self.job_ranges.range(..=first).next_back().is_some_and(|(_, stop)| *stop >= end)
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
        assert_eq!(snapshot.job_ranges.len(), 1);
    }
}
