//! `!rate` and `!at_most`, as in the SQLite store: a job waits for one row of `rate`. Of a `!rate`, the times of the last `count`
//! starts are a ring buffer. With `by FIELD` each key has a row of `rate`, and a row whose key is idle serves the next new key.

use std::collections::HashMap;

use bue_model::RateKey;
use deadpool_postgres::Transaction;

use super::ready_jobs::ready_jobs;
use crate::error::HubError;
use crate::jobs::changes::snapshot::{KeyedRate, Snapshot};
use crate::jobs::columns::signed;
use crate::jobs::leasing::pick::{
    Order, ReadyJob, StartLimits, is_wanted_in_scope, room_for_running, running_under_rate, select_ready,
    with_waiting_rates,
};
use crate::jobs::state::state_code;
use crate::postgres::query::{execute, query};
use crate::store::MAX_OPEN_RATES;

/// Returns the ready jobs of a scope under rates that allow a start now. The rates stay locked until the starts are counted.
pub(super) async fn ready_under_rates(
    tx: &Transaction<'_>,
    now: i64,
    scope: &str,
    order: Order,
    limit: usize,
) -> Result<Vec<ReadyJob>, HubError> {
    let sql = with_waiting_rates!(concat!(
        "SELECT id, count, per_ms, next, at_most FROM rate WHERE id IN (SELECT rate FROM waiting) AND open_at <= $2 AND ",
        is_wanted_in_scope!("$1"),
        " AND (at_most = 0 OR at_most > ",
        running_under_rate!(),
        ") ORDER BY open_at, id LIMIT $3 FOR UPDATE SKIP LOCKED"
    ));
    let open = query(tx, sql, &[&scope, &now, &MAX_OPEN_RATES]).await?;
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let ids = open.iter().map(|rate| rate.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
    let (starts, running) = tokio::try_join!(last_starts(tx, &ids), running_under(tx, &ids))?;
    let mut rooms = Vec::with_capacity(open.len());
    for rate in &open {
        let (id, count, per_ms, next) = (rate.try_get(0)?, rate.try_get(1)?, rate.try_get(2)?, rate.try_get(3)?);
        let limit = room_for_running(rate.try_get(4)?, running.get(&id).copied().unwrap_or(0), limit);
        let is_recent = |position| starts.get(&(id, position)).is_some_and(|at: &i64| at.saturating_add(per_ms) > now);
        rooms.push(starts_left(count, next, limit, is_recent));
    }
    let sql = match order {
        Order::BestFirst => concat!(
            "SELECT best.* FROM unnest($1::int8[], $2::int8[]) AS open (rate, room) CROSS JOIN LATERAL (",
            select_ready!(
                "rate = open.rate AND rate > 0 AND scope = $3 ORDER BY priority DESC, id LIMIT open.room) AS best"
            )
        ),
        Order::LastFirst => concat!(
            "SELECT best.* FROM unnest($1::int8[], $2::int8[]) AS open (rate, room) CROSS JOIN LATERAL (",
            select_ready!(
                "rate = open.rate AND rate > 0 AND scope = $3 ORDER BY priority, id DESC LIMIT open.room) AS best"
            )
        ),
    };
    ready_jobs(tx, sql, &[&ids, &rooms, &scope]).await
}

/// Returns the last starts under each of these rates, by rate and position in its ring.
async fn last_starts(tx: &Transaction<'_>, rates: &[i64]) -> Result<HashMap<(i64, i64), i64>, HubError> {
    let starts = query(tx, "SELECT rate, slot, at FROM rate_start WHERE rate = ANY($1)", &[&rates]).await?;
    starts.iter().map(|row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?))).collect()
}

