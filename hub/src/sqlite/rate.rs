//! `!rate`: at most so many starts of a step in any stretch of so many milliseconds. The times of the last `count` starts are
//! a ring, so the next start is allowed once the oldest of them is `per_ms` ago. With `by FIELD` there is such a row for each
//! key; one that nobody needs any more serves the next new key, so a million keys keep few rows.

use bue_model::plan::Settings;
use bue_model::{RateKey, StepIndex};
use rusqlite::{OptionalExtension, params};

use super::ledger::{Ledger, signed};
use super::pick::{Ready, ready};
use crate::error::HubError;
use crate::store::MAX_OPEN_RATES;

/// The rates that ready jobs wait for, found by one step in an index for each.
macro_rules! waiting {
    ($select:literal) => {
        concat!(
            "WITH RECURSIVE waiting (rate) AS (
                 SELECT * FROM (SELECT rate FROM job WHERE state = 2 AND rate > 0 ORDER BY rate LIMIT 1)
                 UNION ALL
                 SELECT (SELECT rate FROM job WHERE state = 2 AND rate > 0 AND rate > waiting.rate ORDER BY rate LIMIT 1)
                 FROM waiting WHERE waiting.rate IS NOT NULL) ",
            $select
        )
    };
}

impl Ledger<'_> {
    /// Ready jobs of a scope under rates that let something start now.
    pub(super) fn ready_under_rates(&self, scope: &str, reverse: bool, limit: usize) -> Result<Vec<Ready>, HubError> {
        let mut select = self.db.prepare_cached(waiting!(
            "SELECT id, count, per_ms, next FROM rate WHERE id IN (SELECT rate FROM waiting) AND scope = ?1
                 AND open_at <= ?2 ORDER BY open_at, id LIMIT ?3"
        ))?;
        let rates: Vec<(i64, i64, i64, i64)> = select
            .query_map(params![scope, self.now, MAX_OPEN_RATES], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?
            .collect::<Result<_, _>>()?;
        let mut ready = Vec::new();
        for (rate, count, per_ms, next) in rates {
            let room = self.starts_left(rate, count, per_ms, next, limit)?;
            ready.extend(self.rated(rate, reverse, room)?);
        }
        Ok(ready)
    }

    fn rated(&self, rate: i64, reverse: bool, limit: usize) -> Result<Vec<Ready>, HubError> {
        let sql = if reverse {
            ready!("rate = ?1 AND rate > 0 ORDER BY priority, id DESC LIMIT ?2")
        } else {
            ready!("rate = ?1 AND rate > 0 ORDER BY priority DESC, id LIMIT ?2")
        };
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map(params![rate, signed(limit as u64)], Ready::read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many starts are allowed now, up to `limit`.
    fn starts_left(&self, rate: i64, count: i64, per_ms: i64, next: i64, limit: usize) -> Result<usize, HubError> {
        let ring = usize::try_from(count).unwrap_or(usize::MAX);
        let mut left = 0;
        for start in (next..).take(limit.min(ring)) {
            match self.start_at(rate, start % count.max(1))? {
                Some(at) if at.saturating_add(per_ms) > self.now => break,
                _ => left += 1,
            }
        }
        Ok(left)
    }

    fn start_at(&self, rate: i64, slot: i64) -> Result<Option<i64>, HubError> {
        let mut select = self.db.prepare_cached("SELECT at FROM rate_start WHERE rate = ?1 AND slot = ?2")?;
        Ok(select.query_row(params![rate, slot], |row| row.get(0)).optional()?)
    }

    /// A job under this rate was leased.
    pub(super) fn count_start(&mut self, rate: i64) -> Result<(), HubError> {
        let mut update =
            self.db.prepare_cached("UPDATE rate SET next = next + 1 WHERE id = ?1 RETURNING next, count, per_ms")?;
        let (next, count, per_ms): (i64, i64, i64) =
            update.query_row([rate], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
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

    /// When the next job that only waits for its rate may start.
    pub(super) fn next_rated(&self) -> Result<Option<i64>, HubError> {
        let mut select = self.db.prepare_cached(waiting!(
            "SELECT min(open_at) FROM rate WHERE id IN (SELECT rate FROM waiting) AND open_at > ?1"
        ))?;
        Ok(select.query_row([self.now], |row| row.get(0))?)
    }

    /// The row that counts the starts of a step's jobs with this key.
    pub(super) fn rate_of_key(
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
        let limit = settings.rate.as_ref().ok_or_else(|| HubError::damaged("a rate that is none"))?;
        // as if it had just been used: the jobs that will count there are not stored yet
        let idle_at = self.now.saturating_add(signed(limit.per_ms));
        if let Some(rate) = self.reuse_rate(run, step, key, idle_at)? {
            return Ok(rate);
        }
        let mut insert = self.db.prepare_cached(
            "INSERT INTO rate (run, step, key, scope, count, per_ms, next, open_at, idle_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, ?7) RETURNING id",
        )?;
        let values = params![run, step.0, key, settings.scope, limit.count, signed(limit.per_ms), idle_at];
        Ok(insert.query_row(values, |row| row.get(0))?)
    }

    /// Gives a row to a new key if its starts are all too long ago to count and no job is under it. Looks at a few only.
    fn reuse_rate(&self, run: i64, step: StepIndex, key: [u8; 16], idle_at: i64) -> Result<Option<i64>, HubError> {
        let mut update = self.db.prepare_cached(
            "UPDATE rate SET key = ?3, idle_at = ?4 WHERE id = (
                 SELECT id FROM (SELECT id FROM rate WHERE run = ?1 AND step = ?2 AND key <> x'' AND idle_at <= ?5
                     ORDER BY idle_at LIMIT 16) AS idle
                 WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.rate = idle.id AND job.rate > 0) LIMIT 1)
             RETURNING id",
        )?;
        let found = update.query_row(params![run, step.0, key, idle_at, self.now], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// Nothing of the run will ever start again.
    pub(super) fn drop_rates(&self, run: i64) -> Result<(), HubError> {
        let mut starts =
            self.db.prepare_cached("DELETE FROM rate_start WHERE rate IN (SELECT id FROM rate WHERE run = ?1)")?;
        starts.execute([run])?;
        self.db.prepare_cached("DELETE FROM rate WHERE run = ?1")?.execute([run])?;
        Ok(())
    }
}
