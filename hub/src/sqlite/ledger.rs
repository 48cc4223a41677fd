//! [`Ledger`]: one transaction at work. The verbs stand in the files beside this one; here is what they share.

use std::collections::BTreeSet;
use std::sync::Arc;

use bue_model::{BlobRef, NodeId, Plan, RunId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::counts::Counts;
use super::memory::{Memory, Run};
use super::state::State;
pub(super) use crate::columns::{from_blob, job_id, row_id, run_id, signed, to_blob, unsigned};
use crate::error::HubError;
use crate::graph::{BlockIndex, Graph};
pub(super) use crate::instance::{FanOut, Instance, Slot, instance_of, node_of, slot_in};

/// What has to be told, or remembered, once the transaction is on the disk.
#[derive(Debug, Default)]
pub(super) struct Effects {
    /// Runs that changed.
    pub(super) runs: BTreeSet<RunId>,
    /// Jobs became ready or parked.
    pub(super) work: bool,
    /// Leases were given.
    pub(super) leases: bool,
    /// Fan-outs that want to grow on.
    pub(super) growing: BTreeSet<i64>,
    /// Fan-outs that do not any more.
    pub(super) grown: BTreeSet<i64>,
}

/// One transaction: the database, what is cached of it, the time, and what is still to be done before it ends.
pub(super) struct Ledger<'a> {
    pub(super) db: &'a Connection,
    pub(super) memory: &'a mut Memory,
    pub(super) now: i64,
    pub(super) counts: Counts,
    /// Instances of blocks in which something closed.
    pub(super) closings: BTreeSet<Instance>,
    pub(super) effects: Effects,
    /// Keys of runs that changed.
    touched: BTreeSet<i64>,
}

impl FanOut {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
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
}

impl<'a> Ledger<'a> {
    /// A transaction that has begun.
    pub(super) fn new(db: &'a Connection, memory: &'a mut Memory, now: Option<Timestamp>) -> Self {
        if let Some(now) = now {
            memory.now = now.0;
        }
        let now = memory.now;
        let (counts, closings, effects) = Default::default();
        Self { db, memory, now, counts, closings, effects, touched: BTreeSet::new() }
    }

    /// Carries everything to its end: rounds that settled, counts, versions.
    pub(super) fn finish(mut self) -> Result<Effects, HubError> {
        self.settle_all()?;
        self.counts.write(self.db)?;
        for key in std::mem::take(&mut self.touched) {
            // one row by its key
            let mut update =
                self.db.prepare_cached("UPDATE run SET version = version + 1 WHERE key = ?1 RETURNING id")?;
            let id: Option<[u8; 16]> = update.query_row([key], |row| row.get(0)).optional()?;
            self.effects.runs.extend(id.map(run_id));
        }
        Ok(self.effects)
    }

    /// A run changed.
    pub(super) fn touch(&mut self, run: i64) {
        self.touched.insert(run);
    }

    /// A job went from one state to another.
    pub(super) fn moved(&mut self, run: &Run, node: NodeId, from: State, to: State) {
        self.touch(run.key);
        if let Some(job) = run.graph.job(node) {
            self.counts.moved(run.key, job.step, from, to);
        }
    }

    /// A row that was open is not any more: its instance may have settled.
    pub(super) fn closed(&mut self, run: &Run, slot: Slot) -> Result<(), HubError> {
        self.touch(run.key);
        let instance = instance_of(run, slot)?;
        self.closings.insert(instance);
        Ok(())
    }

    /// A run by its key.
    pub(super) fn run(&mut self, key: i64) -> Result<Arc<Run>, HubError> {
        if let Some(run) = self.memory.runs.get(key) {
            return Ok(run);
        }
        let mut select = self.db.prepare_cached(
            "SELECT run.id, run.first, plan.body FROM run JOIN plan ON plan.run = run.key WHERE run.key = ?1",
        )?;
        let row = select.query_row([key], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?)));
        let (id, first, body): ([u8; 16], _, _) =
            row.optional()?.ok_or_else(|| HubError::damaged(format!("run {key} has no plan")))?;
        let (plan, code): (Plan, Vec<BlobRef>) = from_blob(&body)?;
        let run = Arc::new(Run { key, id: run_id(id), first, graph: Graph::new(plan, code)? });
        self.memory.runs.keep(run.clone());
        Ok(run)
    }

    /// Key of a run, where there is one.
    pub(super) fn run_key(&self, run: RunId) -> Result<Option<i64>, HubError> {
        let mut select = self.db.prepare_cached("SELECT key FROM run WHERE id = ?1")?;
        Ok(select.query_row([run.0.as_bytes()], |row| row.get(0)).optional()?)
    }

    /// As many ids as asked for, never given before. Safe because the one writer is the only user of the sequence; where
    /// the transaction is undone, so is this.
    pub(super) fn take_ids(&self, count: i64) -> Result<i64, HubError> {
        let mut update =
            self.db.prepare_cached("UPDATE sequence SET next = next + ?1 WHERE next + ?1 < ?2 RETURNING next")?;
        // far below where sums of ids could overflow, and far above what any number of loops takes
        const END: i64 = 1 << 62;
        let next: Option<i64> = update.query_row(params![count, END], |row| row.get(0)).optional()?;
        next.map(|next| next - count).ok_or_else(|| HubError::damaged("the ids are used up"))
    }

    /// A fan-out that has begun.
    pub(super) fn fan_out(&self, id: i64) -> Result<Option<FanOut>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT id, run, node, outer, source, first, stride, count, expanded, settled, failed
             FROM fanout WHERE id = ?1",
        )?;
        Ok(select.query_row([id], FanOut::read).optional()?)
    }

    /// A fan-out that must have begun, because rounds of it exist.
    pub(super) fn presume_fan_out(&self, id: i64) -> Result<FanOut, HubError> {
        self.fan_out(id)?.ok_or_else(|| HubError::damaged(format!("fan-out {id} is missing")))
    }

    /// The instance of `block` in which `instance` stands: itself, or one around it. With it, the id of the fan-out on the
    /// way from there, and the round taken.
    pub(super) fn climb(&self, run: &Run, from: Instance, block: BlockIndex) -> Result<Instance, HubError> {
        let mut instance = from;
        while instance.block != block {
            instance = self.outer(run, instance)?;
        }
        Ok(instance)
    }

    /// The instance around one.
    pub(super) fn outer(&self, run: &Run, instance: Instance) -> Result<Instance, HubError> {
        if instance.fanout == 0 {
            return Err(HubError::damaged("nothing is around the top level"));
        }
        let fan_out = self.presume_fan_out(instance.fanout)?;
        instance_of(run, fan_out.slot())
    }
}
