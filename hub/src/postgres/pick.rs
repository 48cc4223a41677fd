//! Which ready jobs are next: by scope, priority and age, or turned around, with a share for the last ones. Rows that
//! another hub is about to take are passed over.

use std::cmp::Reverse;

use bue_model::wire::LeaseRequest;
use deadpool_postgres::Transaction;

use super::rate::ready_under_rates;
use super::read::ask;
use crate::columns::signed;
use crate::error::HubError;
use crate::store::SHARE_OF_LAST;

/// A ready job, locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ready {
    pub(super) priority: i64,
    pub(super) id: i64,
    pub(super) run: i64,
    pub(super) rate: i64,
}

/// Jobs to lease, in the order in which they shall run. Reads as many rows as it gives, whatever waits.
pub(super) async fn pick(
    tx: &Transaction<'_>,
    now: i64,
    request: &LeaseRequest,
    granted: u64,
) -> Result<Vec<Ready>, HubError> {
    let count = request.count as usize;
    let mut picked: Vec<Ready> = Vec::new();
    for scope in in_order(&request.scopes, request.reverse) {
        let room = count - picked.len();
        if room == 0 {
            break;
        }
        let mut found = ready(tx, scope, request.reverse, room).await?;
        found.extend(ready_under_rates(tx, now, scope, (request.reverse, room)).await?);
        if request.reverse {
            found.sort_by_key(|job| (job.priority, Reverse(job.id)));
        } else {
            found.sort_by_key(|job| (Reverse(job.priority), job.id));
        }
        picked.extend(found.into_iter().take(room));
    }
    let share = usize::try_from((granted % SHARE_OF_LAST + count as u64) / SHARE_OF_LAST).unwrap_or(0);
    if picked.len() < count || share == 0 {
        return Ok(picked);
    }
    // where the last ones are among the best anyway, they keep their place there
    let last = last(tx, &request.scopes, request.reverse, share).await?;
    let last: Vec<Ready> = last.into_iter().filter(|job| !picked.contains(job)).collect();
    picked.truncate(count - last.len());
    picked.extend(last);
    Ok(picked)
}

/// The rows of a question for priority, id, run and rate.
pub(super) async fn rows(
    tx: &Transaction<'_>,
    sql: &str,
    values: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Vec<Ready>, HubError> {
    let read = |row: &tokio_postgres::Row| {
        Ok(Ready { priority: row.try_get(0)?, id: row.try_get(1)?, run: row.try_get(2)?, rate: row.try_get(3)? })
    };
    ask(tx, sql, values).await?.iter().map(read).collect()
}

async fn ready(tx: &Transaction<'_>, scope: &str, reverse: bool, limit: usize) -> Result<Vec<Ready>, HubError> {
    let sql = if reverse {
        "SELECT priority, id, run, rate FROM job WHERE state = 2 AND rate = 0 AND scope = $1
         ORDER BY priority, id DESC LIMIT $2 FOR UPDATE SKIP LOCKED"
    } else {
        "SELECT priority, id, run, rate FROM job WHERE state = 2 AND rate = 0 AND scope = $1
         ORDER BY priority DESC, id LIMIT $2 FOR UPDATE SKIP LOCKED"
    };
    rows(tx, sql, &[&scope, &signed(limit as u64)]).await
}

/// The oldest jobs of the priority that is served last, in the scope that is served last.
async fn last(tx: &Transaction<'_>, scopes: &[String], reverse: bool, count: usize) -> Result<Vec<Ready>, HubError> {
    for scope in in_order(scopes, !reverse) {
        let Some(end) = ready(tx, scope, !reverse, 1).await?.first().copied() else { continue };
        let sql =
            "SELECT priority, id, run, rate FROM job WHERE state = 2 AND rate = 0 AND scope = $1 AND priority = $2
             ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED";
        return rows(tx, sql, &[&scope, &end.priority, &signed(count as u64)]).await;
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
