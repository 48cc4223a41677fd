//! Rows of ready jobs.

use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::error::HubError;
use crate::jobs::columns::small;
use crate::jobs::instance::Location;
use crate::jobs::leasing::pick::ReadyJob;
use crate::postgres::query::{node, query};

/// Runs a query for the columns of [`select_ready!`](crate::jobs::leasing::pick::select_ready).
pub(super) async fn ready_jobs(
    tx: &Transaction<'_>,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<ReadyJob>, HubError> {
    query(tx, sql, params).await?.iter().map(ready_job).collect()
}

fn ready_job(row: &Row) -> Result<ReadyJob, HubError> {
    Ok(ReadyJob {
        priority: row.try_get(0)?,
        location: Location { id: row.try_get(1)?, node: node(row.try_get(2)?), fanout: row.try_get(3)? },
        run: row.try_get(4)?,
        token: row.try_get(5)?,
        attempts: small(row.try_get(6)?),
        env: row.try_get(7)?,
        rate: row.try_get(8)?,
        expires_at: row.try_get(9)?,
    })
}
