//! The queries for ready jobs. Each reads as many rows as it returns, however many jobs wait: the ready jobs of a scope are in
//! an index in their order.

use bue_model::wire::LeaseRequest;
use deadpool_postgres::Transaction;

use super::rate::ready_under_rates;
use super::ready_jobs::ready_jobs;
use crate::error::HubError;
use crate::jobs::columns::signed;
use crate::jobs::leasing::pick::{Order, Picked, ReadyJob, anti_starvation_share, select_ready, select_ready_in_order};
use crate::jobs::state::state_code;

/// The oldest ready jobs of the priority that comes first in an order.
macro_rules! select_first_priority {
    ($order:literal) => {
        concat!(
            select_ready!(
                "rate = 0 AND scope = $1 AND priority = (SELECT priority FROM job WHERE rate = 0 AND state = "
            ),
            state_code!(Ready),
            " AND scope = $1 ORDER BY ",
            $order,
            " LIMIT 1) ORDER BY id LIMIT $2"
        )
    };
}

/// Returns jobs to lease, in the order in which they are to run.
pub(super) async fn pick(
    tx: &Transaction<'_>,
    now: i64,
    request: &LeaseRequest,
    granted: u64,
) -> Result<Vec<ReadyJob>, HubError> {
    let share = anti_starvation_share(granted, request.count);
    // pipelined, one round trip for both: before the best jobs are known, so the last ones may have no place
    let (picked, last) = tokio::try_join!(best(tx, now, request), last(tx, request, share))?;
    Ok(picked.with_anti_starvation_share(last))
}

async fn best(tx: &Transaction<'_>, now: i64, request: &LeaseRequest) -> Result<Picked, HubError> {
    let order = Order::from_request(request);
    let mut picked = Picked::new(request);
    for scope in order.scopes(request) {
        let room = picked.room();
        if room == 0 {
            break;
        }
        let (jobs, rated) =
            tokio::try_join!(ready(tx, scope, order, room), ready_under_rates(tx, now, scope, order, room))?;
        picked.add_scope(jobs, rated);
    }
    Ok(picked)
}

/// Returns the ready jobs of a scope that are under no rate.
async fn ready(tx: &Transaction<'_>, scope: &str, order: Order, limit: usize) -> Result<Vec<ReadyJob>, HubError> {
    ready_jobs(tx, select_ready_in_order!(order, "$"), &[&scope, &signed(limit as u64)]).await
}

/// Returns the oldest jobs of the priority that would be served last, in the scope that would be served last.
async fn last(tx: &Transaction<'_>, request: &LeaseRequest, count: usize) -> Result<Vec<ReadyJob>, HubError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let order = Order::from_request(request).reversed();
    for scope in order.scopes(request) {
        let sql = match order {
            Order::BestFirst => select_first_priority!("priority DESC"),
            Order::LastFirst => select_first_priority!("priority"),
        };
        let jobs = ready_jobs(tx, sql, &[&scope, &signed(count as u64)]).await?;
        if !jobs.is_empty() {
            return Ok(jobs);
        }
    }
    Ok(Vec::new())
}
