//! The audit and the history.

use std::ops::RangeInclusive;

use bue_model::history::HistorySample;
use bue_model::{RunId, Timestamp};
use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::connection::retry::retry_transient;
use super::query::{execute, query, rows_of};
use super::state::PostgresState;
use crate::error::HubError;
use crate::jobs::columns::{signed, unsigned};
use crate::jobs::views::position::Position;
use crate::records::audit::{AuditEntry, AuditList, AuditQuery, AuditRow};
use crate::records::history::{TIERS, Tier};

impl PostgresState {
    /// Records a change.
    pub(super) async fn record_audit(&self, now: i64, entry: &AuditEntry) -> Result<(), HubError> {
        retry_transient!(self.try_record_audit(now, entry))
    }

    async fn try_record_audit(&self, now: i64, entry: &AuditEntry) -> Result<(), HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        // A run is locked to be deleted. Whoever comes second sees what the first one did: no run, or this entry.
        let sql = "WITH existing AS (SELECT 1 FROM run WHERE id = $6 FOR KEY SHARE)
             INSERT INTO audit (at, actor, role, action, target, run_id, has_run, detail)
             VALUES ($1, $2, $3, $4, $5, $6, EXISTS (SELECT FROM existing), $7)";
        let AuditEntry { actor, role, action, run, .. } = entry;
        let (run, target, detail) = (run.map(|run| run.0), entry.stored_target(), entry.stored_detail());
        execute(&tx, sql, &[&now, actor, role, action, &target, &run, &detail]).await?;
        self.commit(tx).await
    }

    /// Returns a page of the audit.
    pub(super) async fn audit_page(&self, request: AuditQuery) -> Result<AuditList, HubError> {
        retry_transient!(self.try_audit_page(&request))
    }

    async fn try_audit_page(&self, request: &AuditQuery) -> Result<AuditList, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let wanted = request.rows('$');
        let rows = rows_of(&tx, &wanted).await?;
        let rows = rows.iter().map(audit_row).collect::<Result<_, HubError>>()?;
        Ok(request.page(rows, wanted.limit))
    }

    /// Deletes entries without a run that are older than a time. Returns how many.
    pub(super) async fn delete_audit(&self, before: Timestamp, limit: u32) -> Result<u64, HubError> {
        retry_transient!(self.try_delete_audit(before, limit))
    }

    async fn try_delete_audit(&self, before: Timestamp, limit: u32) -> Result<u64, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let sql = "DELETE FROM audit WHERE id IN
             (SELECT id FROM audit WHERE NOT has_run AND at < $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)";
        let deleted = execute(&tx, sql, &[&before.0, &i64::from(limit)]).await?;
        self.commit(tx).await?;
        Ok(deleted)
    }

    /// Records a sample in each tier that has none of this slot, and deletes samples that are too old.
    pub(super) async fn record_sample(&self, sample: &HistorySample) -> Result<(), HubError> {
        retry_transient!(self.try_record_sample(sample))
    }

    async fn try_record_sample(&self, sample: &HistorySample) -> Result<(), HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let HistorySample {
            at,
            runs,
            blocked,
            available,
            running,
            completed,
            failed,
            cancelled,
            workers,
            delayed,
            handed_back,
        } = *sample;
        let counts = [runs, blocked, available, running, completed, failed, cancelled, workers, delayed, handed_back]
            .map(signed);
        let [runs, blocked, available, running, completed, failed, cancelled, workers, delayed, handed_back] = &counts;
        for tier in TIERS {
            let (interval, slot) = (tier.interval_ms, tier.slot(at).0);
            let sql = "INSERT INTO history
                 (interval_ms, at, runs, blocked, available, running, completed, failed, cancelled, workers,
                  delayed, handed_back)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING";
            let counts: [&(dyn ToSql + Sync); 12] = [
                &interval,
                &slot,
                runs,
                blocked,
                available,
                running,
                completed,
                failed,
                cancelled,
                workers,
                delayed,
                handed_back,
            ];
            execute(&tx, sql, &counts).await?;
            let (first, last) = tier.kept(at).into_inner();
            // hubs that sample at the same moment do not wait for each other
            let sql = "DELETE FROM history WHERE (interval_ms, at) IN (SELECT interval_ms, at FROM history
                 WHERE interval_ms = $1 AND (at < $2 OR at > $3) FOR UPDATE SKIP LOCKED)";
            execute(&tx, sql, &[&interval, &first.0, &last.0]).await?;
        }
        self.commit(tx).await
    }

    /// Returns the samples of a period, oldest first.
    pub(super) async fn history(
        &self,
        tier: Tier,
        period: RangeInclusive<Timestamp>,
    ) -> Result<Vec<HistorySample>, HubError> {
        retry_transient!(self.try_history(tier, &period))
    }

    async fn try_history(
        &self,
        tier: Tier,
        period: &RangeInclusive<Timestamp>,
    ) -> Result<Vec<HistorySample>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let sql =
            "SELECT at, runs, blocked, available, running, completed, failed, cancelled, workers, delayed, handed_back
             FROM history
             WHERE interval_ms = $1 AND at >= $2 AND at <= $3 ORDER BY at";
        let rows = query(&tx, sql, &[&tier.interval_ms, &period.start().0, &period.end().0]).await?;
        rows.iter().map(sample_row).collect()
    }
}

/// Notes that the run of entries is deleted, so that they are kept like those without a run.
pub(super) async fn detach_audit(tx: &Transaction<'_>, run: RunId) -> Result<(), HubError> {
    execute(tx, "UPDATE audit SET has_run = false WHERE run_id = $1 AND has_run", &[&run.0]).await.map(drop)
}

fn audit_row(row: &Row) -> Result<AuditRow, HubError> {
    Ok(AuditRow {
        position: Position { at: row.try_get(0)?, key: row.try_get(1)? },
        is_match: row.try_get(2)?,
        actor: row.try_get(3)?,
        role: row.try_get(4)?,
        action: row.try_get(5)?,
        target: row.try_get(6)?,
        run: row.try_get::<_, Option<Uuid>>(7)?.map(RunId),
        detail: row.try_get(8)?,
    })
}

fn sample_row(row: &Row) -> Result<HistorySample, HubError> {
    let count = |column: usize| row.try_get(column).map(unsigned);
    Ok(HistorySample {
        at: Timestamp(row.try_get(0)?),
        runs: count(1)?,
        blocked: count(2)?,
        available: count(3)?,
        running: count(4)?,
        completed: count(5)?,
        failed: count(6)?,
        cancelled: count(7)?,
        workers: count(8)?,
        delayed: count(9)?,
        handed_back: count(10)?,
    })
}
