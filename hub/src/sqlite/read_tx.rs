//! [`ReadTx`]: a view of the database as one transaction sees it, and what all that read share. What people and scripts read is in
//! `views` and in the files beside this one.

use std::sync::Arc;

use bue_model::{NodeId, RunId, RunState};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};

use super::state::run_state;
use crate::error::HubError;
use crate::jobs::columns::run_id;
use crate::jobs::graph::{BlockIndex, Graph};
use crate::jobs::instance::{FanOut, Instance, Run, enclosing_instance, missing_fan_out};
use crate::jobs::plan_body::decode_plan;
use crate::jobs::run_cache::RunCache;
use crate::jobs::views::row_query::{RowQuery, SqlParam};
use crate::pipelines::with_values;

/// Columns of `fanout`, in the order of [`read_fan_out`].
macro_rules! select_fan_outs {
    ($condition:literal) => {
        concat!(
            "SELECT id, run, node, outer, source, first, stride, count, expanded, settled, failed, streams, max_live FROM fanout WHERE ",
            $condition
        )
    };
}
pub(super) use select_fan_outs;

/// A transaction that reads: that of a request to one of the [readers](super::readers), or a part of a
/// [`WriteTx`](super::write_tx::WriteTx).
pub(super) struct ReadTx<'a> {
    pub(super) db: &'a Connection,
    /// The runs that its thread has read. A key is never given to another run, so they stay right.
    pub(super) runs: &'a mut RunCache,
}

impl ReadTx<'_> {
    /// Returns a run by its key.
    pub(super) fn run(&mut self, key: i64) -> Result<Arc<Run>, HubError> {
        if let Some(run) = self.runs.get(key) {
            return Ok(run);
        }
        let mut select = self.db.prepare_cached(
            "SELECT run.id, run.first, plan.body FROM run JOIN plan ON plan.run = run.key WHERE run.key = ?1",
        )?;
        let row = select.query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?)));
        let (id, first, body): ([u8; 16], _, _) =
            row.optional()?.ok_or_else(|| HubError::damaged(format!("run {key} has no plan")))?;
        let (plan, code, parent) = decode_plan(&body)?;
        let (graph, original) = (Graph::new(with_values(plan)?, code)?, self.original_of(key)?);
        let run = Arc::new(Run { key, id: run_id(id), first, graph, original, parent });
        self.runs.insert(run.clone());
        Ok(run)
    }

    /// Returns the key of a run.
    pub(super) fn run_key(&self, run: RunId) -> Result<Option<i64>, HubError> {
        let mut select = self.db.prepare_cached("SELECT key FROM run WHERE id = ?1")?;
        Ok(select.query_row([run.0.as_bytes()], |row| row.get(0)).optional()?)
    }

    /// Returns the state of a run.
    pub(super) fn run_state(&self, key: i64) -> Result<RunState, HubError> {
        let mut select = self.db.prepare_cached("SELECT state FROM run WHERE key = ?1")?;
        Ok(select.query_row([key], |row| run_state(row.get(0)?))?)
    }

    /// Returns a fan-out that has started.
    pub(super) fn fan_out(&self, id: i64) -> Result<Option<FanOut>, HubError> {
        let mut select = self.db.prepare_cached(select_fan_outs!("id = ?1"))?;
        Ok(select.query_row([id], read_fan_out).optional()?)
    }

    /// Returns a fan-out that must have started, because rounds of it exist.
    pub(super) fn require_fan_out(&self, id: i64) -> Result<FanOut, HubError> {
        self.fan_out(id)?.ok_or_else(|| missing_fan_out(id))
    }

    /// Returns the fan-outs of a run that have started.
    pub(super) fn fan_outs_of(&self, run: i64) -> Result<Vec<FanOut>, HubError> {
        let mut select = self.db.prepare_cached(select_fan_outs!("run = ?1"))?;
        Ok(select.query_map([run], read_fan_out)?.collect::<Result<_, _>>()?)
    }

    /// Returns the rows of a query.
    pub(super) fn rows<T>(
        &self,
        query: &RowQuery,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, HubError> {
        let params = query.params.iter().map(|param| match param {
            SqlParam::Int(number) => Value::Integer(*number),
            SqlParam::Text(text) => Value::Text(text.clone()),
            SqlParam::Run(run) => Value::Blob(run.0.as_bytes().to_vec()),
        });
        let mut select = self.db.prepare_cached(&query.sql)?;
        Ok(select.query_map(params_from_iter(params), read)?.collect::<Result<_, _>>()?)
    }

    /// Returns the instance of `block` that contains `from`: `from` itself, or one around it.
    pub(super) fn enclosing(&self, run: &Run, from: Instance, block: BlockIndex) -> Result<Instance, HubError> {
        enclosing_instance(run, from, block, |id| self.require_fan_out(id))
    }
}

/// Reads a row of [`select_fan_outs!`].
pub(super) fn read_fan_out(row: &Row<'_>) -> rusqlite::Result<FanOut> {
    Ok(FanOut {
        id: row.get(0)?,
        run: row.get(1)?,
        node: NodeId(row.get(2)?),
        outer: row.get(3)?,
        source: row.get(4)?,
        first: row.get(5)?,
        stride: row.get(6)?,
        count: row.get(7)?,
        expanded: row.get(8)?,
        settled: row.get(9)?,
        failed: row.get(10)?,
        streams: row.get(11)?,
        max_live: row.get(12)?,
    })
}
