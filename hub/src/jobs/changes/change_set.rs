//! [`ChangeSet`]: the changes of one request, on top of a [`Snapshot`]. [`evaluate`] runs an operation on one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bue_model::{JobId, NodeId, RunState};

use super::pending_notifications::PendingNotifications;
use super::rows::{ChunkRow, CopiedList, CounterpartRow, DoneRow, JobRow};
use super::snapshot::{RequiredReads, Snapshot};
use crate::error::HubError;
use crate::jobs::columns::{row_id, signed};
use crate::jobs::counts::step_counts::CountChanges;
use crate::jobs::failed_entry::FailedEntry;
use crate::jobs::graph::BlockIndex;
use crate::jobs::initial_state::ParentState;
use crate::jobs::instance::{FanOut, Instance, Location, Run, enclosing_instance, instance_of, missing_fan_out};
use crate::jobs::outcome_rules::step_settings;
use crate::jobs::state::State;

/// Why an operation stopped.
#[derive(Debug)]
pub(crate) enum ChangeError {
    /// Something must be read first; [`ChangeSet::required`] contains what.
    MissingRows,
    /// The request cannot be carried out.
    Failed(HubError),
}

impl From<HubError> for ChangeError {
    fn from(error: HubError) -> Self {
        Self::Failed(error)
    }
}

/// The result of a part of an operation.
pub(crate) type ChangeResult<T> = Result<T, ChangeError>;

/// Rows of `job` that are read behind each one that is needed, four times as many with each evaluation: dependants are behind
/// what they wait for, and their own dependants further behind.
#[derive(Debug)]
pub(crate) struct ReadAhead(i64);

impl ReadAhead {
    /// The most rows to read ahead.
    const MAX: i64 = 65_536;

    /// Begins with this many rows.
    pub(crate) const fn starting_at(rows: i64) -> Self {
        Self(rows)
    }

    /// Returns how many rows to read ahead this time.
    pub(crate) fn next(&mut self) -> i64 {
        let rows = self.0;
        self.0 = (rows * 4).min(Self::MAX);
        rows
    }
}

/// The result of an operation on what was read so far.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
pub(crate) enum Evaluation<'a, T> {
    /// Its result, and the changes to write.
    Complete(T, ChangeSet<'a>),
    /// It must start over once this is read too.
    Incomplete(RequiredReads),
}

/// Runs an operation on a snapshot, and everything that follows from it.
///
/// # Errors
/// The request cannot be carried out. What the operation still needed to read has precedence, because rows may be missing that
/// would have averted the error.
pub(crate) fn evaluate<T>(
    snapshot: &Snapshot,
    now: i64,
    operation: impl Fn(&mut ChangeSet<'_>) -> ChangeResult<T>,
) -> Result<Evaluation<'_, T>, HubError> {
    let mut changes = ChangeSet::new(snapshot, now);
    let result = operation(&mut changes).and_then(|value| changes.settle_all().map(|()| value));
    let required = std::mem::take(&mut changes.required);
    if !required.is_empty() {
        return Ok(Evaluation::Incomplete(required));
    }
    match result {
        Ok(value) => Ok(Evaluation::Complete(value, changes)),
        Err(ChangeError::Failed(error)) => Err(error),
        Err(ChangeError::MissingRows) => Err(HubError::damaged("a request needs nothing and cannot go on")),
    }
}

/// Whether some of several steps lack rows. The others are carried out nevertheless, so that everything that is missing is
/// read at once.
#[derive(Debug, Default)]
pub(super) struct MissingRows(bool);

impl MissingRows {
    /// Returns the value of a step, or `None` if rows are missing for it.
    pub(super) fn allow<T>(&mut self, result: ChangeResult<T>) -> ChangeResult<Option<T>> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(ChangeError::MissingRows) => {
                self.0 = true;
                Ok(None)
            }
            Err(failed) => Err(failed),
        }
    }

    /// Stops if rows were missing for any of the steps.
    pub(super) fn check(self) -> ChangeResult<()> {
        if self.0 { Err(ChangeError::MissingRows) } else { Ok(()) }
    }
}

