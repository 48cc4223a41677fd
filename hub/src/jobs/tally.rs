//! [`Tally`]: how many jobs are where, for those who watch a hub.

use std::collections::BTreeMap;

use bue_model::wire::StepView;

/// Open runs whose jobs are counted; more of them at once belong to nobody who looks at each.
pub(crate) const MAX_RUNS: i64 = 1_000;

/// Runs and jobs that are not over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs that are not over.
    pub open_runs: u64,
    /// Jobs of the latest thousand of them, by scope.
    pub scopes: BTreeMap<String, ScopeTally>,
}

/// Jobs of one scope.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScopeTally {
    /// Parents not completed.
    pub blocked: u64,
    /// Ready, or waiting for their time.
    pub available: u64,
    /// Being run.
    pub running: u64,
    /// Done.
    pub completed: u64,
    /// Failed for good.
    pub failed: u64,
    /// Called off.
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
    /// Each state by its name.
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
