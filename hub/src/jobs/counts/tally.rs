//! [`Tally`]: the jobs of open runs by scope and state, for metrics.

use std::collections::BTreeMap;

use bue_model::wire::StepView;

/// The latest open runs, whose jobs are counted. A dashboard does not show more of them one by one.
pub(crate) const MAX_RUNS: i64 = 1_000;

/// Open runs and their jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs that have not ended.
    pub open_runs: u64,
    /// Jobs of the latest thousand of them, by scope.
    pub scopes: BTreeMap<String, ScopeTally>,
}

/// Jobs of one scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeTally {
    /// Jobs with parents that have not completed.
    pub blocked: u64,
    /// Jobs that are ready, or become so at a known time.
    pub available: u64,
    /// Leased jobs.
    pub running: u64,
    /// Completed jobs.
    pub completed: u64,
    /// Jobs without attempts left.
    pub failed: u64,
    /// Cancelled jobs.
    pub cancelled: u64,
}

impl Tally {
    /// Adds the jobs of a step.
    pub(crate) fn add(&mut self, scope: &str, step: &StepView) {
        let counts = self.scopes.entry(scope.to_owned()).or_default();
        counts.blocked += step.blocked;
        counts.available += step.available;
        counts.running += step.running;
        counts.completed += step.completed;
        counts.failed += step.failed;
        counts.cancelled += step.cancelled;
    }
}

impl ScopeTally {
    /// Returns each count with the name of its state.
    pub(crate) fn by_state(&self) -> [(&'static str, u64); 6] {
        [
            ("blocked", self.blocked),
            ("available", self.available),
            ("running", self.running),
            ("completed", self.completed),
            ("failed", self.failed),
            ("cancelled", self.cancelled),
        ]
    }
}
