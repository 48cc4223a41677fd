//! What people and scripts read of runs and jobs.

use bue_model::wire::{JobView, RunView, StepView};
use bue_model::{Failure, JobId, NodeId, RunId, Timestamp, ValueRef};
use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use super::Inner;
use super::read::{ask, state};
use super::verbs::patiently;
use crate::error::HubError;
use crate::jobs::columns::{from_blob, job_id, row_id, unsigned};
use crate::jobs::state::run_state_of_code;

fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Inner {
    pub(super) async fn run_view(&self, id: RunId) -> Result<Option<RunView>, HubError> {
        let sql = "SELECT key, id, name, state, created_at, finished_at, version FROM run WHERE id = $1";
        Ok(patiently!(self.try_views(sql, &id.0))?.pop())
    }

    pub(super) async fn run_views(&self, limit: u32) -> Result<Vec<RunView>, HubError> {
        let sql = "SELECT key, id, name, state, created_at, finished_at, version FROM run ORDER BY key DESC LIMIT $1";
        patiently!(self.try_views(sql, &i64::from(limit)))
    }

    async fn try_views(
        &self,
        sql: &str,
        value: &(dyn tokio_postgres::types::ToSql + Sync),
    ) -> Result<Vec<RunView>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let mut views = Vec::new();
        for row in ask(&tx, sql, &[value]).await? {
            let (key, code): (i64, i64) = (row.try_get(0)?, row.try_get(3)?);
            views.push(RunView {
                id: RunId(row.try_get(1)?),
                name: row.try_get(2)?,
                state: run_state_of_code(code)
                    .ok_or_else(|| HubError::damaged(format!("run {key} is in state {code}")))?,
                created_at: Timestamp(row.try_get(4)?),
                finished_at: row.try_get::<_, Option<i64>>(5)?.map(Timestamp),
                version: unsigned(row.try_get(6)?),
                steps: self.step_views(&tx, key).await?,
            });
        }
        Ok(views)
    }

    async fn step_views(&self, tx: &Transaction<'_>, key: i64) -> Result<Vec<StepView>, HubError> {
        let run = self.run(tx, key).await?;
        let sql = "SELECT blocked, available, running, completed, failed, cancelled, attempts, retries, pendings, resets, run_ms
             FROM step_count WHERE run = $1 ORDER BY step";
        let rows = ask(tx, sql, &[&key]).await?;
        rows.iter().zip(&run.graph.steps).map(|(row, step)| step_view(row, &step.name)).collect()
    }

    pub(super) async fn job_view(&self, id: JobId) -> Result<Option<JobView>, HubError> {
        patiently!(self.try_job_view(id))
    }

    async fn try_job_view(&self, id: JobId) -> Result<Option<JobView>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let sql = "SELECT node, run, state, available_at, attempts, waiting_for, worker, failure, blocked_by FROM job WHERE id = $1
             UNION ALL SELECT node, run, state, ended_at, attempts, 0, worker, NULL, NULL FROM done WHERE id = $1";
        let rows = ask(&tx, sql, &[&row_id(id)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let run = self.run(&tx, row.try_get(1)?).await?;
        let job = run.graph.job(NodeId(small(row.try_get(0)?)));
        let Some(step) = job.and_then(|job| run.graph.step_of(job)) else { return Ok(None) };
        let failure: Option<Failure> = row.try_get::<_, Option<&[u8]>>(7)?.map(from_blob).transpose()?;
        Ok(Some(JobView {
            id,
            run: run.id,
            step: step.name.clone(),
            state: state(row.try_get(2)?)?.shown(),
            available_at: Timestamp(row.try_get(3)?),
            attempts: small(row.try_get(4)?),
            waiting_for: small(row.try_get(5)?),
            worker: row.try_get(6)?,
            failure,
            blocked_by: row.try_get::<_, Option<i64>>(8)?.map(job_id),
        }))
    }

    pub(super) async fn log(&self, id: JobId) -> Result<Option<Option<ValueRef>>, HubError> {
        patiently!(self.try_log(id))
    }

    async fn try_log(&self, id: JobId) -> Result<Option<Option<ValueRef>>, HubError> {
        let client = self.client().await?;
        let sql = "SELECT log FROM job WHERE id = $1 UNION ALL SELECT log FROM done WHERE id = $1";
        let rows = client.query(&client.prepare_cached(sql).await?, &[&row_id(id)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(row.try_get::<_, Option<&[u8]>>(0)?.map(from_blob).transpose()?))
    }
}

pub(super) fn step_view(row: &Row, name: &str) -> Result<StepView, HubError> {
    let count = |column: usize| row.try_get(column).map(unsigned);
    Ok(StepView {
        name: name.to_owned(),
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
