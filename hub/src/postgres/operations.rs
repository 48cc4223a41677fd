//! Requests that change runs and jobs through a change set.

use std::sync::Arc;

use bue_model::text::truncate_bytes;
use bue_model::wire::{Changed, Submission};
use bue_model::{JobId, RunId, RunState, StepIndex};
use deadpool_postgres::Transaction;

use super::change::Start;
use super::connection::retry::retry_transient;
use super::query::{execute, fan_outs_of, query};
use super::read::allocate_ids;
use super::state::PostgresState;
use crate::error::HubError;
use crate::jobs::changes::change_set::ChangeSet;
use crate::jobs::changes::pending_notifications::PendingNotifications;
use crate::jobs::changes::snapshot::{RequiredReads, Snapshot};
use crate::jobs::columns::{row_id, to_postcard};
use crate::jobs::graph::{Block, Graph, MAX_NAME};
use crate::jobs::instance::Run;
use crate::jobs::leasing::pick::StartLimits;
use crate::jobs::original::Original;
use crate::jobs::state::{run_state_code, state_code};
use crate::pipelines::with_values;

impl PostgresState {
    /// Inserts a run and its top level. A run that exists is left as it is, so submitting is idempotent: `run.id` is unique,
    /// and the second transaction waits for the commit of the first.
    pub(super) async fn submit(&self, now: i64, submission: &Submission) -> Result<RunId, HubError> {
        if retry_transient!(self.run_key(submission.run))?.is_some() {
            return Ok(submission.run);
        }
        retry_transient!(self.try_submit(now, submission))
    }

    async fn try_submit(&self, now: i64, submission: &Submission) -> Result<RunId, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        if let Some((_, pending_notifications)) = self.submit_in(&tx, now, submission, None).await? {
            self.commit(tx).await?;
            self.announce(pending_notifications);
        }
        Ok(submission.run)
    }

    /// Inserts a run in a transaction that does more; with `original`, a rerun of that run. Returns its key; `None` if the run exists.
    pub(super) async fn submit_in(
        &self,
        tx: &Transaction<'_>,
        now: i64,
        submission: &Submission,
        original: Option<Original>,
    ) -> Result<Option<(i64, PendingNotifications)>, HubError> {
        let id = submission.run;
        // a text column takes no NUL
        let mut name = submission.name.replace('\0', "");
        truncate_bytes(&mut name, MAX_NAME);
        let body = to_postcard(&(&submission.plan, &submission.code))?;
        let graph = Graph::new(with_values(submission.plan.clone())?, submission.code.clone())?;
        let first = allocate_ids(tx, graph.blocks.first().map_or(0, Block::stride)).await?;
        let sql = concat!(
            "INSERT INTO run (id, name, first, state, created_at, version) VALUES ($1, $2, $3, ",
            run_state_code!(Running),
            ", $4, 0) ON CONFLICT (id) DO NOTHING RETURNING key"
        );
        let rows = query(tx, sql, &[&id.0, &name, &first, &now]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let key: i64 = row.try_get(0)?;
        execute(tx, "INSERT INTO plan (run, body) VALUES ($1, $2)", &[&key, &body]).await?;
        let mut snapshot = Snapshot::default();
        let run = Arc::new(Run { key, id, first, graph, original });
        insert_steps(tx, &run, &mut snapshot).await?;
        snapshot.runs.insert(key, run.clone());
        snapshot.run_states.insert(key, RunState::Running);
        snapshot.fresh_since.insert(key, now);
        snapshot.new_runs.insert(key);
        let start_run = |changes: &mut ChangeSet<'_>| changes.start_run(&run);
        let ((), pending_notifications) =
            self.apply(tx, now, Start { snapshot, required: RequiredReads::default() }, &start_run).await?;
        Ok(Some((key, pending_notifications)))
    }

    /// Returns the key of a run.
    pub(super) async fn run_key(&self, run: RunId) -> Result<Option<i64>, HubError> {
        let client = self.client().await?;
        let statement = client.prepare_cached("SELECT key FROM run WHERE id = $1").await?;
        let row = client.query_opt(&statement, &[&run.0]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    }

    /// Returns the key of a run that a user named.
    pub(super) async fn expect_run(&self, run: RunId) -> Result<i64, HubError> {
        retry_transient!(self.run_key(run))?.ok_or(HubError::RunNotFound(run))
    }

    /// Cancels a job's call, and what depends on it.
    pub(super) async fn cancel_job(&self, now: i64, job: JobId) -> Result<Changed, HubError> {
        retry_transient!(self.change_jobs(now, &[row_id(job)], &|changes| changes.cancel_job(job)))
    }

    /// Requeues a failed job with fresh attempts, or brings back a cancelled one.
    pub(super) async fn reset_job(&self, now: i64, job: JobId) -> Result<Changed, HubError> {
        let key = retry_transient!(self.run_of(row_id(job)))?.ok_or(HubError::JobNotFound(job))?;
        retry_transient!(self.try_reset_job(now, key, job))
    }

    async fn try_reset_job(&self, now: i64, key: i64, job: JobId) -> Result<Changed, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let mut snapshot = self.lock(&tx, key).await?;
        renew_rates(&tx, key, &mut snapshot).await?;
        let required = RequiredReads { done: [row_id(job)].into(), ..RequiredReads::jobs([row_id(job)]) };
        let reset = |changes: &mut ChangeSet<'_>| changes.reset_job(job);
        let (changed, pending_notifications) = self.apply(&tx, now, Start { snapshot, required }, &reset).await?;
        self.commit(tx).await?;
        self.announce(pending_notifications);
        Ok(changed)
    }

    /// Requeues all failed jobs of a run with fresh attempts, and brings back what was cancelled with the run.
    pub(super) async fn reset_run(&self, now: i64, run: RunId) -> Result<Changed, HubError> {
        let key = self.expect_run(run).await?;
        retry_transient!(self.try_reset_run(now, key))
    }

    async fn try_reset_run(&self, now: i64, key: i64) -> Result<Changed, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let mut snapshot = self.lock(&tx, key).await?;
        let mut cancelled = Vec::new();
        if snapshot.run_states.get(&key) == Some(&RunState::Cancelled) {
            renew_rates(&tx, key, &mut snapshot).await?;
            cancelled = cancelled_with(&tx, &*self.run(&tx, key).await?).await?;
        }
        let rows = query(&tx, "SELECT job FROM failed WHERE run = $1 ORDER BY job", &[&key]).await?;
        let failed: Vec<i64> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        let done = cancelled.iter().copied().collect();
        let required = RequiredReads { done, ..RequiredReads::jobs(failed.iter().copied()) };
        let reset = |changes: &mut ChangeSet<'_>| changes.reset_run(key, &failed, &cancelled);
        let (changed, pending_notifications) = self.apply(&tx, now, Start { snapshot, required }, &reset).await?;
        self.commit(tx).await?;
        self.announce(pending_notifications);
        Ok(changed)
    }
}