/// Returns the running jobs under each of these rates. A separate query, after the rows of `rate` were locked: only a statement that
/// begins then sees the leases of those who held the locks before.
async fn running_under(tx: &Transaction<'_>, rates: &[i64]) -> Result<HashMap<i64, i64>, HubError> {
    let sql = concat!(
        "SELECT rate, count(*) FROM job WHERE rate = ANY($1) AND rate > 0 AND state = ",
        state_code!(Running),
        " GROUP BY rate"
    );
    query(tx, sql, &[&rates]).await?.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Returns how many starts are allowed now, up to `limit`.
fn starts_left(count: i64, next: i64, limit: usize, is_recent: impl Fn(i64) -> bool) -> i64 {
    if count == 0 {
        return signed(limit as u64);
    }
    let most = limit.min(usize::try_from(count).unwrap_or(usize::MAX));
    signed((next..).take(most).take_while(|start| !is_recent(start % count.max(1))).count() as u64)
}

/// Returns the row that counts the starts of a step with this key, and inserts it if there is none. Safe because the run is
/// locked, and other transactions leave the rows of its rates alone.
pub(in crate::postgres) async fn rate_for_key(
    tx: &Transaction<'_>,
    snapshot: &Snapshot,
    (run, step, RateKey(key)): KeyedRate,
    now: i64,
) -> Result<i64, HubError> {
    let index = i64::from(step.0);
    let key = key.as_slice();
    let sql = "SELECT id FROM rate WHERE run = $1 AND step = $2 AND key = $3";
    if let Some(rate) = query(tx, sql, &[&run, &index, &key]).await?.first() {
        return Ok(rate.try_get(0)?);
    }
    let settings = snapshot.runs.get(&run).and_then(|run| run.graph.steps.get(step.get())).map(|step| &step.settings);
    let limited = settings.and_then(|settings| Some((&settings.scope, StartLimits::of(settings)?)));
    let (scope, limits) = limited.ok_or_else(|| HubError::damaged("a key of a step without a limit"))?;
    let StartLimits { count, per_ms, at_most } = limits;
    let idle_at = limits.used_until(now);
    // checks a few candidates only, whose starts are all too long ago to count, and that no job is under
    let sql = "UPDATE rate SET key = $3, idle_at = $4 WHERE id = (
             SELECT id FROM (SELECT id FROM rate WHERE run = $1 AND step = $2 AND key <> '' AND idle_at <= $5
                 ORDER BY idle_at LIMIT 16) AS idle
             WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.rate = idle.id AND job.rate > 0) LIMIT 1)
         RETURNING id";
    if let Some(rate) = query(tx, sql, &[&run, &index, &key, &idle_at, &now]).await?.first() {
        return Ok(rate.try_get(0)?);
    }
    let sql = "INSERT INTO rate (run, step, key, scope, count, per_ms, at_most, next, open_at, idle_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, $8) RETURNING id";
    let inserted = query(tx, sql, &[&run, &index, &key, scope, &count, &per_ms, &at_most, &idle_at]).await?;
    let rate = inserted.first().ok_or_else(|| HubError::damaged("a row that was inserted is missing"))?;
    Ok(rate.try_get(0)?)
}

/// Counts that a job under this rate was leased, unless the row has only a limit of running jobs.
pub(super) async fn count_start(tx: &Transaction<'_>, now: i64, rate: i64) -> Result<(), HubError> {
    let sql = "UPDATE rate SET next = next + 1 WHERE id = $1 AND count > 0 RETURNING next, count, per_ms";
    let rows = query(tx, sql, &[&rate]).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (next, count, per_ms): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let sql = "INSERT INTO rate_start (rate, slot, at) VALUES ($1, $2, $3)
         ON CONFLICT (rate, slot) DO UPDATE SET at = excluded.at";
    execute(tx, sql, &[&rate, &((next - 1) % count.max(1)), &now]).await?;
    let sql = "SELECT at FROM rate_start WHERE rate = $1 AND slot = $2";
    let oldest = query(tx, sql, &[&rate, &(next % count.max(1))]).await?;
    let oldest: Option<i64> = oldest.first().map(|row| row.try_get(0)).transpose()?;
    let open_at = oldest.map_or(0, |at| at.saturating_add(per_ms));
    let idle_at = now.saturating_add(per_ms);
    execute(tx, "UPDATE rate SET open_at = $2, idle_at = $3 WHERE id = $1", &[&rate, &open_at, &idle_at]).await?;
    Ok(())
}
