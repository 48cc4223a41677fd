//! [`Tally`]: the jobs of open runs by scope and state, for metrics.

use std::collections::BTreeMap;

use bue_model::JobState;
use bue_model::wire::StepView;

/// The latest open runs, whose jobs are counted. A dashboard does not show more of them one by one.
pub(crate) const MAX_RUNS: i64 = 1_000;

/// Open runs and their jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs that have not ended.
    pub open_runs: u64,
    /// Jobs of the latest thousand of them, by scope. Every state has an entry.
    pub scopes: BTreeMap<String, BTreeMap<JobState, u64>>,
}

impl Tally {
    /// Adds the jobs of a step.
    pub(crate) fn add(&mut self, scope: &str, step: &StepView) {
        let counts = self.scopes.entry(scope.to_owned()).or_default();
        for (state, count) in step.by_state() {
            *counts.entry(state).or_default() += count;
        }
    }
}
