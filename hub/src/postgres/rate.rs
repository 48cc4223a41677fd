//! `!rate`, as in the SQLite store: the times of the last `count` starts are a ring. With `by FIELD` there is a row of `rate`
//! for each key; one that nobody needs any more serves the next new key.

use std::collections::HashMap;

use bue_model::{RateKey, StepIndex};
use deadpool_postgres::Transaction;

use super::pick::{Ready, ready, rows};
use super::read::{ask, tell};
use crate::error::HubError;
use crate::jobs::columns::signed;
use crate::jobs::draft::Known;
use crate::store::MAX_OPEN_RATES;

/// The rates that ready jobs wait for, found by one step in an index for each.
macro_rules! waiting {
    ($select:literal) => {
        concat!(
            "WITH RECURSIVE waiting (rate) AS (
                 (SELECT rate FROM job WHERE state = 2 AND rate > 0 ORDER BY rate LIMIT 1)
                 UNION ALL
                 SELECT (SELECT rate FROM job WHERE state = 2 AND rate > 0 AND rate > waiting.rate ORDER BY rate LIMIT 1)
                 FROM waiting WHERE waiting.rate IS NOT NULL) ",
            $select
        )
    };
}
pub(super) use waiting;

/// Ready jobs under rates that let something start now. The rates stay locked until the starts are counted.
pub(super) async fn ready_under_rates(
    tx: &Transaction<'_>,
    now: i64,
    scope: &str,
    (reverse, limit): (bool, usize),
) -> Result<Vec<Ready>, HubError> {
    let sql = waiting!(
        "SELECT id, count, per_ms, next FROM rate WHERE id IN (SELECT rate FROM waiting) AND scope = $1
             AND open_at <= $2 ORDER BY open_at, id LIMIT $3 FOR UPDATE SKIP LOCKED"
    );
    let open = ask(tx, sql, &[&scope, &now, &MAX_OPEN_RATES]).await?;
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let ids = open.iter().map(|rate| rate.try_get(0)).collect::<Result<Vec<i64>, _>>()?;
    let rings = rings(tx, &ids).await?;
    let mut rooms = Vec::with_capacity(open.len());
    for rate in &open {
        let (id, count, per_ms, next) = (rate.try_get(0)?, rate.try_get(1)?, rate.try_get(2)?, rate.try_get(3)?);
        let recent = |slot| rings.get(&(id, slot)).is_some_and(|at: &i64| at.saturating_add(per_ms) > now);
        rooms.push(starts_left(count, next, limit, recent));
    }
    let sql = if reverse {
        concat!(
            "SELECT best.* FROM unnest($1::int8[], $2::int8[]) AS open (rate, room) CROSS JOIN LATERAL (",
            ready!("rate = open.rate AND rate > 0 ORDER BY priority, id DESC LIMIT open.room) AS best")
        )
    } else {
        concat!(
            "SELECT best.* FROM unnest($1::int8[], $2::int8[]) AS open (rate, room) CROSS JOIN LATERAL (",
            ready!("rate = open.rate AND rate > 0 ORDER BY priority DESC, id LIMIT open.room) AS best")
        )
    };
    rows(tx, sql, &[&ids, &rooms]).await
}

/// The last starts under each of these rates, by rate and place in its ring.
async fn rings(tx: &Transaction<'_>, rates: &[i64]) -> Result<HashMap<(i64, i64), i64>, HubError> {
    let starts = ask(tx, "SELECT rate, slot, at FROM rate_start WHERE rate = ANY($1)", &[&rates]).await?;
    starts.iter().map(|row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?))).collect()
}

/// How many starts are allowed now, up to `limit`.
fn starts_left(count: i64, next: i64, limit: usize, recent: impl Fn(i64) -> bool) -> i64 {
    let most = limit.min(usize::try_from(count).unwrap_or(usize::MAX));
    signed((next..).take(most).take_while(|start| !recent(start % count.max(1))).count() as u64)
}

/// The row that counts the starts of a step's jobs with this key. Safe because the run is locked, and nobody else makes
/// or gives away rows of its rates.
pub(super) async fn rate_of_key(
    tx: &Transaction<'_>,
    known: &Known,
    (run, step, RateKey(key)): (i64, StepIndex, RateKey),
    now: i64,
) -> Result<i64, HubError> {
    let at = i64::from(step.0);
    let key = key.as_slice();
    let found = ask(tx, "SELECT id FROM rate WHERE run = $1 AND step = $2 AND key = $3", &[&run, &at, &key]).await?;
    if let Some(rate) = found.first() {
        return Ok(rate.try_get(0)?);
    }
    let settings = known.runs.get(&run).and_then(|run| run.graph.steps.get(step.get())).map(|step| &step.settings);
    let rated = settings.and_then(|settings| Some((&settings.scope, settings.rate.as_ref()?)));
    let (scope, limit) = rated.ok_or_else(|| HubError::damaged("a rate that is none"))?;
    let (count, per_ms) = (i64::from(limit.count), signed(limit.per_ms));
    // as if it had just been used: the jobs that will count there are not stored yet
    let idle_at = now.saturating_add(per_ms);
    // looks at a few only; starts that are all too long ago to count do not matter to the next key
    let sql = "UPDATE rate SET key = $3, idle_at = $4 WHERE id = (
             SELECT id FROM (SELECT id FROM rate WHERE run = $1 AND step = $2 AND key <> '' AND idle_at <= $5
                 ORDER BY idle_at LIMIT 16) AS idle
             WHERE NOT EXISTS (SELECT 1 FROM job WHERE job.rate = idle.id AND job.rate > 0) LIMIT 1)
         RETURNING id";
    if let Some(rate) = ask(tx, sql, &[&run, &at, &key, &idle_at, &now]).await?.first() {
        return Ok(rate.try_get(0)?);
    }
    let sql = "INSERT INTO rate (run, step, key, scope, count, per_ms, next, open_at, idle_at)
         VALUES ($1, $2, $3, $4, $5, $6, 0, 0, $7) RETURNING id";
    let made = ask(tx, sql, &[&run, &at, &key, scope, &count, &per_ms, &idle_at]).await?;
    let rate = made.first().ok_or_else(|| HubError::damaged("a row that was inserted is not there"))?;
    Ok(rate.try_get(0)?)
}

/// A job under this rate was leased.
pub(super) async fn count_start(tx: &Transaction<'_>, now: i64, rate: i64) -> Result<(), HubError> {
    let rows = ask(tx, "UPDATE rate SET next = next + 1 WHERE id = $1 RETURNING next, count, per_ms", &[&rate]).await?;
    let row = rows.first().ok_or_else(|| HubError::damaged("a job under a rate that is not there"))?;
    let (next, count, per_ms): (i64, i64, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let sql = "INSERT INTO rate_start (rate, slot, at) VALUES ($1, $2, $3)
         ON CONFLICT (rate, slot) DO UPDATE SET at = excluded.at";
    tell(tx, sql, &[&rate, &((next - 1) % count.max(1)), &now]).await?;
    let sql = "SELECT at FROM rate_start WHERE rate = $1 AND slot = $2";
    let oldest = ask(tx, sql, &[&rate, &(next % count.max(1))]).await?;
    let oldest: Option<i64> = oldest.first().map(|row| row.try_get(0)).transpose()?;
    let open_at = oldest.map_or(0, |at| at.saturating_add(per_ms));
    let idle_at = now.saturating_add(per_ms);
    tell(tx, "UPDATE rate SET open_at = $2, idle_at = $3 WHERE id = $1", &[&rate, &open_at, &idle_at]).await?;
    Ok(())
}
