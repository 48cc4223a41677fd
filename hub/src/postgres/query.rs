//! Queries and statements within a transaction, and the conversions of rows that several files need.

use std::sync::Arc;

use bue_model::{NodeId, RunState};
use deadpool_postgres::Transaction;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use crate::error::HubError;
use crate::jobs::columns::small;
use crate::jobs::initial_state::Hint;
use crate::jobs::instance::FanOut;
use crate::jobs::state::{State, run_state_from_code};
use crate::jobs::views::row_query::{RowQuery, SqlParam};

/// Columns of `fanout`, in the order of [`fan_out_row`].
macro_rules! select_fan_outs {
    ($condition:literal) => {
        concat!(
            "SELECT id, run, node, outside, source, first, stride, count, expanded, settled, failed, streams, max_live FROM fanout WHERE ",
            $condition
        )
    };
}
pub(super) use select_fan_outs;

/// Runs a query, which is prepared once per connection.
pub(super) async fn query(
    tx: &Transaction<'_>,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, HubError> {
    let statement = tx.prepare_cached(sql).await?;
    Ok(tx.query(&statement, params).await?)
}

/// Runs a query whose conditions depend on the request.
pub(super) async fn rows_of(tx: &Transaction<'_>, request: &RowQuery) -> Result<Vec<Row>, HubError> {
    fn as_sql(param: &SqlParam) -> &(dyn ToSql + Sync) {
        match param {
            SqlParam::Int(number) => number,
            SqlParam::Text(text) => text,
            SqlParam::Run(run) => &run.0,
        }
    }
    let params: Vec<_> = request.params.iter().map(as_sql).collect();
    query(tx, &request.sql, &params).await
}

/// Executes a statement, which is prepared once per connection. Returns the number of rows it changed.
pub(super) async fn execute(tx: &Transaction<'_>, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64, HubError> {
    let statement = tx.prepare_cached(sql).await?;
    Ok(tx.execute(&statement, params).await?)
}

/// Locks runs in the order of their keys, so that hubs do not deadlock. Returns keys, states, when the runs were created or
/// last reset, and their states when their `finally` blocks began.
pub(super) const LOCK_RUNS: &str =
    "SELECT key, state, coalesce(reset_at, created_at), ending FROM run WHERE key = ANY($1) ORDER BY key FOR UPDATE";

/// Executes [`LOCK_RUNS`], prepared before. It is sent when this is first polled.
pub(super) async fn lock_runs(tx: &Transaction<'_>, lock: &Statement, keys: &[i64]) -> Result<Vec<Row>, HubError> {
    Ok(tx.query(lock, &[&keys]).await?)
}

/// Converts a state from its column.
pub(super) fn state(code: i64) -> Result<State, HubError> {
    State::from_code(code).ok_or_else(|| HubError::damaged(format!("a row has the state {code}")))
}

/// Converts a run's state from its column.
pub(super) fn run_state(run: impl std::fmt::Display, code: i64) -> Result<RunState, HubError> {
    run_state_from_code(code).ok_or_else(|| HubError::damaged(format!("run {run} is in state {code}")))
}

/// Converts a node from its column.
pub(super) fn node(number: i64) -> NodeId {
    NodeId(small(number))
}

/// Reads a row of [`select_fan_outs!`].
pub(super) fn fan_out_row(row: &Row) -> Result<FanOut, HubError> {
    Ok(FanOut {
        id: row.try_get(0)?,
        run: row.try_get(1)?,
        node: node(row.try_get(2)?),
        outer: row.try_get(3)?,
        source: row.try_get(4)?,
        first: row.try_get(5)?,
        stride: row.try_get(6)?,
        count: row.try_get(7)?,
        expanded: row.try_get(8)?,
        settled: row.try_get(9)?,
        failed: row.try_get(10)?,
        streams: row.try_get(11)?,
        max_live: row.try_get(12)?,
    })
}

/// Returns the fan-outs of a run that have started.
pub(super) async fn fan_outs_of(tx: &Transaction<'_>, run: i64) -> Result<Vec<FanOut>, HubError> {
    query(tx, select_fan_outs!("run = $1"), &[&run]).await?.iter().map(fan_out_row).collect()
}

/// Reads what a row of `done` passes on from three columns.
pub(super) fn hint(row: &Row, first: usize) -> Result<Hint, HubError> {
    Ok(Hint {
        priority: row.try_get(first)?,
        env: row.try_get(first + 1)?,
        scope: row.try_get::<_, Option<&str>>(first + 2)?.map(Arc::from),
    })
}
