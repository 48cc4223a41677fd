//! [`Draft`]: what a request changes, worked out in memory from rows that were read before. Pure: state in, changes out.
//!
//! ```text
//! Known (rows read so far) --> Draft: a verb --> Ok: the changes, to be written at once
//!    ^                                       `-> Halt::Need: what else must be read
//!    +---------------- read it, begin again ---------+
//! ```
//! A database wants few large questions, not many small ones: each costs a journey over the network, or at least a walk through
//! a tree. So a verb runs on what is known; where it meets a row nobody has read, it says so and stops, and a fresh draft runs
//! again once that is there too. Each time more is known, so it ends. Whoever drives this is the only writer, or holds the
//! locks on the runs, so what was read stays true meanwhile.

mod birth;
mod cancel;
mod complete;
mod fan_out;
mod flow;
mod known;
mod reset;
mod rows;
mod settle;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bue_model::{JobId, NodeId, RunState};

use crate::error::HubError;
use crate::jobs::counts::Counts;
use crate::jobs::graph::BlockIndex;
use crate::jobs::initial_state::Standing;
use crate::jobs::instance::{FanOut, Instance, Run, Slot, instance_of};
use crate::jobs::state::State;
pub(crate) use known::{Known, Needs, Stretch, joined};
pub(crate) use rows::{ChunkRow, DoneRow, JobRow};
pub(crate) use settle::MAX_TURNS;

/// Why a verb stopped.
#[derive(Debug)]
pub(crate) enum Halt {
    /// Something must be read first; [`Draft::needs`] says what.
    Need,
    /// It cannot be done.
    Failed(HubError),
}

impl From<HubError> for Halt {
    fn from(error: HubError) -> Self {
        Self::Failed(error)
    }
}

/// What a part of a verb comes to.
pub(crate) type Step<T> = Result<T, Halt>;

/// What has to be told once the changes are on the disk.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// Jobs became ready or parked.
    pub(crate) work: bool,
    /// Fan-outs that have room for more rounds.
    pub(crate) growing: BTreeSet<i64>,
}

/// Changes, on top of what is known.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) known: &'a Known,
    pub(crate) needs: Needs,
    pub(crate) now: i64,
    /// Rows of `job` as they shall be, `None` where they shall not be.
    pub(crate) jobs: BTreeMap<i64, Option<JobRow>>,
    /// Rows of `done` as they shall be.
    pub(crate) done: BTreeMap<i64, Option<DoneRow>>,
    pub(crate) fan_outs: BTreeMap<i64, FanOut>,
    pub(crate) chunks: Vec<ChunkRow>,
    /// By run and job: whether it shall be listed as failed.
    pub(crate) failed: BTreeMap<(i64, i64), bool>,
    /// Runs whose state changes, and when they finished.
    pub(crate) run_states: BTreeMap<i64, (RunState, Option<i64>)>,
    pub(crate) counts: Counts,
    pub(crate) effects: Effects,
    /// Keys of runs that changed.
    pub(crate) touched: BTreeSet<i64>,
    /// Instances in which something closed.
    closings: BTreeSet<Instance>,
    /// How many of the known stretches of fresh ids are used.
    ids_used: BTreeSet<usize>,
}

impl<'a> Draft<'a> {
    /// No change yet.
    pub(crate) fn new(known: &'a Known, now: i64) -> Self {
        Self {
            known,
            needs: Needs::default(),
            now,
            jobs: BTreeMap::new(),
            done: BTreeMap::new(),
            fan_outs: BTreeMap::new(),
            chunks: Vec::new(),
            failed: BTreeMap::new(),
            run_states: BTreeMap::new(),
            counts: Counts::default(),
            effects: Effects::default(),
            touched: BTreeSet::new(),
            closings: BTreeSet::new(),
            ids_used: BTreeSet::new(),
        }
    }

    /// A run, which was read and locked before anything else.
    pub(crate) fn run(&self, key: i64) -> Result<Arc<Run>, HubError> {
        self.known.runs.get(&key).cloned().ok_or_else(|| HubError::damaged(format!("run {key} was not read")))
    }

    /// Where a run stands.
    pub(crate) fn run_state(&self, key: i64) -> Result<RunState, HubError> {
        let changed = self.run_states.get(&key).map(|(state, _)| *state);
        let state = changed.or_else(|| self.known.run_states.get(&key).copied());
        state.ok_or_else(|| HubError::damaged(format!("run {key} was not read")))
    }

    /// A job or fan-out that is not over.
    pub(crate) fn job(&mut self, id: i64) -> Step<Option<JobRow>> {
        if let Some(row) = self.jobs.get(&id) {
            return Ok(row.clone());
        }
        if let Some(row) = self.known.jobs.get(&id) {
            return Ok(Some(row.clone()));
        }
        self.look_at_job(id)?;
        Ok(None)
    }

