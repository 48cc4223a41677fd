//! Which ready jobs are next: by scope, priority and age, or turned around, with a share for the last ones.

use std::cmp::Reverse;
use std::collections::HashSet;

use bue_model::NodeId;
use bue_model::wire::LeaseRequest;
use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::rate::ready_under_rates;
use super::read::ask;
use crate::error::HubError;
use crate::jobs::columns::signed;
use crate::jobs::instance::Slot;
use crate::store::BACK_OF_QUEUE_INTERVAL;

/// A ready job: what orders it within its scope, and what a lease of it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ready {
    priority: i64,
    pub(super) slot: Slot,
    pub(super) run: i64,
    pub(super) token: i64,
    /// That failed.
    pub(super) attempts: u32,
    pub(super) env: Option<Vec<u8>>,
    /// Its row of `rate`, 0 where none.
    pub(super) rate: i64,
}

/// Columns of `job`, as [`Ready::read`] takes them, of ready rows.
macro_rules! ready {
    ($rest:literal) => {
        concat!(
            "SELECT priority, id, node, fanout, run, token, attempts, env, rate FROM job WHERE state = 2 AND ",
            $rest
        )
    };
}
pub(super) use ready;

impl Ready {
    fn read(row: &Row) -> Result<Self, HubError> {
        let small = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        Ok(Self {
            priority: row.try_get(0)?,
            slot: Slot { id: row.try_get(1)?, node: NodeId(small(row.try_get(2)?)), fanout: row.try_get(3)? },
            run: row.try_get(4)?,
            token: row.try_get(5)?,
            attempts: small(row.try_get(6)?),
            env: row.try_get(7)?,
            rate: row.try_get(8)?,
        })
    }
}

/// Jobs to lease, in the order in which they shall run. Reads as many rows as it gives, whatever waits.
pub(super) async fn pick(
    tx: &Transaction<'_>,
    now: i64,
    request: &LeaseRequest,
    granted: u64,
) -> Result<Vec<Ready>, HubError> {
    let count = request.count as usize;
    let share =
        usize::try_from((granted % BACK_OF_QUEUE_INTERVAL + count as u64) / BACK_OF_QUEUE_INTERVAL).unwrap_or(0);
    // asked at once and waited for once
    let (mut picked, last) = tokio::try_join!(best(tx, now, request), last(tx, request, share))?;
    if picked.len() < count {
        return Ok(picked);
    }
    // where the last ones are among the best anyway, they keep their place there
    let known: HashSet<i64> = picked.iter().map(|job| job.slot.id).collect();
    let last: Vec<Ready> = last.into_iter().filter(|job| !known.contains(&job.slot.id)).collect();
    picked.truncate(count - last.len());
    picked.extend(last);
    Ok(picked)
}

async fn best(tx: &Transaction<'_>, now: i64, request: &LeaseRequest) -> Result<Vec<Ready>, HubError> {
    let count = request.count as usize;
    let mut picked: Vec<Ready> = Vec::new();
    for scope in in_order(&request.scopes, request.reverse) {
        let room = count - picked.len();
        if room == 0 {
            break;
        }
        let (mut found, rated) = tokio::try_join!(
            of_scope(tx, scope, request.reverse, room),
            ready_under_rates(tx, now, scope, (request.reverse, room))
        )?;
        found.extend(rated);
        if request.reverse {
            found.sort_by_key(|job| (job.priority, Reverse(job.slot.id)));
        } else {
            found.sort_by_key(|job| (Reverse(job.priority), job.slot.id));
        }
        picked.extend(found.into_iter().take(room));
    }
    Ok(picked)
}

/// The rows of a question for the columns of [`ready!`].
pub(super) async fn rows(
    tx: &Transaction<'_>,
    sql: &str,
    values: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Ready>, HubError> {
    ask(tx, sql, values).await?.iter().map(Ready::read).collect()
}

async fn of_scope(tx: &Transaction<'_>, scope: &str, reverse: bool, limit: usize) -> Result<Vec<Ready>, HubError> {
    let sql = if reverse {
        ready!("rate = 0 AND scope = $1 ORDER BY priority, id DESC LIMIT $2")
    } else {
        ready!("rate = 0 AND scope = $1 ORDER BY priority DESC, id LIMIT $2")
    };
    rows(tx, sql, &[&scope, &signed(limit as u64)]).await
}

/// The oldest jobs of the priority that is served last, in the scope that is served last.
async fn last(tx: &Transaction<'_>, request: &LeaseRequest, count: usize) -> Result<Vec<Ready>, HubError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    for scope in in_order(&request.scopes, !request.reverse) {
        let sql = if request.reverse {
            ready!(
                "rate = 0 AND scope = $1 AND priority = (SELECT priority FROM job WHERE state = 2 AND rate = 0
                     AND scope = $1 ORDER BY priority DESC LIMIT 1) ORDER BY id LIMIT $2"
            )
        } else {
            ready!(
                "rate = 0 AND scope = $1 AND priority = (SELECT priority FROM job WHERE state = 2 AND rate = 0
                     AND scope = $1 ORDER BY priority LIMIT 1) ORDER BY id LIMIT $2"
            )
        };
        let found = rows(tx, sql, &[&scope, &signed(count as u64)]).await?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(Vec::new())
}

fn in_order(scopes: &[String], reverse: bool) -> Vec<&String> {
    // a scope named twice is served once, where it is named first
    let once = scopes.iter().enumerate().filter(|(at, scope)| !scopes.iter().take(*at).any(|other| other == *scope));
    let mut once: Vec<_> = once.map(|(_, scope)| scope).collect();
    if reverse {
        once.reverse();
    }
    once
}
