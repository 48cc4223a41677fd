//! [`WriteTx`]: the part of a transaction that belongs to one request. The requests are in the files beside this one; here is
//! what they share.

use std::collections::BTreeSet;
use std::sync::Arc;

use bue_model::{BlobRef, NodeId, Plan, RunId, RunState, Timestamp};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::state::run_state;
use super::writer_state::WriterState;
use crate::error::HubError;
use crate::jobs::changes::change_set::{ChangeResult, ChangeSet, Evaluation, ReadAhead, evaluate};
use crate::jobs::changes::pending_notifications::{MAX_ROUND_BATCHES, PendingNotifications};
use crate::jobs::changes::snapshot::{RequiredReads, Snapshot};
use crate::jobs::columns::{from_postcard, run_id};
use crate::jobs::counts::step_counts::CountChanges;
use crate::jobs::graph::{BlockIndex, Graph};
use crate::jobs::instance::{FanOut, Instance, MAX_ID, Run, enclosing_instance, missing_fan_out};
use crate::jobs::views::row_query::{RowQuery, SqlParam};
use crate::pipelines::with_values;

/// Columns of `fanout`, in the order of [`read_fan_out`].
macro_rules! select_fan_outs {
    ($condition:literal) => {
        concat!(
            "SELECT id, run, node, outer, source, first, stride, count, expanded, settled, failed FROM fanout WHERE ",
            $condition
        )
    };
}
pub(super) use select_fan_outs;

/// One request at work: the database, what is cached of it, the time, and what is to be done before the transaction ends.
pub(super) struct WriteTx<'a> {
    pub(super) db: &'a Connection,
    pub(super) state: &'a mut WriterState,
    pub(super) now: i64,
    pub(super) counts: CountChanges,
    pub(super) pending_notifications: PendingNotifications,
    /// Fan-outs that have no room for more rounds, or are deleted.
    pub(super) grown: BTreeSet<i64>,
    /// Keys of runs that changed.
    pub(super) changed_runs: BTreeSet<i64>,
}

/// What becomes of a request that was carried out once its transaction is durable.
#[derive(Debug, Default)]
pub(super) struct Finished {
    pub(super) pending_notifications: PendingNotifications,
    pub(super) grown: BTreeSet<i64>,
}

impl<'a> WriteTx<'a> {
    /// Begins a request in an open transaction.
    pub(super) fn new(db: &'a Connection, state: &'a mut WriterState, now: Option<Timestamp>) -> Self {
        if let Some(now) = now {
            state.now = now.0;
        }
        let now = state.now;
        Self {
            db,
            state,
            now,
            counts: CountChanges::default(),
            pending_notifications: PendingNotifications::default(),
            grown: BTreeSet::new(),
            changed_runs: BTreeSet::new(),
        }
    }

