//! Jobs of each step, counted. A transaction collects its changes and writes them once a step.

use std::collections::BTreeMap;

use bue_model::StepIndex;

use crate::jobs::state::State;

/// Changes to one row of `step_count`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StepDelta {
    pub(crate) blocked: i64,
    pub(crate) available: i64,
    pub(crate) running: i64,
    pub(crate) completed: i64,
    pub(crate) failed: i64,
    pub(crate) cancelled: i64,
    pub(crate) attempts: i64,
    pub(crate) retries: i64,
    pub(crate) pendings: i64,
    pub(crate) resets: i64,
    pub(crate) run_ms: i64,
}

impl StepDelta {
    fn add(&mut self, other: Self) {
        self.blocked += other.blocked;
        self.available += other.available;
        self.running += other.running;
        self.completed += other.completed;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.attempts += other.attempts;
        self.retries += other.retries;
        self.pendings += other.pendings;
        self.resets += other.resets;
        self.run_ms += other.run_ms;
    }

    fn of(&mut self, state: State) -> &mut i64 {
        match state {
            State::Blocked | State::Stuck => &mut self.blocked,
            State::Parked | State::Ready => &mut self.available,
            State::Running | State::Expanding => &mut self.running,
            State::Completed => &mut self.completed,
            State::Failed => &mut self.failed,
            State::Cancelled => &mut self.cancelled,
        }
    }
}

/// Changes of one transaction, by run and step.
#[derive(Debug, Default)]
pub(crate) struct Counts(pub(crate) BTreeMap<(i64, u32), StepDelta>);

impl Counts {
    pub(crate) fn step(&mut self, run: i64, step: StepIndex) -> &mut StepDelta {
        self.0.entry((run, step.0)).or_default()
    }

    /// `count` jobs are in a state that were not there.
    pub(crate) fn add(&mut self, run: i64, step: StepIndex, state: State, count: i64) {
        *self.step(run, step).of(state) += count;
    }

    /// Changes that were collected elsewhere.
    pub(crate) fn merge(&mut self, other: Self) {
        for (key, delta) in other.0 {
            self.0.entry(key).or_default().add(delta);
        }
    }

    /// A job went from one state to another.
    pub(crate) fn moved(&mut self, run: i64, step: StepIndex, from: State, to: State) {
        self.add(run, step, from, -1);
        self.add(run, step, to, 1);
    }
}
