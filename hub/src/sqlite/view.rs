//! What people and scripts read of runs and jobs.

use bue_model::wire::{JobView, RunView, StepView};
use bue_model::{JobId, NodeId, RunId, Timestamp, ValueRef};
use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use super::ledger::{Ledger, from_blob, job_id, row_id, run_id, unsigned};
use super::state::{State, run_state};
use crate::error::HubError;

impl Ledger<'_> {
    pub(super) fn run_view(&mut self, id: RunId) -> Result<Option<RunView>, HubError> {
        let mut select = self
            .db
            .prepare_cached("SELECT key, id, name, state, created_at, finished_at, version FROM run WHERE id = ?1")?;
        let Some((key, mut view)) = select.query_row([id.0.as_bytes()], read_run).optional()? else { return Ok(None) };
        view.steps = self.step_views(key)?;
        Ok(Some(view))
    }

    pub(super) fn run_views(&mut self, limit: u32) -> Result<Vec<RunView>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT key, id, name, state, created_at, finished_at, version FROM run ORDER BY key DESC LIMIT ?1",
        )?;
        let runs: Vec<_> = select.query_map([limit], read_run)?.collect::<Result<_, _>>()?;
        runs.into_iter().map(|(key, view)| Ok(RunView { steps: self.step_views(key)?, ..view })).collect()
    }

    fn step_views(&mut self, key: i64) -> Result<Vec<StepView>, HubError> {
        let run = self.run(key)?;
        let mut select = self.db.prepare_cached(
            "SELECT blocked, available, running, completed, failed, cancelled, attempts, retries, pendings, resets, run_ms
             FROM step_count WHERE run = ?1 ORDER BY step",
        )?;
        let views = select.query_map([key], read_step)?.collect::<Result<Vec<_>, _>>()?;
        let names = run.graph.steps.iter().map(|step| step.name.clone());
        Ok(views.into_iter().zip(names).map(|(view, name)| StepView { name, ..view }).collect())
    }

    pub(super) fn job_view(&mut self, id: JobId) -> Result<Option<JobView>, HubError> {
        let row = row_id(id);
        let Some((node, run, view)) =
            self.open_job_view(id, row)?.map_or_else(|| self.done_job_view(id, row), found)?
        else {
            return Ok(None);
        };
        let run = self.run(run)?;
        let step = run.graph.job(node).and_then(|job| run.graph.step_of(job));
        Ok(step.map(|step| JobView { run: run.id, step: step.name.clone(), ..view }))
    }

    fn open_job_view(&self, id: JobId, row: i64) -> Result<Option<(NodeId, i64, JobView)>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT node, run, state, available_at, attempts, waiting_for, worker, blocked_by, failure
             FROM job WHERE id = ?1",
        )?;
        let found = select.query_row([row], |row| {
            let state: State = row.get(2)?;
            let view = JobView {
                id,
                run: RunId(Uuid::nil()),
                step: String::new(),
                state: state.shown(),
                available_at: Timestamp(row.get(3)?),
                attempts: row.get(4)?,
                waiting_for: row.get(5)?,
                worker: row.get(6)?,
                failure: None,
                blocked_by: row.get::<_, Option<i64>>(7)?.map(job_id),
            };
            Ok((NodeId(row.get(0)?), row.get(1)?, view, row.get::<_, Option<Vec<u8>>>(8)?))
        });
        let Some((node, run, view, failure)) = found.optional()? else { return Ok(None) };
        let failure = failure.map(|failure| from_blob(&failure)).transpose()?;
        Ok(Some((node, run, JobView { failure, ..view })))
    }

    fn done_job_view(&self, id: JobId, row: i64) -> Result<Option<(NodeId, i64, JobView)>, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT node, run, state, ended_at, attempts, worker FROM done WHERE id = ?1")?;
        let view = select.query_row([row], |row| {
            let state: State = row.get(2)?;
            let view = JobView {
                id,
                run: RunId(Uuid::nil()),
                step: String::new(),
                state: state.shown(),
                available_at: Timestamp(row.get(3)?),
                attempts: row.get(4)?,
                waiting_for: 0,
                worker: row.get(5)?,
                failure: None,
                blocked_by: None,
            };
            Ok((NodeId(row.get(0)?), row.get(1)?, view))
        });
        Ok(view.optional()?)
    }

    pub(super) fn log(&self, id: JobId) -> Result<Option<Option<ValueRef>>, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT log FROM job WHERE id = ?1 UNION ALL SELECT log FROM done WHERE id = ?1")?;
        let found: Option<Option<Vec<u8>>> = select.query_row(params![row_id(id)], |row| row.get(0)).optional()?;
        found.map(|log| log.map(|log| from_blob(&log)).transpose()).transpose()
    }
}

fn found<T>(value: T) -> Result<Option<T>, HubError> {
    Ok(Some(value))
}

fn read_run(row: &Row<'_>) -> rusqlite::Result<(i64, RunView)> {
    let view = RunView {
        id: run_id(row.get(1)?),
        name: row.get(2)?,
        state: run_state(row.get(3)?)?,
        created_at: Timestamp(row.get(4)?),
        finished_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        version: unsigned(row.get(6)?),
        steps: Vec::new(),
    };
    Ok((row.get(0)?, view))
}

fn read_step(row: &Row<'_>) -> rusqlite::Result<StepView> {
    let count = |column| row.get(column).map(unsigned);
    Ok(StepView {
        name: String::new(),
        blocked: count(0)?,
        available: count(1)?,
        running: count(2)?,
        completed: count(3)?,
        failed: count(4)?,
        cancelled: count(5)?,
        attempts: count(6)?,
        retries: count(7)?,
        pendings: count(8)?,
        resets: count(9)?,
        run_ms: count(10)?,
    })
}