/// Changes, on top of what was read.
#[derive(Debug)]
pub(crate) struct ChangeSet<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) required: RequiredReads,
    pub(crate) now: i64,
    /// Rows of `job` to write, `None` for those to delete.
    pub(crate) jobs: BTreeMap<i64, Option<JobRow>>,
    /// Rows of `done` to write, `None` for those to delete.
    pub(crate) done: BTreeMap<i64, Option<DoneRow>>,
    pub(crate) fan_outs: BTreeMap<i64, FanOut>,
    pub(crate) chunks: Vec<ChunkRow>,
    pub(crate) copied_lists: Vec<CopiedList>,
    pub(crate) counterparts: Vec<CounterpartRow>,
    /// By run and job: how the job is to be listed as failed, `None` for one that is not to be listed any more.
    pub(crate) failed: BTreeMap<(i64, i64), Option<FailedEntry>>,
    /// New states of runs, and when they finished.
    pub(crate) run_states: BTreeMap<i64, (RunState, Option<i64>)>,
    /// New values of `run.ending`: the states of runs when their `finally` blocks began.
    pub(crate) endings: BTreeMap<i64, Option<RunState>>,
    /// Keys of runs of which a person resets failed jobs.
    pub(crate) reset_runs: BTreeSet<i64>,
    /// Keys of runs that a person cancels.
    pub(crate) cancelled_runs: BTreeSet<i64>,
    pub(crate) counts: CountChanges,
    /// What to announce, apart from runs, which are in `changed_runs`.
    pub(crate) pending_notifications: PendingNotifications,
    /// Keys of runs that changed.
    pub(crate) changed_runs: BTreeSet<i64>,
    /// Jobs of reruns, with the keys of these, that may run for the first time, unless they are reused.
    pub(super) to_reuse: BTreeSet<(i64, Location)>,
    /// Instances in which a row stopped being open.
    pub(super) to_settle: BTreeSet<Instance>,
    /// Positions in [`Snapshot::ids`] that are used.
    used_ids: BTreeSet<usize>,
}

impl<'a> ChangeSet<'a> {
    fn new(snapshot: &'a Snapshot, now: i64) -> Self {
        Self {
            snapshot,
            required: RequiredReads::default(),
            now,
            jobs: BTreeMap::new(),
            done: BTreeMap::new(),
            fan_outs: BTreeMap::new(),
            chunks: Vec::new(),
            copied_lists: Vec::new(),
            counterparts: Vec::new(),
            failed: BTreeMap::new(),
            run_states: BTreeMap::new(),
            endings: BTreeMap::new(),
            reset_runs: BTreeSet::new(),
            cancelled_runs: BTreeSet::new(),
            counts: CountChanges::default(),
            pending_notifications: PendingNotifications::default(),
            changed_runs: BTreeSet::new(),
            to_reuse: BTreeSet::new(),
            to_settle: BTreeSet::new(),
            used_ids: BTreeSet::new(),
        }
    }

    /// Returns a run, which is read and locked before anything else.
    pub(crate) fn run(&self, key: i64) -> Result<Arc<Run>, HubError> {
        self.snapshot.runs.get(&key).cloned().ok_or_else(|| HubError::damaged(format!("run {key} was not read")))
    }

    /// Returns the state of a run.
    pub(crate) fn run_state(&self, key: i64) -> Result<RunState, HubError> {
        let changed = self.run_states.get(&key).map(|(state, _)| *state);
        let state = changed.or_else(|| self.snapshot.run_states.get(&key).copied());
        state.ok_or_else(|| HubError::damaged(format!("run {key} was not read")))
    }

    /// Returns when a job expires that has not started; `None` if its step has no `!expires`.
    pub(super) fn expiry(&self, run: &Run, node: NodeId) -> Result<Option<i64>, HubError> {
        let Some(limit_ms) = step_settings(run, node).and_then(|(_, settings)| settings.expires_ms) else {
            return Ok(None);
        };
        let stored = || self.snapshot.fresh_since.get(&run.key).copied();
        // handlers and `finally` begin when something else has ended
        let is_fresh = self.reset_runs.contains(&run.key) || run.graph.begins_late(node);
        let since = if is_fresh { Some(self.now) } else { stored() };
        let since = since.ok_or_else(|| HubError::damaged(format!("run {} was not read", run.key)))?;
        Ok(Some(since.saturating_add(signed(limit_ms))))
    }

    /// Returns a job or fan-out that has not ended.
    pub(crate) fn job(&mut self, id: i64) -> ChangeResult<Option<JobRow>> {
        if let Some(row) = self.jobs.get(&id) {
            return Ok(row.clone());
        }
        if let Some(row) = self.snapshot.jobs.get(&id) {
            return Ok(Some(row.clone()));
        }
        self.need_job(id)?;
        Ok(None)
    }

    /// Stops if a row of `job` was not looked up.
    fn need_job(&mut self, id: i64) -> ChangeResult<()> {
        let snapshot = self.snapshot;
        if self.jobs.contains_key(&id) || snapshot.jobs.contains_key(&id) || snapshot.has_looked_up_job(id) {
            return Ok(());
        }
        self.required.jobs.insert(id);
        Err(ChangeError::MissingRows)
    }

    /// Stops if any of these rows of `job` were not looked up.
    pub(super) fn need_jobs(&mut self, locations: &[Location]) -> ChangeResult<()> {
        let mut all = Ok(());
        for location in locations {
            all = self.need_job(location.id).and(all);
        }
        all
    }

    /// Writes a row of `job`.
    pub(crate) fn put(&mut self, row: JobRow) {
        self.note_end_of_lease(&row, row.state);
        self.pending_notifications.expiries |=
            row.expires_at.is_some() && matches!(row.state, State::Ready | State::Parked);
        self.jobs.insert(row.location.id, Some(row));
    }