/// Inserts the counts of a run's steps, and their rates without keys.
async fn insert_steps(tx: &Transaction<'_>, run: &Run, snapshot: &mut Snapshot) -> Result<(), HubError> {
    let steps: Vec<i64> = (0..).take(run.graph.steps.len()).collect();
    execute(tx, "INSERT INTO step_count (run, step) SELECT $1, unnest($2::int8[])", &[&run.key, &steps]).await?;
    insert_rates(tx, run, snapshot).await
}

/// Inserts the rates of a run that was completed or cancelled, and so has none any more, before jobs of it are reset.
async fn renew_rates(tx: &Transaction<'_>, key: i64, snapshot: &mut Snapshot) -> Result<(), HubError> {
    let state = snapshot.run_states.get(&key).copied();
    let Some(run) = snapshot.runs.get(&key).cloned() else { return Ok(()) };
    match state {
        Some(RunState::Completed | RunState::Cancelled) => insert_rates(tx, &run, snapshot).await,
        _ => Ok(()),
    }
}

/// Returns the rows that were cancelled when a run was.
async fn cancelled_with(tx: &Transaction<'_>, run: &Run) -> Result<Vec<i64>, HubError> {
    let rounds = fan_outs_of(tx, run.key).await?.into_iter().map(|fan_out| fan_out.expanded_ids());
    let (firsts, ends): (Vec<i64>, Vec<i64>) = std::iter::once(run.top_level_ids()).chain(rounds).unzip();
    let sql = concat!(
        "SELECT done.id FROM unnest($1::int8[], $2::int8[]) AS wanted (first, stop)
         JOIN done ON done.id >= wanted.first AND done.id < wanted.stop JOIN run ON run.key = done.run
         WHERE done.state = ",
        state_code!(Cancelled),
        " AND done.ended_at = run.cancelled_at"
    );
    query(tx, sql, &[&firsts, &ends]).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

/// Inserts the rates without keys of a run that has none.
async fn insert_rates(tx: &Transaction<'_>, run: &Run, snapshot: &mut Snapshot) -> Result<(), HubError> {
    let key = run.key;
    for (index, step) in (0..).map(StepIndex).zip(&run.graph.steps) {
        let settings = &step.settings;
        if let Some(limits) = StartLimits::of(settings).filter(|_| settings.counted_by().is_none()) {
            let sql = "INSERT INTO rate (run, step, scope, count, per_ms, at_most, next, open_at)
                 VALUES ($1, $2, $3, $4, $5, $6, 0, 0) RETURNING id";
            let StartLimits { count, per_ms, at_most } = limits;
            let step = i64::from(index.0);
            let rows = query(tx, sql, &[&key, &step, &settings.scope, &count, &per_ms, &at_most]).await?;
            let rate = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
            snapshot.rates.insert((key, index.0), rate);
        }
    }
    Ok(())
}
