//! The queries for ready jobs. Each reads as many rows as it returns, however many jobs wait: the ready jobs of a scope are in
//! an index in their order.

use bue_model::wire::LeaseRequest;
use deadpool_postgres::Transaction;

use super::rate::ready_under_rates;
use super::ready_jobs::ready_jobs;
use crate::error::HubError;
use crate::jobs::columns::signed;
use crate::jobs::leasing::isolation::{company_since, in_company, in_isolation};
use crate::jobs::leasing::pick::{Order, Picked, ReadyJob, anti_starvation_share, select_ready, select_ready_in_order};
use crate::jobs::state::state_code;
use crate::postgres::query::query;

/// The oldest ready jobs of the priority that comes first in an order.
macro_rules! select_first_priority {
    ($order:literal) => {
        concat!(
            select_ready!(
                "rate = 0 AND scope = $1 AND priority = (SELECT priority FROM job WHERE rate = 0 AND state = "
            ),
            state_code!(Ready),
            " AND scope = $1 AND ",
            in_company!("$3"),
            " ORDER BY ",
            $order,
            " LIMIT 1) AND ",
            in_company!("$3"),
            " ORDER BY id LIMIT $2"
        )
    };
}

/// What isolation says about a request.
pub(super) enum Isolated {
    /// Nothing: the worker gets what it asks for.
    No,
    /// The worker holds a job that is to stay alone.
    Held,
    /// This suspect is leased alone.
    Suspect(ReadyJob),
}

impl Isolated {
    /// Returns the jobs to lease, given those that would be leased otherwise.
    pub(super) fn jobs(self, picked: Vec<ReadyJob>) -> Vec<ReadyJob> {
        match self {
            Self::No => picked,
            Self::Held => Vec::new(),
            Self::Suspect(suspect) => vec![suspect],
        }
    }
}

/// Returns whether a suspect is leased alone, or one that was is still held.
pub(super) async fn pick_isolated(
    tx: &Transaction<'_>,
    now: i64,
    request: &LeaseRequest,
) -> Result<Isolated, HubError> {
    let sql = concat!(
        "SELECT EXISTS (SELECT 1 FROM job WHERE state = ",
        state_code!(Running),
        " AND isolated AND worker = $1), EXISTS (SELECT 1 FROM job WHERE state = ",
        state_code!(Ready),
        " AND scope = ANY($2) AND ",
        in_isolation!("$3"),
        ")"
    );
    let rows = query(tx, sql, &[&request.worker, &request.scopes, &company_since(now)]).await?;
    let Some(row) = rows.first() else { return Ok(Isolated::No) };
    match (row.try_get(0)?, row.try_get(1)?) {
        (true, _) => Ok(Isolated::Held),
        (false, true) if request.count > 0 => suspect(tx, now, request).await,
        (false, _) => Ok(Isolated::No),
    }
}

/// Returns a suspect if the worker holds no job, those that have been alone before first.
async fn suspect(tx: &Transaction<'_>, now: i64, request: &LeaseRequest) -> Result<Isolated, HubError> {
    let sql = concat!("SELECT 1 FROM job WHERE state = ", state_code!(Running), " AND worker = $1 LIMIT 1");
    if !query(tx, sql, &[&request.worker]).await?.is_empty() {
        return Ok(Isolated::No);
    }
    for scope in Order::from_request(request).scopes(request) {
        let sql = select_ready!("scope = $1 AND ", in_isolation!("$2"), " ORDER BY releases DESC, id LIMIT 1");
        if let Some(suspect) = ready_jobs(tx, sql, &[&scope, &company_since(now)]).await?.pop() {
            return Ok(Isolated::Suspect(suspect));
        }
    }
    Ok(Isolated::No)
}

/// Returns jobs to lease, in the order in which they are to run.
pub(super) async fn pick(
    tx: &Transaction<'_>,
    now: i64,
    request: &LeaseRequest,
    granted: u64,
) -> Result<Vec<ReadyJob>, HubError> {
    let share = anti_starvation_share(granted, request);
    // pipelined, one round trip for both: before the best jobs are known, so the last ones may have no place
    let (picked, last) = tokio::try_join!(best(tx, now, request), last(tx, now, request, share))?;
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
            tokio::try_join!(ready(tx, now, scope, order, room), ready_under_rates(tx, now, scope, order, room))?;
        picked.add_scope(jobs, rated);
    }
    Ok(picked)
}

/// Returns the ready jobs of a scope that are under no rate.
async fn ready(
    tx: &Transaction<'_>,
    now: i64,
    scope: &str,
    order: Order,
    limit: usize,
) -> Result<Vec<ReadyJob>, HubError> {
    let sql = select_ready_in_order!(order, "$");
    ready_jobs(tx, sql, &[&scope, &signed(limit as u64), &company_since(now)]).await
}

/// Returns the oldest jobs of the priority that would be served last, in the scope that would be served last.
async fn last(tx: &Transaction<'_>, now: i64, request: &LeaseRequest, count: usize) -> Result<Vec<ReadyJob>, HubError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let order = Order::from_request(request).reversed();
    for scope in order.scopes(request) {
        let sql = match order {
            Order::BestFirst => select_first_priority!("priority DESC"),
            Order::LastFirst => select_first_priority!("priority"),
        };
        let jobs = ready_jobs(tx, sql, &[&scope, &signed(count as u64), &company_since(now)]).await?;
        if !jobs.is_empty() {
            return Ok(jobs);
        }
    }
    Ok(Vec::new())
}
