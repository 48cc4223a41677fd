//! [`Ledger`]: one transaction at work. The verbs stand in the files beside this one; here is what they share.

use std::collections::BTreeSet;
use std::sync::Arc;

use bue_model::{BlobRef, NodeId, Plan, RunId, RunState, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::memory::{Memory, Run};
use super::state::{State, run_state};
use crate::error::HubError;
pub(super) use crate::jobs::columns::{from_blob, job_id, row_id, run_id, signed, to_blob, unsigned};
use crate::jobs::counts::Counts;
use crate::jobs::draft::{Draft, Effects as Drafted, Halt, Known, MAX_TURNS, Needs, Step};
use crate::jobs::graph::{BlockIndex, Graph};
pub(super) use crate::jobs::instance::{FanOut, Instance, Slot, instance_of, node_of, slot_in};

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
    pub(super) effects: Effects,
    /// Keys of runs that changed.
    pub(super) touched: BTreeSet<i64>,
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
        Self { db, memory, now, counts: Counts::default(), effects: Effects::default(), touched: BTreeSet::new() }
    }

    /// Runs a verb on as much of the database as it needs, and writes what it changed. Nobody else changes the database, so
    /// what was read stays true.
    pub(super) fn draft<T>(
        &mut self,
        mut known: Known,
        mut needs: Needs,
        verb: impl Fn(&mut Draft<'_>) -> Step<T>,
    ) -> Result<T, HubError> {
        let mut gulp = 1;
        loop {
            if !needs.is_empty() {
                self.read(&mut known, needs, gulp)?;
                // dependants stand behind what they wait for, and those that depend on them further on
                gulp = (gulp * 4).min(LAST_GULP);
            }
            let mut draft = Draft::new(&known, self.now);
            let done = verb(&mut draft).and_then(|value| draft.settle_all().map(|()| value));
            needs = std::mem::take(&mut draft.needs);
            if !needs.is_empty() {
                continue;
            }
            let value = match done {
                Ok(value) => value,
                Err(Halt::Failed(error)) => return Err(error),
                Err(Halt::Need) => return Err(HubError::damaged("a request needs nothing and cannot go on")),
            };
            self.write(&draft)?;
            self.counts.merge(std::mem::take(&mut draft.counts));
            self.touched.append(&mut draft.touched);
            self.take_over(std::mem::take(&mut draft.effects));
            return Ok(value);
        }
    }

    fn take_over(&mut self, effects: Drafted) {
        self.effects.work |= effects.work;
        self.effects.growing.extend(effects.growing);
    }

    /// Makes the next rounds of a fan-out; of no effect where it has no room for more.
    pub(super) fn grow(&mut self, id: i64) -> Result<(), HubError> {
        self.effects.growing.remove(&id);
        self.effects.grown.insert(id);
        let needs = Needs { jobs: [id].into(), fan_outs: [id].into(), ..Needs::default() };
        self.draft(Known::default(), needs, |draft| draft.grow(id))
    }

    /// Carries everything to its end: rounds that have room now, counts, versions.
    pub(super) fn finish(mut self) -> Result<Effects, HubError> {
        for _ in 0..MAX_TURNS {
            let Some(id) = self.effects.growing.first().copied() else { break };
            self.grow(id)?;
        }
        self.write_counts()?;
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

    /// Where a run stands.
    pub(super) fn run_state(&self, key: i64) -> Result<RunState, HubError> {
        let mut select = self.db.prepare_cached("SELECT state FROM run WHERE key = ?1")?;
        Ok(select.query_row([key], |row| run_state(row.get(0)?))?)
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

    /// The fan-outs of a run that have begun.
    pub(super) fn fan_outs_of(&self, run: i64) -> Result<Vec<FanOut>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT id, run, node, outer, source, first, stride, count, expanded, settled, failed
             FROM fanout WHERE run = ?1",
        )?;
        Ok(select.query_map([run], FanOut::read)?.collect::<Result<_, _>>()?)
    }

    /// The instance of `block` in which `from` stands: itself, or one around it.
    pub(super) fn climb(&self, run: &Run, from: Instance, block: BlockIndex) -> Result<Instance, HubError> {
        let mut instance = from;
        while instance.block != block {
            if instance.fanout == 0 {
                return Err(HubError::damaged("nothing is around the top level"));
            }
            let fan_out = self.fan_out(instance.fanout)?;
            let missing = || HubError::damaged(format!("fan-out {} is missing", instance.fanout));
            instance = instance_of(run, fan_out.ok_or_else(missing)?.slot())?;
        }
        Ok(instance)
    }
}

/// Rows read behind one that is asked for, at most.
const LAST_GULP: i64 = 65_536;
