//! Jobs of each step, counted. A transaction collects its changes and writes them once a step.

use std::collections::BTreeMap;

use bue_model::StepIndex;
use rusqlite::{Connection, params};

use super::state::State;
use crate::error::HubError;

/// Changes to one row of `step_count`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StepDelta {
    blocked: i64,
    available: i64,
    running: i64,
    completed: i64,
    failed: i64,
    cancelled: i64,
    pub(super) attempts: i64,
    pub(super) retries: i64,
    pub(super) pendings: i64,
    pub(super) resets: i64,
    pub(super) run_ms: i64,
}

impl StepDelta {
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
pub(super) struct Counts(BTreeMap<(i64, u32), StepDelta>);

impl Counts {
    pub(super) fn step(&mut self, run: i64, step: StepIndex) -> &mut StepDelta {
        self.0.entry((run, step.0)).or_default()
    }

    /// `count` jobs are in a state that were not there.
    pub(super) fn add(&mut self, run: i64, step: StepIndex, state: State, count: i64) {
        *self.step(run, step).of(state) += count;
    }

    /// A job went from one state to another.
    pub(super) fn moved(&mut self, run: i64, step: StepIndex, from: State, to: State) {
        self.add(run, step, from, -1);
        self.add(run, step, to, 1);
    }

    /// Safe to add blindly: the rows are made with the run, and the writer's transaction is the only one there is.
    pub(super) fn write(&mut self, db: &Connection) -> Result<(), HubError> {
        let mut update = db.prepare_cached(
            "UPDATE step_count SET blocked = blocked + ?3, available = available + ?4, running = running + ?5,
                 completed = completed + ?6, failed = failed + ?7, cancelled = cancelled + ?8,
                 attempts = attempts + ?9, retries = retries + ?10, pendings = pendings + ?11,
                 resets = resets + ?12, run_ms = run_ms + ?13
             WHERE run = ?1 AND step = ?2",
        )?;
        for ((run, step), delta) in std::mem::take(&mut self.0) {
            update.execute(params![
                run,
                step,
                delta.blocked,
                delta.available,
                delta.running,
                delta.completed,
                delta.failed,
                delta.cancelled,
                delta.attempts,
                delta.retries,
                delta.pendings,
                delta.resets,
                delta.run_ms,
            ])?;
        }
        Ok(())
    }
}
