//! Requests that change runs and jobs through a change set.

use bue_model::wire::{Changed, ListPiece, PieceVerdict};
use bue_model::{JobId, RunId, RunState};
use deadpool_postgres::Transaction;

use super::change::Start;
use super::connection::retry::retry_transient;
use super::query::{fan_outs_of, query};
use super::state::PostgresState;
use super::submit::insert_rates;
use crate::error::HubError;
use crate::jobs::changes::change_set::ChangeSet;
use crate::jobs::changes::snapshot::{RequiredReads, Snapshot};
use crate::jobs::columns::row_id;
use crate::jobs::instance::Run;
use crate::jobs::state::state_code;

impl PostgresState {
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

    /// Records a piece of a list.
    pub(super) async fn record_piece(&self, now: i64, piece: &ListPiece) -> Result<PieceVerdict, HubError> {
        retry_transient!(self.change_jobs(now, &[row_id(piece.job)], &|changes| changes.record_piece(piece)))
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

/// Inserts the rates of a run that was completed or cancelled, and so has none any more, before jobs of it are reset.
async fn renew_rates(tx: &Transaction<'_>, key: i64, snapshot: &mut Snapshot) -> Result<(), HubError> {
    let state = snapshot.run_states.get(&key).copied();
    let Some(run) = snapshot.runs.get(&key).cloned() else { return Ok(()) };
    match state {
        Some(RunState::Completed | RunState::Cancelled) => insert_rates(tx, &[run], snapshot).await,
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
