//! Starting runs that repeat others.

use bue_model::pipeline::Invoked;
use bue_model::{BlobRef, Plan, RunId, RunState};
use deadpool_postgres::Transaction;
use uuid::Uuid;

use super::connection::retry::retry_transient;
use super::query::{execute, query, run_state};
use super::schema::insert_params;
use super::state::PostgresState;
use super::submit::{InsertedRuns, NewRun};
use crate::error::HubError;
use crate::jobs::changes::pending_notifications::PendingNotifications;
use crate::jobs::columns::{from_postcard, small};
use crate::jobs::original::Original;
use crate::jobs::param_index::stored_param_rows;
use crate::reruns::{Rerun, StoredPlan, merged_params};

impl PostgresState {
    /// Starts a run that repeats another one. A run that exists is left as it is, so the request is idempotent.
    pub(super) async fn rerun(&self, now: i64, rerun: &Rerun) -> Result<Invoked, HubError> {
        retry_transient!(self.try_rerun(now, rerun))
    }

    async fn try_rerun(&self, now: i64, rerun: &Rerun) -> Result<Invoked, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let exists = !query(&tx, "SELECT 1 FROM run WHERE id = $1", &[&rerun.run.0]).await?.is_empty();
        let started = if exists { None } else { self.start_rerun(&tx, now, rerun).await? };
        if started.is_none() {
            expect_same_rerun(&tx, rerun).await?;
        }
        let rows = query(&tx, "SELECT state FROM run WHERE id = $1", &[&rerun.run.0]).await?;
        let row = rows.first().ok_or_else(|| HubError::damaged("a rerun was not inserted"))?;
        let invoked = Invoked { run: rerun.run, state: run_state(rerun.run, row.try_get(0)?)? };
        self.commit(tx).await?;
        self.announce(started.unwrap_or_default());
        Ok(invoked)
    }

    /// Inserts a rerun; `None` if another hub was faster. The original run cannot be deleted before this transaction ends, and its
    /// blobs are kept from then on, because it is a lender.
    async fn start_rerun(
        &self,
        tx: &Transaction<'_>,
        now: i64,
        rerun: &Rerun,
    ) -> Result<Option<PendingNotifications>, HubError> {
        let sql = "SELECT key, name, first, version, state FROM run WHERE id = $1 FOR SHARE";
        let rows = query(tx, sql, &[&rerun.original.0]).await?;
        let row = rows.first().ok_or(HubError::RunNotFound(rerun.original))?;
        let (original_key, first, version): (i64, i64, i64) = (row.try_get(0)?, row.try_get(2)?, row.try_get(3)?);
        if run_state(rerun.original, row.try_get(4)?)? == RunState::Running {
            return Err(HubError::OriginalRunning(rerun.original));
        }
        let (plan, code) = plan_body(tx, original_key).await?;
        let (submission, reusable) = rerun.submission(row.try_get(1)?, plan, code)?;
        let original = Original { first, version, reusable };
        let new = NewRun::new(&submission, Some(original.clone()), None)?;
        let InsertedRuns { keys, pending_notifications } = self.insert_runs(tx, now, vec![new]).await?;
        let Some(&key) = keys.get(&rerun.run) else { return Ok(None) };
        let sql =
            "INSERT INTO rerun (run, original, first, version, reusable, request) VALUES ($1, $2, $3, $4, $5, $6)";
        let (reusable, request) = (original.reusable.as_bytes(), rerun.request_json());
        execute(tx, sql, &[&key, &rerun.original.0, &first, &version, &reusable, &request]).await?;
        let sql = "INSERT INTO lender (run, lender)
             SELECT $1::int8, lender FROM lender WHERE run = $3 UNION SELECT $1::int8, $2::uuid";
        execute(tx, sql, &[&key, &rerun.original.0, &original_key]).await?;
        copy_invocation(tx, now, original_key, key, rerun).await?;
        Ok(Some(pending_notifications))
    }

    /// Returns the plan of a run.
    pub(super) async fn stored_plan(&self, run: RunId) -> Result<Option<StoredPlan>, HubError> {
        retry_transient!(self.try_stored_plan(run))
    }

    async fn try_stored_plan(&self, run: RunId) -> Result<Option<StoredPlan>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let sql = "SELECT run.name, plan.body, invocation.pipeline, invocation.version, rerun.original, rerun.request
             FROM run JOIN plan ON plan.run = run.key LEFT JOIN invocation ON invocation.run = run.key
             LEFT JOIN rerun ON rerun.run = run.key WHERE run.id = $1";
        let rows = query(&tx, sql, &[&run.0]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (plan, code) = from_postcard(row.try_get(1)?)?;
        let pipeline: Option<(String, i64)> = row.try_get::<_, Option<String>>(2)?.zip(row.try_get(3)?);
        let rerun: Option<(Uuid, String)> = row.try_get::<_, Option<Uuid>>(4)?.zip(row.try_get(5)?);
        Ok(Some(StoredPlan {
            name: row.try_get(0)?,
            plan,
            code,
            pipeline: pipeline.map(|(name, version)| (name, small(version))),
            rerun: rerun.map(|(original, request)| (RunId(original), request)),
        }))
    }
}

/// A rerun of a run of a pipeline is a run of the same version.
async fn copy_invocation(
    tx: &Transaction<'_>,
    now: i64,
    original: i64,
    key: i64,
    rerun: &Rerun,
) -> Result<(), HubError> {
    let rows = query(tx, "SELECT params FROM invocation WHERE run = $1", &[&original]).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let params = merged_params(row.try_get(0)?, rerun)?;
    let sql = "INSERT INTO invocation (run, pipeline, version, params, priority, created_at)
         SELECT $2, pipeline, version, $3, priority, $4 FROM invocation WHERE run = $1";
    execute(tx, sql, &[&original, &key, &params, &now]).await?;
    insert_params(tx, now, &[(key, stored_param_rows(&params)?)]).await
}

/// Checks that a run that exists was started by the same request.
async fn expect_same_rerun(tx: &Transaction<'_>, rerun: &Rerun) -> Result<(), HubError> {
    let sql = "SELECT 1 FROM rerun JOIN run ON run.key = rerun.run
         WHERE run.id = $1 AND rerun.original = $2 AND rerun.request = $3";
    match query(tx, sql, &[&rerun.run.0, &rerun.original.0, &rerun.request_json()]).await?.is_empty() {
        true => Err(HubError::OtherRerun(rerun.run)),
        false => Ok(()),
    }
}

/// Returns the plan of a run and its code.
async fn plan_body(tx: &Transaction<'_>, key: i64) -> Result<(Plan, Vec<BlobRef>), HubError> {
    let rows = query(tx, "SELECT body FROM plan WHERE run = $1", &[&key]).await?;
    let row = rows.first().ok_or_else(|| HubError::damaged(format!("run {key} has no plan")))?;
    from_postcard(row.try_get(0)?)
}
