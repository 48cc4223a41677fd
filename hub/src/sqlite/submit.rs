//! A run comes in.

use bue_model::wire::Submission;
use bue_model::{RunId, StepIndex};
use rusqlite::params;
use std::sync::Arc;

use super::birth::Surroundings;
use super::ledger::{Instance, Ledger, signed, to_blob};
use super::memory::Run;
use crate::error::HubError;
use crate::graph::Graph;

/// Bytes of a run's name that are kept.
const MAX_NAME: usize = 1024;

impl Ledger<'_> {
    /// Makes the run and its top level. A run that is there already is left as it is, which makes submitting twice harmless:
    /// the look and the insert are one transaction, and `run.id` is unique.
    pub(super) fn submit(&mut self, mut submission: Submission) -> Result<RunId, HubError> {
        let id = submission.run;
        if self.run_key(id)?.is_some() {
            return Ok(id);
        }
        submission.name.truncate(submission.name.floor_char_boundary(MAX_NAME));
        let body = to_blob(&(&submission.plan, &submission.code))?;
        let graph = Graph::new(submission.plan, submission.code)?;
        let nodes = graph.blocks.first().map_or(0, crate::graph::Block::stride);
        let first = self.take_ids(nodes)?;
        let key = self.insert_run(id, &submission.name, first, &body)?;
        let run = Arc::new(Run { key, id, first, graph });
        self.insert_steps(&run)?;
        self.memory.runs.keep(run.clone());
        self.touch(key);
        let top = Instance { run: key, fanout: 0, block: 0, first };
        self.make(&run, top, &Surroundings::none())?;
        // a plan without a job is over at once
        self.closings.insert(top);
        Ok(id)
    }

    fn insert_run(&self, id: RunId, name: &str, first: i64, body: &[u8]) -> Result<i64, HubError> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO run (id, name, first, state, created_at, version) VALUES (?1, ?2, ?3, 0, ?4, 0)",
        )?;
        insert.execute(params![id.0.as_bytes(), name, first, self.now])?;
        let key = self.db.last_insert_rowid();
        self.db.prepare_cached("INSERT INTO plan (run, body) VALUES (?1, ?2)")?.execute(params![key, body])?;
        Ok(key)
    }

    fn insert_steps(&self, run: &Run) -> Result<(), HubError> {
        let mut count = self.db.prepare_cached("INSERT INTO step_count (run, step) VALUES (?1, ?2)")?;
        let mut rate = self.db.prepare_cached(
            "INSERT INTO rate (run, step, scope, count, per_ms, next, open_at) VALUES (?1, ?2, ?3, ?4, ?5, 0, 0)",
        )?;
        for (index, step) in (0..).map(StepIndex).zip(&run.graph.steps) {
            count.execute(params![run.key, index.0])?;
            if let Some(limit) = step.settings.rate.as_ref().filter(|limit| limit.by.is_none()) {
                let (scope, per_ms) = (&step.settings.scope, signed(limit.per_ms));
                rate.execute(params![run.key, index.0, scope, limit.count, per_ms])?;
            }
        }
        Ok(())
    }
}
