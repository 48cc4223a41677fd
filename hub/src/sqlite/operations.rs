//! Requests that change runs and jobs through a change set: what each of them reads in advance, because it is sure to need it.

use std::sync::Arc;

use bue_model::text::truncate_bytes;
use bue_model::wire::{Changed, ListPiece, PieceVerdict, Report, Submission, Verdict};
use bue_model::{JobId, RunId, RunState, StepIndex, TraceContext};
use rusqlite::{OptionalExtension, params};

use super::write_tx::WriteTx;
use crate::error::HubError;
use crate::jobs::changes::change_set::{ChangeResult, ChangeSet};
use crate::jobs::changes::snapshot::{RequiredReads, Snapshot};
use crate::jobs::columns::{row_id, signed};
use crate::jobs::graph::{Block, Graph, MAX_NAME};
use crate::jobs::instance::{IdRange, Run};
use crate::jobs::leasing::pick::StartLimits;
use crate::jobs::original::Original;
use crate::jobs::plan_body::encode_plan;
use crate::jobs::state::{run_state_code, state_code};
use crate::pipelines::with_values;

impl WriteTx<'_> {
    /// Inserts a run and its top level. A run that exists is left as it is, so submitting is idempotent: check and insert are
    /// one transaction, and `run.id` is unique.
    pub(super) fn submit(&mut self, submission: Submission, parent: Option<TraceContext>) -> Result<RunId, HubError> {
        let id = submission.run;
        if self.run_key(id)?.is_none() {
            self.submit_new(submission, None, parent)?;
        }
        Ok(id)
    }

    /// Inserts a run that does not exist; with `original`, a rerun of that run, and with `parent`, as a part of that span. Returns its
    /// key.
    pub(super) fn submit_new(
        &mut self,
        mut submission: Submission,
        original: Option<Original>,
        parent: Option<TraceContext>,
    ) -> Result<i64, HubError> {
        let id = submission.run;
        truncate_bytes(&mut submission.name, MAX_NAME);
        let body = encode_plan(&submission.plan, &submission.code, parent)?;
        let graph = Graph::new(with_values(submission.plan)?, submission.code)?;
        let first = self.allocate_ids(graph.blocks.first().map_or(0, Block::stride))?;
        let key = self.insert_run(id, &submission.name, first, &body)?;
        let run = Arc::new(Run { key, id, first, graph, original, parent });
        let mut snapshot = Snapshot::default();
        self.insert_steps(&run, &mut snapshot)?;
        self.runs.insert(run.clone());
        snapshot.runs.insert(key, run.clone());
        snapshot.run_states.insert(key, RunState::Running);
        snapshot.fresh_since.insert(key, self.now);
        snapshot.new_runs.insert(key);
        self.change(snapshot, RequiredReads::default(), |changes| changes.start_run(&run))?;
        Ok(key)
    }

    fn insert_run(&self, id: RunId, name: &str, first: i64, body: &[u8]) -> Result<i64, HubError> {
        let key = self.allocate_run_key()?;
        let mut insert = self.db.prepare_cached(concat!(
            "INSERT INTO run (key, id, name, first, state, created_at, version) VALUES (?1, ?2, ?3, ?4, ",
            run_state_code!(Running),
            ", ?5, 0)"
        ))?;
        insert.execute(params![key, id.0.as_bytes(), name, first, self.now])?;
        self.db.prepare_cached("INSERT INTO plan (run, body) VALUES (?1, ?2)")?.execute(params![key, body])?;
        Ok(key)
    }

    fn insert_steps(&self, run: &Run, snapshot: &mut Snapshot) -> Result<(), HubError> {
        let mut count = self.db.prepare_cached("INSERT INTO step_count (run, step) VALUES (?1, ?2)")?;
        for (index, _) in (0..).map(StepIndex).zip(&run.graph.steps) {
            count.execute(params![run.key, index.0])?;
        }
        self.insert_rates(run)?;
        self.read_rates(run, snapshot)
    }

    /// Inserts the rates without keys of a run that has none.
    fn insert_rates(&self, run: &Run) -> Result<(), HubError> {
        let mut rate = self.db.prepare_cached(
            "INSERT INTO rate (run, step, scope, count, per_ms, at_most, next, open_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0)",
        )?;
        for (index, step) in (0..).map(StepIndex).zip(&run.graph.steps) {
            let settings = &step.settings;
            if let Some(limits) = StartLimits::of(settings).filter(|_| settings.counted_by().is_none()) {
                let StartLimits { count, per_ms, at_most } = limits;
                rate.execute(params![run.key, index.0, settings.scope, count, per_ms, at_most])?;
            }
        }
        Ok(())
    }

    /// Inserts the rates of a run that was completed or cancelled, and so has none any more, before jobs of it are reset.
    fn renew_rates(&mut self, key: i64) -> Result<(), HubError> {
        if matches!(self.run_state(key)?, RunState::Completed | RunState::Cancelled) {
            let run = self.run(key)?;
            self.delete_rates(key)?;
            self.insert_rates(&run)?;
        }
        Ok(())
    }

    /// Applies reports.
    pub(super) fn complete(&mut self, reports: &[Report]) -> Result<Vec<Verdict>, HubError> {
        let ids: Vec<i64> = reports.iter().map(|report| row_id(report.job)).collect();
        let verdicts = self.change_jobs(&ids, |changes| changes.apply_reports(reports))?;
        for report in reports {
            self.state.extensions.forget(row_id(report.job), signed(report.token.number));
        }
        Ok(verdicts)
    }

    /// Records a piece of a list.
    pub(super) fn record_piece(&mut self, piece: &ListPiece) -> Result<PieceVerdict, HubError> {
        self.change_jobs(&[row_id(piece.job)], |changes| changes.record_piece(piece))
    }

    /// Cancels a job's call, and what depends on it.
    pub(super) fn cancel_job(&mut self, job: JobId) -> Result<Changed, HubError> {
        self.change_jobs(&[row_id(job)], |changes| changes.cancel_job(job))
    }

    /// Requeues a failed job with fresh attempts, or brings back a cancelled one.
    pub(super) fn reset_job(&mut self, job: JobId) -> Result<Changed, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT run FROM job WHERE id = ?1 UNION ALL SELECT run FROM done WHERE id = ?1")?;
        let key: Option<i64> = select.query_row([row_id(job)], |row| row.get(0)).optional()?;
        key.map_or(Ok(()), |key| self.renew_rates(key))?;
        self.change_jobs(&[row_id(job)], |changes| changes.reset_job(job))
    }

    /// Requeues all failed jobs of a run with fresh attempts, and brings back what was cancelled with the run.
    pub(super) fn reset_run(&mut self, id: RunId) -> Result<Changed, HubError> {
        let key = self.expect_run(id)?;
        let mut cancelled = Vec::new();
        if self.run_state(key)? == RunState::Cancelled {
            self.renew_rates(key)?;
            cancelled = self.cancelled_with(key)?;
        }
        let mut select = self.db.prepare_cached("SELECT job FROM failed WHERE run = ?1")?;
        let failed: Vec<i64> = select.query_map([key], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut snapshot = Snapshot::default();
        self.read_run(&mut snapshot, key)?;
        self.read_around(&mut snapshot, &failed)?;
        self.change(snapshot, RequiredReads::default(), |changes| changes.reset_run(key, &failed, &cancelled))
    }

    /// Returns the rows that were cancelled when a run was.
    fn cancelled_with(&mut self, key: i64) -> Result<Vec<i64>, HubError> {
        let run = self.run(key)?;
        let rounds = self.fan_outs_of(key)?.into_iter().map(|fan_out| fan_out.expanded_ids());
        let ranges: Vec<IdRange> = std::iter::once(run.top_level_ids()).chain(rounds).collect();
        let mut select = self.db.prepare_cached(concat!(
            "SELECT done.id FROM done JOIN run ON run.key = done.run WHERE done.id >= ?1 AND done.id < ?2 AND done.state = ",
            state_code!(Cancelled),
            " AND done.ended_at = run.cancelled_at"
        ))?;
        let mut cancelled = Vec::new();
        for (first, end) in ranges {
            let ids = select.query_map([first, end], |row| row.get(0))?;
            cancelled.extend(ids.collect::<Result<Vec<i64>, _>>()?);
        }
        Ok(cancelled)
    }

    /// Runs an operation that begins with these jobs.
    pub(super) fn change_jobs<T>(
        &mut self,
        ids: &[i64],
        operation: impl Fn(&mut ChangeSet<'_>) -> ChangeResult<T>,
    ) -> Result<T, HubError> {
        let mut snapshot = Snapshot::default();
        self.read_around(&mut snapshot, ids)?;
        self.change(snapshot, RequiredReads::default(), operation)
    }
}
