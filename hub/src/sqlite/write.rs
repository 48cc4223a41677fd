//! Writing a [`Draft`] down: each kind of change with one prepared statement, in the order of ids, so that neighbours in the
//! tables are written together.

use bue_model::RunState;
use rusqlite::params;

use super::ledger::Ledger;
use super::state::run_state_code;
use crate::error::HubError;
use crate::jobs::draft::{DoneRow, Draft, JobRow, Stretch, joined};

impl Ledger<'_> {
    /// Writes all changes. Safe because what they were made of was read in this same transaction, and there is one writer.
    pub(super) fn write(&self, draft: &Draft<'_>) -> Result<(), HubError> {
        // before the rows of `job` go, because their logs go along
        self.write_done(draft)?;
        self.delete_jobs(draft)?;
        self.write_jobs(draft)?;
        self.write_fan_outs(draft)?;
        self.write_chunks(draft)?;
        self.write_failed(draft)?;
        for (key, (state, finished_at)) in &draft.run_states {
            let mut update = self.db.prepare_cached("UPDATE run SET state = ?2, finished_at = ?3 WHERE key = ?1")?;
            update.execute(params![key, run_state_code(*state), finished_at])?;
            if matches!(state, RunState::Completed | RunState::Cancelled) {
                self.drop_rates(*key)?;
            }
        }
        Ok(())
    }

    fn write_done(&self, draft: &Draft<'_>) -> Result<(), HubError> {
        let mut delete = self.db.prepare_cached("DELETE FROM done WHERE id = ?1")?;
        for id in draft.done.keys().filter(|id| draft.known.done.contains_key(id)) {
            delete.execute([id])?;
        }
        let mut insert = self.db.prepare_cached(
            "INSERT INTO done (id, run, node, fanout, state, token, worker, attempts, resets, hint, env, value, log,
                 ended_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        )?;
        for row in draft.done.values().flatten() {
            let kept = match &row.log {
                Some(_) => None,
                None => self.log_of(row)?,
            };
            let log = row.log.as_ref().map_or(kept.as_deref(), |log| log.as_deref());
            insert.execute(params![
                row.slot.id,
                row.run,
                row.slot.node.0,
                row.slot.fanout,
                row.state,
                row.token,
                row.worker.as_deref(),
                row.attempts,
                row.resets,
                row.hint.priority,
                row.hint.env,
                row.value,
                log,
                draft.now,
            ])?;
        }
        Ok(())
    }

    /// The log of a row in `job` that goes along to `done`.
    fn log_of(&self, row: &DoneRow) -> Result<Option<Vec<u8>>, HubError> {
        let mut select = self.db.prepare_cached("SELECT log FROM job WHERE id = ?1")?;
        let mut found = select.query([row.slot.id])?;
        Ok(found.next()?.map_or(Ok(None), |row| row.get(0))?)
    }

    fn delete_jobs(&self, draft: &Draft<'_>) -> Result<(), HubError> {
        let gone = draft.jobs.iter().filter(|(id, row)| row.is_none() && draft.known.jobs.contains_key(id));
        let stretches: Vec<Stretch> = joined(gone.map(|(id, _)| (*id, id + 1)), 0);
        let mut delete = self.db.prepare_cached("DELETE FROM job WHERE id >= ?1 AND id < ?2")?;
        for (first, end) in stretches {
            delete.execute([first, end])?;
        }
        Ok(())
    }

    fn write_jobs(&self, draft: &Draft<'_>) -> Result<(), HubError> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO job (id, run, node, fanout, state, waiting_for, scope, priority, rate, hinted, env, env_from,
                 available_at, lease_end, token, reported, worker, attempts, pendings, pending_since, releases, resets,
                 blocked_by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22,
                 ?23)",
        )?;
        for (id, row) in &draft.jobs {
            match row {
                Some(row) if draft.known.jobs.contains_key(id) => self.update_job(row)?,
                Some(row) => {
                    insert.execute(params![
                        row.slot.id,
                        row.run,
                        row.slot.node.0,
                        row.slot.fanout,
                        row.state,
                        row.waiting_for,
                        row.scope,
                        row.priority,
                        row.rate,
                        row.hinted.map(|node| node.0),
                        row.env,
                        row.env_from.map(|node| node.0),
                        row.available_at,
                        row.lease_end,
                        row.token,
                        row.reported,
                        row.worker.as_deref(),
                        row.attempts,
                        row.pendings,
                        row.pending_since,
                        row.releases,
                        row.resets,
                        row.blocked_by,
                    ])?;
                }
                None => {}
            }
        }
        Ok(())
    }

    fn update_job(&self, row: &JobRow) -> Result<(), HubError> {
        let mut update = self.db.prepare_cached(
            "UPDATE job SET state = ?2, waiting_for = ?3, priority = ?4, hinted = ?5, env = ?6, env_from = ?7,
                 available_at = ?8, lease_end = ?9, reported = ?10, attempts = ?11, pendings = ?12, pending_since = ?13,
                 releases = ?14, resets = ?15, blocked_by = ?16, failure = coalesce(?17, failure),
                 log = iif(?18, ?19, log), rate = ?20
             WHERE id = ?1",
        )?;
        update.execute(params![
            row.slot.id,
            row.state,
            row.waiting_for,
            row.priority,
            row.hinted.map(|node| node.0),
            row.env,
            row.env_from.map(|node| node.0),
            row.available_at,
            row.lease_end,
            row.reported,
            row.attempts,
            row.pendings,
            row.pending_since,
            row.releases,
            row.resets,
            row.blocked_by,
            row.failure,
            row.log.is_some(),
            row.log.as_ref().and_then(|log| log.as_deref()),
            row.rate,
        ])?;
        Ok(())
    }

    fn write_fan_outs(&self, draft: &Draft<'_>) -> Result<(), HubError> {
        let mut upsert = self.db.prepare_cached(
            "INSERT INTO fanout (id, run, node, outer, source, first, stride, count, expanded, settled, failed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
             ON CONFLICT (id) DO UPDATE SET expanded = excluded.expanded, settled = excluded.settled,
                 failed = excluded.failed",
        )?;
        for row in draft.fan_outs.values() {
            upsert.execute(params![
                row.id,
                row.run,
                row.node.0,
                row.outer,
                row.source,
                row.first,
                row.stride,
                row.count,
                row.expanded,
                row.settled,
                row.failed,
            ])?;
        }
        Ok(())
    }

    /// A job completes once, unless its call starts again before that.
    fn write_chunks(&self, draft: &Draft<'_>) -> Result<(), HubError> {
        let mut insert = self
            .db
            .prepare_cached("INSERT OR REPLACE INTO chunk (source, first, count, value) VALUES (?1, ?2, ?3, ?4)")?;
        for chunk in &draft.chunks {
            insert.execute(params![chunk.source, chunk.first, chunk.count, chunk.value])?;
        }
        Ok(())
    }

    fn write_failed(&self, draft: &Draft<'_>) -> Result<(), HubError> {
        let mut insert = self.db.prepare_cached("INSERT OR IGNORE INTO failed (run, job) VALUES (?1, ?2)")?;
        let mut delete = self.db.prepare_cached("DELETE FROM failed WHERE run = ?1 AND job = ?2")?;
        for ((run, job), listed) in &draft.failed {
            if *listed {
                insert.execute([run, job])?;
            } else {
                delete.execute([run, job])?;
            }
        }
        Ok(())
    }

    /// Safe to add blindly: the rows are made with the run, and the writer's transaction is the only one there is.
    pub(super) fn write_counts(&mut self) -> Result<(), HubError> {
        let mut update = self.db.prepare_cached(
            "UPDATE step_count SET blocked = blocked + ?3, available = available + ?4, running = running + ?5,
                 completed = completed + ?6, failed = failed + ?7, cancelled = cancelled + ?8,
                 attempts = attempts + ?9, retries = retries + ?10, pendings = pendings + ?11,
                 resets = resets + ?12, run_ms = run_ms + ?13
             WHERE run = ?1 AND step = ?2",
        )?;
        for ((run, step), delta) in std::mem::take(&mut self.counts.0) {
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
