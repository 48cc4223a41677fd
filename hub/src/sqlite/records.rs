//! The audit and the history.

use std::ops::RangeInclusive;

use bue_model::history::HistorySample;
use bue_model::{RunId, Timestamp};
use rusqlite::params;

use super::read_tx::ReadTx;
use super::write_tx::WriteTx;
use crate::error::HubError;
use crate::jobs::columns::{run_id, signed, unsigned};
use crate::jobs::views::position::Position;
use crate::records::audit::{AuditEntry, AuditList, AuditQuery, AuditRow};
use crate::records::history::{TIERS, Tier};

impl ReadTx<'_> {
    /// Returns a page of the audit.
    pub(super) fn audit_page(&self, query: &AuditQuery) -> Result<AuditList, HubError> {
        let request = query.rows('?');
        let rows = self.rows(&request, |row| {
            Ok(AuditRow {
                position: Position { at: row.get(0)?, key: row.get(1)? },
                is_match: row.get(2)?,
                actor: row.get(3)?,
                role: row.get(4)?,
                action: row.get(5)?,
                target: row.get(6)?,
                run: row.get::<_, Option<[u8; 16]>>(7)?.map(run_id),
                detail: row.get(8)?,
            })
        })?;
        Ok(query.page(rows, request.limit))
    }

    /// Returns the samples of a period, oldest first.
    pub(super) fn history(
        &self,
        tier: Tier,
        period: &RangeInclusive<Timestamp>,
    ) -> Result<Vec<HistorySample>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT at, runs, blocked, available, running, completed, failed, cancelled, workers, delayed, handed_back
             FROM history
             WHERE interval_ms = ?1 AND at >= ?2 AND at <= ?3 ORDER BY at",
        )?;
        let rows = select.query_map(params![tier.interval_ms, period.start().0, period.end().0], |row| {
            let count = |column| row.get(column).map(unsigned);
            Ok(HistorySample {
                at: Timestamp(row.get(0)?),
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
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl WriteTx<'_> {
    /// Records a change.
    pub(super) fn record_audit(&self, entry: &AuditEntry) -> Result<(), HubError> {
        let AuditEntry { actor, role, action, run, .. } = entry;
        let run = run.map(|run| *run.0.as_bytes());
        let mut insert = self.db.prepare_cached(
            "INSERT INTO audit (at, actor, role, action, target, run_id, has_run, detail)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, EXISTS (SELECT 1 FROM run WHERE id = ?6), ?7)",
        )?;
        insert.execute(params![self.now, actor, role, action, entry.stored_target(), run, entry.stored_detail()])?;
        Ok(())
    }

    /// Notes that the run of entries is deleted, so that they are kept like those without a run.
    pub(super) fn detach_audit(&self, run: RunId) -> Result<(), HubError> {
        let mut update = self.db.prepare_cached("UPDATE audit SET has_run = 0 WHERE run_id = ?1 AND has_run = 1")?;
        update.execute([run.0.as_bytes()])?;
        Ok(())
    }

    /// Deletes entries without a run that are older than a time. Returns how many.
    pub(super) fn delete_audit(&self, before: Timestamp, limit: u32) -> Result<u64, HubError> {
        let mut delete = self.db.prepare_cached(
            "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE has_run = 0 AND at < ?1 ORDER BY at LIMIT ?2)",
        )?;
        Ok(delete.execute(params![before.0, limit])? as u64)
    }

    /// Records a sample in each tier that has none of this slot, and deletes samples that are too old.
    pub(super) fn record_sample(&self, sample: &HistorySample) -> Result<(), HubError> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO history (interval_ms, at, runs, blocked, available, running, completed, failed, cancelled, workers,
                 delayed, handed_back)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO NOTHING",
        )?;
        let mut delete =
            self.db.prepare_cached("DELETE FROM history WHERE interval_ms = ?1 AND (at < ?2 OR at > ?3)")?;
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
        let counts = [runs, blocked, available, running, completed, failed, cancelled, workers, delayed, handed_back];
        let [runs, blocked, available, running, completed, failed, cancelled, workers, delayed, handed_back] =
            counts.map(signed);
        for tier in TIERS {
            let (interval, slot) = (tier.interval_ms, tier.slot(at).0);
            insert.execute(params![
                interval,
                slot,
                runs,
                blocked,
                available,
                running,
                completed,
                failed,
                cancelled,
                workers,
                delayed,
                handed_back
            ])?;
            let (first, last) = tier.kept(at).into_inner();
            delete.execute(params![interval, first.0, last.0])?;
        }
        Ok(())
    }
}
