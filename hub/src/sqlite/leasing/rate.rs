//! `!rate` and `!at_most`. Both are limits of starts, and a job waits for one row of `rate`, which has either or both.
//!
//! `!rate`: at most `count` starts of a step in any window of `per_ms` milliseconds. The times of the last `count` starts are a
//! ring buffer, so the next start is allowed once the oldest of them is `per_ms` ago. With `by FIELD` each key has a row of
//! `rate`. A row whose key is idle serves the next new key, so a million keys need few rows.

use bue_model::plan::Settings;
use bue_model::{RateKey, StepIndex};
use rusqlite::{OptionalExtension, params};

use crate::error::HubError;
use crate::jobs::columns::signed;
use crate::jobs::leasing::pick::{
    Order, ReadyJob, StartLimits, is_wanted_in_scope, room_for_running, running_under_rate, select_ready,
    with_waiting_rates,
};
use crate::sqlite::write_tx::WriteTx;
use crate::store::MAX_OPEN_RATES;

/// A row of `rate`.
struct Rate {
    id: i64,
    count: i64,
    per_ms: i64,
    /// Starts so far.
    next: i64,
    at_most: i64,
    /// Running jobs under it.
    running: i64,
}

impl WriteTx<'_> {
    /// Returns the ready jobs of a scope under rates that allow a start now.
    pub(super) fn ready_under_rates(&self, scope: &str, order: Order, limit: usize) -> Result<Vec<ReadyJob>, HubError> {
        let mut select = self.db.prepare_cached(with_waiting_rates!(concat!(
            "SELECT * FROM (SELECT id, count, per_ms, next, at_most, ",
            running_under_rate!(),
            " AS running, open_at FROM rate WHERE id IN (SELECT rate FROM waiting) AND open_at <= ?2 AND ",
            is_wanted_in_scope!("?1"),
            ")
                 WHERE at_most = 0 OR running < at_most ORDER BY open_at, id LIMIT ?3"
        )))?;
        let rates: Vec<Rate> = select
            .query_map(params![scope, self.now, MAX_OPEN_RATES], |row| {
                Ok(Rate {
                    id: row.get(0)?,
                    count: row.get(1)?,
                    per_ms: row.get(2)?,
                    next: row.get(3)?,
                    at_most: row.get(4)?,
                    running: row.get(5)?,
                })
            })?
            .collect::<Result<_, _>>()?;
        let mut ready = Vec::new();
        for rate in rates {
            let room = self.starts_left(&rate, room_for_running(rate.at_most, rate.running, limit))?;
            ready.extend(self.ready_under_rate(rate.id, scope, order, room)?);
        }
        Ok(ready)
    }

    fn ready_under_rate(&self, rate: i64, scope: &str, order: Order, limit: usize) -> Result<Vec<ReadyJob>, HubError> {
        let sql = match order {
            Order::BestFirst => {
                select_ready!("rate = ?1 AND rate > 0 AND scope = ?3 ORDER BY priority DESC, id LIMIT ?2")
            }
            Order::LastFirst => {
                select_ready!("rate = ?1 AND rate > 0 AND scope = ?3 ORDER BY priority, id DESC LIMIT ?2")
            }
        };
        self.ready_jobs(sql, params![rate, signed(limit as u64), scope])
    }

    /// Returns how many starts are allowed now, up to `limit`.
    fn starts_left(&self, rate: &Rate, limit: usize) -> Result<usize, HubError> {
        if rate.count == 0 {
            return Ok(limit);
        }
        let ring = usize::try_from(rate.count).unwrap_or(usize::MAX);
        let mut left = 0;
        for start in (rate.next..).take(limit.min(ring)) {
            match self.start_at(rate.id, start % rate.count.max(1))? {
                Some(at) if at.saturating_add(rate.per_ms) > self.now => break,
                _ => left += 1,
            }
        }
        Ok(left)
    }

    /// Returns the time of a start by its position in the ring.
    fn start_at(&self, rate: i64, position: i64) -> Result<Option<i64>, HubError> {
        let mut select = self.db.prepare_cached("SELECT at FROM rate_start WHERE rate = ?1 AND slot = ?2")?;
        Ok(select.query_row(params![rate, position], |row| row.get(0)).optional()?)
    }

    /// Counts that a job under this rate was leased, unless the row has only a limit of running jobs.
    pub(super) fn count_start(&mut self, rate: i64) -> Result<(), HubError> {
        let mut update = self.db.prepare_cached(
            "UPDATE rate SET next = next + 1 WHERE id = ?1 AND count > 0 RETURNING next, count, per_ms",
        )?;
        let counted = update.query_row([rate], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
        let Some((next, count, per_ms)): Option<(i64, i64, i64)> = counted else { return Ok(()) };
        let mut insert =
            self.db.prepare_cached("INSERT OR REPLACE INTO rate_start (rate, slot, at) VALUES (?1, ?2, ?3)")?;
        insert.execute(params![rate, (next - 1) % count.max(1), self.now])?;
        let oldest = self.start_at(rate, next % count.max(1))?;
        let open_at = oldest.map_or(0, |at| at.saturating_add(per_ms));
        let idle_at = self.now.saturating_add(per_ms);
        let mut update = self.db.prepare_cached("UPDATE rate SET open_at = ?2, idle_at = ?3 WHERE id = ?1")?;
        update.execute(params![rate, open_at, idle_at])?;
        Ok(())
    }

    /// Returns when the next job that waits only for its rate may start.
    pub(super) fn next_rate_opening(&self) -> Result<Option<i64>, HubError> {
        let mut select = self.db.prepare_cached(with_waiting_rates!(
            "SELECT min(open_at) FROM rate WHERE id IN (SELECT rate FROM waiting) AND open_at > ?1"
        ))?;
        Ok(select.query_row([self.now], |row| row.get(0))?)
    }

    /// Returns the row that counts the starts of a step with this key, and inserts it if there is none.
    pub(in crate::sqlite) fn rate_for_key(
        &self,
        run: i64,
        step: StepIndex,
        settings: &Settings,
        RateKey(key): RateKey,
    ) -> Result<i64, HubError> {
        let mut select = self.db.prepare_cached("SELECT id FROM rate WHERE run = ?1 AND step = ?2 AND key = ?3")?;
        if let Some(rate) = select.query_row(params![run, step.0, key], |row| row.get(0)).optional()? {
            return Ok(rate);
        }
        let limits = StartLimits::of(settings).ok_or_else(|| HubError::damaged("a key of a step without a limit"))?;
        let idle_at = limits.used_until(self.now);
        if let Some(rate) = self.reuse_rate(run, step, key, idle_at)? {
            return Ok(rate);
        }
        let mut insert = self.db.prepare_cached(
            "INSERT INTO rate (run, step, key, scope, count, per_ms, at_most, next, open_at, idle_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0, ?8) RETURNING id",
        )?;
        let StartLimits { count, per_ms, at_most } = limits;
        let values = params![run, step.0, key, settings.scope, count, per_ms, at_most, idle_at];
        Ok(insert.query_row(values, |row| row.get(0))?)
    }

    /// Gives an idle row to a new key: one whose starts are all too long ago to count, and that no job is under. Checks a few
    /// candidates only.
    fn reuse_rate(&self, run: i64, step: StepIndex, key: [u8; 16], idle_at: i64) -> Result<Option<i64>, HubError> {
        let mut update = self.db.prepare_cached(
            "UPDATE rate SET key = ?3, idle_at = ?4 WHERE id = (
                 SELECT id FROM (SELECT id FROM rate WHERE run = ?1 AND step = ?2 AND key <> x'' AND idle_at <= ?5
                     ORDER BY idle_at LIMIT 16) AS idle
                 WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.rate = idle.id AND job.rate > 0) LIMIT 1)
             RETURNING id",
        )?;
        let rate = update.query_row(params![run, step.0, key, idle_at, self.now], |row| row.get(0));
        Ok(rate.optional()?)
    }

    /// Deletes the rates of a run of which nothing will start again.
    pub(in crate::sqlite) fn delete_rates(&self, run: i64) -> Result<(), HubError> {
        let mut starts =
            self.db.prepare_cached("DELETE FROM rate_start WHERE rate IN (SELECT id FROM rate WHERE run = ?1)")?;
        starts.execute([run])?;
        self.db.prepare_cached("DELETE FROM rate WHERE run = ?1")?.execute([run])?;
        Ok(())
    }
}
