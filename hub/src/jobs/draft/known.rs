//! What was read of the database, and what still must be.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use bue_model::{RateKey, RunState, StepIndex};

use super::rows::{DoneRow, JobRow};
use crate::jobs::instance::{FanOut, Run};

/// A stretch of ids, the end excluded.
pub(crate) type Stretch = (i64, i64);

/// Rows as they are in the database, and where it was looked in vain.
#[derive(Debug, Default)]
pub(crate) struct Known {
    pub(crate) runs: HashMap<i64, Arc<Run>>,
    pub(crate) run_states: HashMap<i64, RunState>,
    /// Rows of `rate` that count all starts of a step, by run and step.
    pub(crate) rates: HashMap<(i64, u32), i64>,
    /// Rows of `rate` that count starts of a step with one key.
    pub(crate) keyed_rates: HashMap<(i64, StepIndex, RateKey), i64>,
    pub(crate) jobs: BTreeMap<i64, JobRow>,
    /// Where all rows of `job` were read: first id to end.
    stretches: BTreeMap<i64, i64>,
    pub(crate) done: BTreeMap<i64, DoneRow>,
    pub(crate) looked_at_done: HashSet<i64>,
    pub(crate) fan_outs: BTreeMap<i64, FanOut>,
    pub(crate) looked_at_fan_outs: HashSet<i64>,
    /// Fan-outs and nodes whose rows in all rounds were read, as far as they may wait for something.
    pub(crate) alive: HashSet<(i64, u32)>,
    /// No open row is in these, apart from those that are known.
    pub(crate) no_more_open: HashSet<Stretch>,
    /// The first failed or stuck row of each, apart from those that were known before.
    pub(crate) first_dead: HashMap<Stretch, Option<i64>>,
    /// Runs of which nothing was stored before.
    pub(crate) new_runs: HashSet<i64>,
    /// Elements of the list a job gave.
    pub(crate) elements: HashMap<i64, i64>,
    /// Fresh ids: the first one, and how many.
    pub(crate) ids: Vec<(i64, i64)>,
}

impl Known {
    /// What stays true once a draft was written: the runs.
    pub(crate) fn of_the_runs(self) -> Self {
        let Self { runs, run_states, rates, .. } = self;
        Self { runs, run_states, rates, ..Self::default() }
    }

    /// All rows of `job` in a stretch were read.
    pub(crate) fn looked_at_jobs(&mut self, (mut first, mut end): Stretch) {
        // stretches that touch become one
        while let Some((&start, &stop)) = self.stretches.range(..=end).next_back().filter(|(_, stop)| **stop >= first) {
            self.stretches.remove(&start);
            (first, end) = (first.min(start), end.max(stop));
        }
        self.stretches.insert(first, end);
    }

    /// Whether the row of `job` was looked for.
    pub(crate) fn looked_at_job(&self, id: i64) -> bool {
        self.knows_all((id, id.saturating_add(1)))
    }

    /// Whether all rows of `job` in a stretch were read.
    pub(crate) fn knows_all(&self, (first, end): Stretch) -> bool {
        self.stretches.range(..=first).next_back().is_some_and(|(_, stop)| *stop >= end)
    }
}

/// What must be read before a verb can go on.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// Rows of `job`; those behind them are likely to be asked for next.
    pub(crate) jobs: BTreeSet<i64>,
    /// All rows of `job` in these.
    pub(crate) stretches: BTreeSet<Stretch>,
    pub(crate) done: BTreeSet<i64>,
    pub(crate) fan_outs: BTreeSet<i64>,
    /// Rows of a node in all rounds of a fan-out.
    pub(crate) alive: BTreeSet<(i64, u32)>,
    /// One more open row of each.
    pub(crate) open: BTreeSet<Stretch>,
    /// The first failed or stuck row of each.
    pub(crate) dead: BTreeSet<Stretch>,
    /// Elements of jobs' lists.
    pub(crate) elements: BTreeSet<i64>,
    /// The row of `rate` for a step's starts with one key, to be made if there is none.
    pub(crate) keyed_rates: BTreeSet<(i64, StepIndex, RateKey)>,
    /// Fresh ids, so many each.
    pub(crate) ids: Vec<i64>,
}

impl Needs {
    /// Nothing: the draft holds.
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
            && self.stretches.is_empty()
            && self.done.is_empty()
            && self.fan_outs.is_empty()
            && self.alive.is_empty()
            && self.open.is_empty()
            && self.dead.is_empty()
            && self.elements.is_empty()
            && self.keyed_rates.is_empty()
            && self.ids.is_empty()
    }
}

/// Stretches in order, as one where no more than `near` ids are between them.
pub(crate) fn joined(stretches: impl Iterator<Item = Stretch>, near: i64) -> Vec<Stretch> {
    let mut sorted: Vec<Stretch> = stretches.collect();
    sorted.sort_unstable();
    let mut joined: Vec<Stretch> = Vec::new();
    for (first, end) in sorted {
        match joined.last_mut() {
            Some((_, last)) if last.saturating_add(near) >= first => *last = end.max(*last),
            _ => joined.push((first, end)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_that_touch_are_one() {
        let mut known = Known::default();
        for stretch in [(10, 20), (30, 40), (20, 30), (0, 5), (4, 11), (12, 13)] {
            known.looked_at_jobs(stretch);
        }
        assert!(known.knows_all((0, 40)));
        assert!(!known.knows_all((0, 41)) && !known.looked_at_job(40) && !known.looked_at_job(-1));
        assert_eq!(known.stretches.len(), 1);
    }
}