    /// Whether the row was looked for.
    fn look_at_job(&mut self, id: i64) -> Step<()> {
        if self.jobs.contains_key(&id) || self.known.jobs.contains_key(&id) || self.known.looked_at_job(id) {
            return Ok(());
        }
        self.needs.jobs.insert(id);
        Err(Halt::Need)
    }

    /// All of these are going to be asked for.
    fn look_at_jobs(&mut self, slots: &[Slot]) -> Step<()> {
        let mut all = Ok(());
        for slot in slots {
            all = self.look_at_job(slot.id).and(all);
        }
        all
    }

    /// A row as it shall be.
    pub(crate) fn put(&mut self, row: JobRow) {
        self.jobs.insert(row.slot.id, Some(row));
    }

    /// A job or fan-out that is over.
    fn done_row(&mut self, id: i64) -> Step<Option<DoneRow>> {
        if let Some(row) = self.done.get(&id) {
            return Ok(row.clone());
        }
        if let Some(row) = self.known.done.get(&id) {
            return Ok(Some(row.clone()));
        }
        if self.known.looked_at_done.contains(&id) {
            return Ok(None);
        }
        self.needs.done.insert(id);
        Err(Halt::Need)
    }

    /// A fan-out that has begun.
    fn fan_out(&mut self, id: i64) -> Step<Option<FanOut>> {
        if let Some(fan_out) = self.fan_outs.get(&id).or_else(|| self.known.fan_outs.get(&id)) {
            return Ok(Some(*fan_out));
        }
        if self.known.looked_at_fan_outs.contains(&id) {
            return Ok(None);
        }
        self.needs.fan_outs.insert(id);
        Err(Halt::Need)
    }

    /// A fan-out that must have begun, because rounds of it exist.
    fn presume_fan_out(&mut self, id: i64) -> Step<FanOut> {
        Ok(self.fan_out(id)?.ok_or_else(|| HubError::damaged(format!("fan-out {id} is missing")))?)
    }

    /// How a row stands towards those that depend on it.
    fn standing(&mut self, id: i64) -> Step<Standing> {
        // both are asked for at once: which of the two has it is not known before
        let (done, job) = (self.done_row(id), self.job(id));
        if let Some(row) = done? {
            return Ok(match row.state {
                State::Cancelled => Standing::Cancelled,
                _ => Standing::Completed(row.hint),
            });
        }
        let row = job?.ok_or_else(|| HubError::damaged(format!("job {id} is missing")))?;
        Ok(match (row.state, row.blocked_by) {
            (State::Failed, _) => Standing::Dead(id),
            (State::Stuck, Some(by)) => Standing::Dead(by),
            _ => Standing::Open,
        })
    }

    /// As many ids as asked for, never given before.
    fn take_ids(&mut self, count: i64) -> Step<i64> {
        let mut granted = self.known.ids.iter().enumerate();
        let fits = granted.find(|(at, (_, granted))| *granted == count && !self.ids_used.contains(at));
        if let Some((at, (first, _))) = fits {
            self.ids_used.insert(at);
            return Ok(*first);
        }
        self.needs.ids.push(count);
        Err(Halt::Need)
    }

    /// The instance of `block` in which `from` stands: itself, or one around it.
    fn climb(&mut self, run: &Run, from: Instance, block: BlockIndex) -> Step<Instance> {
        let mut instance = from;
        while instance.block != block {
            if instance.fanout == 0 {
                return Err(HubError::damaged("nothing is around the top level").into());
            }
            let fan_out = self.presume_fan_out(instance.fanout)?;
            instance = instance_of(run, fan_out.slot())?;
        }
        Ok(instance)
    }

    /// A run changed.
    pub(crate) fn touch(&mut self, run: i64) {
        self.touched.insert(run);
    }

    /// A job went from one state to another.
    pub(crate) fn moved(&mut self, run: &Run, node: NodeId, from: State, to: State) {
        self.touch(run.key);
        if let Some(job) = run.graph.job(node) {
            self.counts.moved(run.key, job.step, from, to);
        }
    }

    /// A row that was open is not any more: its instance may have settled.
    fn closed(&mut self, run: &Run, slot: Slot) -> Result<(), HubError> {
        self.touch(run.key);
        self.closings.insert(instance_of(run, slot)?);
        Ok(())
    }

    /// The run of a job and how it stands, wherever its row is.
    fn state_of(&mut self, job: JobId) -> Step<(Arc<Run>, State)> {
        let id = crate::jobs::columns::row_id(job);
        let (open, over) = (self.job(id), self.done_row(id));
        let found = open?.map(|row| (row.run, row.state, row.slot.node));
        let found = found.or(over?.map(|row| (row.run, row.state, row.slot.node)));
        let (key, state, node) = found.ok_or(HubError::JobNotFound(job))?;
        let run = self.run(key)?;
        // fan-outs have ids too and are no jobs
        match run.graph.job(node) {
            Some(_) => Ok((run, state)),
            None => Err(HubError::JobNotFound(job).into()),
        }
    }
}