    /// Runs an operation on as much of the database as it needs, and writes what it changed. There is no other writer, so what was
    /// read stays true.
    pub(super) fn change<T>(
        &mut self,
        mut snapshot: Snapshot,
        mut required: RequiredReads,
        operation: impl Fn(&mut ChangeSet<'_>) -> ChangeResult<T>,
    ) -> Result<T, HubError> {
        let mut read_ahead = ReadAhead::starting_at(1);
        loop {
            if !required.is_empty() {
                self.read(&mut snapshot, required, read_ahead.next())?;
            }
            match evaluate(&snapshot, self.now, &operation)? {
                Evaluation::Incomplete(missing) => required = missing,
                Evaluation::Complete(value, mut changes) => {
                    self.write(&changes)?;
                    self.counts.merge(std::mem::take(&mut changes.counts));
                    self.changed_runs.append(&mut changes.changed_runs);
                    self.pending_notifications.merge(std::mem::take(&mut changes.pending_notifications));
                    return Ok(value);
                }
            }
        }
    }

    /// Instantiates the next rounds of a fan-out. Changes nothing if it has no room for more.
    pub(super) fn grow(&mut self, id: i64) -> Result<(), HubError> {
        self.pending_notifications.growing.remove(&id);
        self.grown.insert(id);
        self.change(Snapshot::default(), RequiredReads::fan_out(id), |changes| changes.grow(id))
    }

    /// Carries the request to its end: rounds that have room now, counts, versions.
    pub(super) fn finish(mut self) -> Result<Finished, HubError> {
        for _ in 0..MAX_ROUND_BATCHES {
            let Some(id) = self.pending_notifications.growing.first().copied() else { break };
            self.grow(id)?;
        }
        self.write_counts()?;
        for key in std::mem::take(&mut self.changed_runs) {
            // one row by its key
            let mut update =
                self.db.prepare_cached("UPDATE run SET version = version + 1 WHERE key = ?1 RETURNING id")?;
            let id: Option<[u8; 16]> = update.query_row([key], |row| row.get(0)).optional()?;
            self.pending_notifications.runs.extend(id.map(run_id));
        }
        Ok(Finished { pending_notifications: self.pending_notifications, grown: self.grown })
    }

    /// Returns a run by its key.
    pub(super) fn run(&mut self, key: i64) -> Result<Arc<Run>, HubError> {
        if let Some(run) = self.state.runs.get(key) {
            return Ok(run);
        }
        let mut select = self.db.prepare_cached(
            "SELECT run.id, run.first, plan.body FROM run JOIN plan ON plan.run = run.key WHERE run.key = ?1",
        )?;
        let row = select.query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?)));
        let (id, first, body): ([u8; 16], _, _) =
            row.optional()?.ok_or_else(|| HubError::damaged(format!("run {key} has no plan")))?;
        let (plan, code): (Plan, Vec<BlobRef>) = from_postcard(&body)?;
        let (graph, original) = (Graph::new(with_values(plan)?, code)?, self.original_of(key)?);
        let run = Arc::new(Run { key, id: run_id(id), first, graph, original });
        self.state.runs.insert(run.clone());
        Ok(run)
    }

    /// Returns the key of a run.
    pub(super) fn run_key(&self, run: RunId) -> Result<Option<i64>, HubError> {
        let mut select = self.db.prepare_cached("SELECT key FROM run WHERE id = ?1")?;
        Ok(select.query_row([run.0.as_bytes()], |row| row.get(0)).optional()?)
    }

    /// Returns the key of a run that a user named.
    pub(super) fn expect_run(&self, run: RunId) -> Result<i64, HubError> {
        self.run_key(run)?.ok_or(HubError::RunNotFound(run))
    }

    /// Returns the state of a run.
    pub(super) fn run_state(&self, key: i64) -> Result<RunState, HubError> {
        let mut select = self.db.prepare_cached("SELECT state FROM run WHERE key = ?1")?;
        Ok(select.query_row([key], |row| run_state(row.get(0)?))?)
    }

    /// Allocates the key of a run, which was never used before.
    pub(super) fn allocate_run_key(&self) -> Result<i64, HubError> {
        let mut update =
            self.db.prepare_cached("UPDATE sequence SET next_run = next_run + 1 RETURNING next_run - 1")?;
        Ok(update.query_row([], |row| row.get(0))?)
    }

    /// Allocates this many ids, which were never used before. Returns the first one. Safe because the one writer is the only
    /// user of the sequence; a rollback undoes the allocation too.
    pub(super) fn allocate_ids(&self, count: i64) -> Result<i64, HubError> {
        let mut update =
            self.db.prepare_cached("UPDATE sequence SET next = next + ?1 WHERE next + ?1 < ?2 RETURNING next")?;
        let next: Option<i64> = update.query_row(params![count, MAX_ID], |row| row.get(0)).optional()?;
        next.map(|next| next - count).ok_or_else(|| HubError::damaged("the ids are used up"))
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
    })
}
