//! `!rate`: at most so many starts of a step in any stretch of so many milliseconds. The times of the last `count` starts are
//! a ring, so the next start is allowed once the oldest of them is `per_ms` ago.

use rusqlite::{OptionalExtension, params};

use super::ledger::{Ledger, signed};
use crate::error::HubError;

impl Ledger<'_> {
    /// Ready jobs of a scope under rates that let something start now: priority and id.
    pub(super) fn ready_under_rates(
        &self,
        scope: &str,
        reverse: bool,
        limit: usize,
    ) -> Result<Vec<(i64, i64)>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT id, count, per_ms, next FROM rate WHERE scope = ?1 AND open_at <= ?2
                 AND EXISTS (SELECT 1 FROM job WHERE job.rate = rate.id AND job.rate > 0 AND job.state = 2)",
        )?;
        let rates: Vec<(i64, i64, i64, i64)> = select
            .query_map(params![scope, self.now], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
            .collect::<Result<_, _>>()?;
        let mut ready = Vec::new();
        for (rate, count, per_ms, next) in rates {
            let room = self.starts_left(rate, count, per_ms, next, limit)?;
            ready.extend(self.rated(rate, reverse, room)?);
        }
        Ok(ready)
    }

    fn rated(&self, rate: i64, reverse: bool, limit: usize) -> Result<Vec<(i64, i64)>, HubError> {
        let sql = if reverse {
            "SELECT priority, id FROM job WHERE state = 2 AND rate = ?1 AND rate > 0 ORDER BY priority, id DESC LIMIT ?2"
        } else {
            "SELECT priority, id FROM job WHERE state = 2 AND rate = ?1 AND rate > 0 ORDER BY priority DESC, id LIMIT ?2"
        };
        let mut select = self.db.prepare_cached(sql)?;
        let rows = select.query_map(params![rate, signed(limit as u64)], |row| Ok((row.get(0)?, row.get(1)?)))?;
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
        self.db.prepare_cached("UPDATE rate SET open_at = ?2 WHERE id = ?1")?.execute(params![rate, open_at])?;
        Ok(())
    }

    /// When the next job that only waits for its rate may start.
    pub(super) fn next_rated(&self) -> Result<Option<i64>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT min(open_at) FROM rate WHERE open_at > ?1
                 AND EXISTS (SELECT 1 FROM job WHERE job.rate = rate.id AND job.rate > 0 AND job.state = 2)",
        )?;
        Ok(select.query_row([self.now], |row| row.get(0))?)
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