    /// The worker of a job that ran alone may have others again, and another job may run in place of one under `!at_most`.
    pub(super) fn note_end_of_lease(&mut self, row: &JobRow, next: State) {
        let is_counted = || {
            let step = self.snapshot.runs.get(&row.run).and_then(|run| step_settings(run, row.location.node));
            row.rate != 0 && step.is_some_and(|(_, settings)| settings.at_most.is_some())
        };
        self.pending_notifications.work |= next != State::Running && (row.isolated || is_counted());
    }

    /// Returns whether a job is in another scope than the script says, so that counts by step do not tell where it is.
    pub(crate) fn is_moved(&self, row: &JobRow) -> bool {
        let step = self.snapshot.runs.get(&row.run).and_then(|run| step_settings(run, row.location.node));
        step.is_some_and(|(_, settings)| *settings.scope != *row.scope)
    }

    /// Returns a job or fan-out that has ended.
    pub(super) fn done_row(&mut self, id: i64) -> ChangeResult<Option<DoneRow>> {
        if let Some(row) = self.done.get(&id) {
            return Ok(row.clone());
        }
        if let Some(row) = self.snapshot.done.get(&id) {
            return Ok(Some(row.clone()));
        }
        if self.snapshot.done_lookups.contains(&id) {
            return Ok(None);
        }
        self.required.done.insert(id);
        Err(ChangeError::MissingRows)
    }

    /// Returns a fan-out that has started.
    pub(super) fn fan_out(&mut self, id: i64) -> ChangeResult<Option<FanOut>> {
        if let Some(fan_out) = self.fan_outs.get(&id).or_else(|| self.snapshot.fan_outs.get(&id)) {
            return Ok(Some(*fan_out));
        }
        if self.snapshot.fan_out_lookups.contains(&id) {
            return Ok(None);
        }
        self.required.fan_outs.insert(id);
        Err(ChangeError::MissingRows)
    }

    /// Returns a fan-out that must have started, because rounds of it exist.
    pub(super) fn require_fan_out(&mut self, id: i64) -> ChangeResult<FanOut> {
        Ok(self.fan_out(id)?.ok_or_else(|| missing_fan_out(id))?)
    }

    /// Returns the state of a row as its dependants see it.
    pub(super) fn parent_state(&mut self, id: i64) -> ChangeResult<ParentState> {
        // both are looked up at once: which of the two tables has it is not known before
        let (done, job) = (self.done_row(id), self.job(id));
        if let Some(row) = done? {
            return Ok(match row.state {
                State::Cancelled => ParentState::Cancelled,
                _ => ParentState::Completed(row.hint),
            });
        }
        let row = job?.ok_or_else(|| HubError::damaged(format!("job {id} is missing")))?;
        Ok(match (row.state, row.blocked_by) {
            (State::Failed, _) => ParentState::Failed(id),
            (State::Stuck, Some(failed_job)) => ParentState::Failed(failed_job),
            _ => ParentState::Open,
        })
    }

    /// Allocates this many ids, which were never used before. Returns the first one.
    pub(super) fn allocate_ids(&mut self, count: i64) -> ChangeResult<i64> {
        let mut allocated = self.snapshot.ids.iter().enumerate();
        let unused = allocated.find(|(at, (_, allocated))| *allocated == count && !self.used_ids.contains(at));
        if let Some((at, (first, _))) = unused {
            self.used_ids.insert(at);
            return Ok(*first);
        }
        self.required.ids.push(count);
        Err(ChangeError::MissingRows)
    }

    /// Returns the instance of `block` that contains `from`: `from` itself, or one around it.
    pub(super) fn enclosing(&mut self, run: &Run, from: Instance, block: BlockIndex) -> ChangeResult<Instance> {
        enclosing_instance(run, from, block, |id| self.require_fan_out(id))
    }

    /// Records that a run changed.
    pub(crate) fn mark_run_changed(&mut self, run: i64) {
        self.changed_runs.insert(run);
    }

    /// Counts that a job went from one state to another.
    pub(crate) fn count_transition(&mut self, run: &Run, node: NodeId, from: State, to: State) {
        self.mark_run_changed(run.key);
        if let Some(job) = run.graph.job(node) {
            self.counts.transition(run.key, job.step, from, to);
        }
    }

    /// Records that a row is not open any more: its instance may have settled.
    pub(super) fn mark_closed(&mut self, run: &Run, location: Location) -> Result<(), HubError> {
        self.mark_run_changed(run.key);
        self.to_settle.insert(instance_of(run, location)?);
        Ok(())
    }

    /// Returns the run of a job and the job's state, whichever table has its row.
    pub(super) fn job_state(&mut self, job: JobId) -> ChangeResult<(Arc<Run>, State)> {
        let id = row_id(job);
        let (open, done) = (self.job(id), self.done_row(id));
        let row = open?.map(|row| (row.run, row.state, row.location.node));
        let row = row.or(done?.map(|row| (row.run, row.state, row.location.node)));
        let (key, state, node) = row.ok_or(HubError::JobNotFound(job))?;
        let run = self.run(key)?;
        // fan-outs have ids too and are no jobs
        match run.graph.job(node) {
            Some(_) => Ok((run, state)),
            None => Err(HubError::JobNotFound(job).into()),
        }
    }
}
