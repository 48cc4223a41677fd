//! Schedules. What they do is decided in [`turn`](crate::schedules::turn); here it is carried out, with the runs it starts, in one
//! transaction: a due time has its run and is passed, or neither.
//!
//! The row of a schedule is the lock of its progress. Hubs that look for due schedules skip rows that are locked, so they share
//! the work. A transaction that holds such a lock waits for those of pipelines and runs, and never the other way round.

use std::collections::{HashMap, HashSet};

use bue_model::pipeline::Invoked;
use bue_model::schedule::{
    AppliedSchedule, BackfillProgress, RunCounts, ScheduleChange, SchedulePage, ScheduleView, ScheduledRun,
};
use bue_model::{RunId, RunState, Timestamp};
use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use uuid::Uuid;

use super::connection::retry::retry_transient;
use super::pipelines::{NewInvocation, keep_runnable};
use super::query::{execute, query, run_state};
use super::state::PostgresState;
use super::submit::{InsertedRuns, NewRun};
use crate::error::{HubError, MAX_SCHEDULES};
use crate::jobs::changes::pending_notifications::PendingNotifications;
use crate::jobs::columns::{small, unsigned};
use crate::pipelines::{Invocation, RunnableVersion};
use crate::schedules::MAX_PAGE;
use crate::schedules::backfill::Backfill;
use crate::schedules::firing::{FiredSchedules, MAX_TURNS, TurnBudget, misfit, problem_of, unusable};
use crate::schedules::progress::Progress;
use crate::schedules::request::{Others, ScheduleAction, ScheduleUpdate, UpdateMode};
use crate::schedules::spec::ScheduleSpec;
use crate::schedules::turn::{Turn, next_turn, take_turn};
use crate::schedules::view::{MAX_NEXT, MAX_RECENT, NEXT_IN_LIST, view_of};

/// A row.
struct Stored {
    name: String,
    spec: ScheduleSpec,
    progress: Progress,
}

/// A transaction that starts runs of schedules.
struct Starter<'a> {
    state: &'a PostgresState,
    tx: &'a Transaction<'a>,
    now: i64,
    /// A pipeline and its version, kept for the next schedule, which often runs the same.
    current: Option<(String, RunnableVersion)>,
    budget: TurnBudget,
    /// Runs that are inserted together at the end.
    pending: Vec<PendingStart>,
    /// Runs that were inserted.
    started: u32,
    pending_notifications: PendingNotifications,
}

/// A run that is still to be inserted.
struct PendingStart {
    schedule: String,
    due: i64,
    invocation: Invocation,
    version: u32,
    run: NewRun,
}

impl PostgresState {
    /// Sets schedules, all of them or none.
    pub(super) async fn put_schedules(
        &self,
        now: i64,
        update: &ScheduleUpdate,
    ) -> Result<Vec<AppliedSchedule>, HubError> {
        retry_transient!(self.try_put_schedules(now, update))
    }

    async fn try_put_schedules(&self, now: i64, update: &ScheduleUpdate) -> Result<Vec<AppliedSchedule>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        // updates take turns, so that their number is known and two of them lock no rows in different orders
        execute(&tx, "SELECT pg_advisory_xact_lock(hashtextextended('bue schedules', 0))", &[]).await?;
        let mut starter = Starter::new(self, &tx, now);
        let mut applied = Vec::with_capacity(update.schedules.len());
        for (name, spec) in &update.schedules {
            applied.push(starter.put(name, spec, update.mode).await?);
        }
        if update.others == Others::Remove {
            applied.extend(remove_others(&tx, update).await?);
        }
        expect_room(&tx, update.mode, &applied).await?;
        self.commit(tx).await?;
        self.announce(PendingNotifications { schedules: true, ..PendingNotifications::default() });
        Ok(applied)
    }

    /// Pauses, resumes or removes a schedule.
    pub(super) async fn change_schedule(&self, now: i64, name: &str, action: ScheduleAction) -> Result<(), HubError> {
        retry_transient!(self.try_change_schedule(now, name, action))
    }

    async fn try_change_schedule(&self, now: i64, name: &str, action: ScheduleAction) -> Result<(), HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let Stored { spec, progress, .. } = lock_schedule(&tx, name).await?;
        match action {
            ScheduleAction::Remove => remove_schedule(&tx, name).await?,
            ScheduleAction::Pause => write_schedule(&tx, name, &spec, &progress.paused(), None).await?,
            ScheduleAction::Resume => {
                let progress = progress.resumed(&spec, now);
                write_schedule(&tx, name, &spec, &progress, next_turn(name, &spec, &progress, now)).await?;
            }
        }
        self.commit(tx).await?;
        self.announce(PendingNotifications { schedules: true, ..PendingNotifications::default() });
        Ok(())
    }

    /// Returns a page of the schedules, by name.
    pub(super) async fn schedules(&self, after: &str, limit: u32) -> Result<SchedulePage, HubError> {
        retry_transient!(self.try_schedules(after, limit.clamp(1, MAX_PAGE)))
    }

    async fn try_schedules(&self, after: &str, limit: u32) -> Result<SchedulePage, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let sql = "SELECT name, spec, progress FROM schedule WHERE name > $1 ORDER BY name LIMIT $2";
        let rows = query(&tx, sql, &[&after, &i64::from(limit + 1)]).await?;
        let stored: Vec<Stored> = rows.iter().take(limit as usize).map(Stored::read).collect::<Result<_, _>>()?;
        let last_runs: Vec<RunId> = stored.iter().filter_map(|stored| stored.progress.last_run).collect();
        let states = states_of(&tx, &last_runs).await?;
        let next = stored.last().filter(|_| rows.len() > stored.len()).map(|stored| stored.name.clone());
        let views = stored.into_iter().map(|Stored { name, spec, progress }| {
            let last_run = last_run(&progress, &states);
            view_of(name, &spec, &progress, NEXT_IN_LIST, (last_run, None))
        });
        Ok(SchedulePage { schedules: views.collect(), next })
    }

    /// Returns a schedule.
    pub(super) async fn schedule(&self, name: &str) -> Result<Option<ScheduleView>, HubError> {
        retry_transient!(self.try_schedule(name))
    }

    async fn try_schedule(&self, name: &str) -> Result<Option<ScheduleView>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let rows = query(&tx, "SELECT name, spec, progress FROM schedule WHERE name = $1", &[&name]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let Stored { name, spec, progress } = Stored::read(row)?;
        let last: Vec<RunId> = progress.last_run.into_iter().collect();
        let runs = (last_run(&progress, &states_of(&tx, &last).await?), Some(recent_runs(&tx, &name).await?));
        Ok(Some(view_of(name, &spec, &progress, MAX_NEXT, runs)))
    }

    /// Returns the latest runs of a schedule, by their due times.
    pub(super) async fn schedule_runs(&self, name: &str, limit: u32) -> Result<Vec<ScheduledRun>, HubError> {
        retry_transient!(self.try_schedule_runs(name, limit))
    }

    async fn try_schedule_runs(&self, name: &str, limit: u32) -> Result<Vec<ScheduledRun>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let sql = "SELECT id, state, due FROM schedule_run JOIN run ON key = run WHERE schedule = $1
             ORDER BY due DESC, key DESC LIMIT $2";
        let rows = query(&tx, sql, &[&name, &i64::from(limit).clamp(1, MAX_RECENT)]).await?;
        let runs = rows.iter().map(|row| {
            let run = RunId(row.try_get(0)?);
            Ok(ScheduledRun { run, state: run_state(run, row.try_get(1)?)?, due: Timestamp(row.try_get(2)?) })
        });
        runs.collect()
    }

    /// Starts a run of a schedule at the request of a user. A run that exists is left as it is.
    pub(super) async fn run_schedule(&self, now: i64, name: &str, run: RunId) -> Result<Invoked, HubError> {
        retry_transient!(self.try_run_schedule(now, name, run))
    }

    async fn try_run_schedule(&self, now: i64, name: &str, run: RunId) -> Result<Invoked, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let Stored { spec, mut progress, .. } = lock_schedule(&tx, name).await?;
        let mut starter = Starter::new(self, &tx, now);
        starter.start(name, spec.invocation_as(run, now), now).await.map_err(|error| misfit(name, error))?;
        if starter.flush().await? > 0 {
            progress.record_start(run, now);
            write_schedule(&tx, name, &spec, &progress, next_turn(name, &spec, &progress, now)).await?;
        }
        let state = states_of(&tx, &[run]).await?.remove(&run).ok_or(HubError::RunNotFound(run))?;
        let pending_notifications = starter.pending_notifications;
        self.commit(tx).await?;
        self.announce(pending_notifications);
        Ok(Invoked { run, state })
    }

    /// Starts the next runs of a backfill.
    pub(super) async fn backfill(
        &self,
        now: i64,
        name: &str,
        backfill: &Backfill,
    ) -> Result<BackfillProgress, HubError> {
        retry_transient!(self.try_backfill(now, name, backfill))
    }

    async fn try_backfill(&self, now: i64, name: &str, backfill: &Backfill) -> Result<BackfillProgress, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let Stored { spec, .. } = lock_schedule(&tx, name).await?;
        let range = backfill.due_times(name, &spec, now)?;
        let runs: Vec<RunId> = range.due.iter().map(|(_, run)| *run).collect();
        let states = states_of(&tx, &runs).await?;
        let mut starter = Starter::new(self, &tx, now);
        for due in backfill.starts(&range, &states) {
            let started = starter.start(name, spec.invocation(name, due), due).await;
            started.map_err(|error| misfit(name, error))?;
            if starter.budget.is_used_up() {
                break;
            }
        }
        starter.flush().await?;
        let progress = range.progress(&states_of(&tx, &runs).await?);
        let pending_notifications = starter.pending_notifications;
        self.commit(tx).await?;
        self.announce(pending_notifications);
        Ok(progress)
    }

    /// Gives schedules whose time has come their turns.
    pub(super) async fn fire_schedules(&self, now: i64) -> Result<FiredSchedules, HubError> {
        retry_transient!(self.try_fire_schedules(now))
    }

    async fn try_fire_schedules(&self, now: i64) -> Result<FiredSchedules, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let sql = "SELECT name, spec, progress FROM schedule WHERE turn_at <= $1 ORDER BY turn_at LIMIT $2
             FOR UPDATE SKIP LOCKED";
        let rows = query(&tx, sql, &[&now, &MAX_TURNS]).await?;
        let (mut fired, mut starter) = (FiredSchedules::default(), Starter::new(self, &tx, now));
        let stored: Vec<_> = rows.iter().map(|row| (row, Stored::read(row))).collect();
        let previous = stored.iter().filter_map(|(_, stored)| stored.as_ref().ok()?.progress.last_run);
        let states = states_of(&tx, &previous.collect::<Vec<_>>()).await?;
        for (row, stored) in stored {
            fired.turns += 1;
            match stored {
                Ok(stored) => starter.turn(stored, &states).await?,
                Err(error) => retire_schedule(&tx, row.try_get(0)?, &error).await?,
            }
            if starter.budget.is_used_up() {
                break;
            }
        }
        starter.flush().await?;
        fired.started = starter.started;
        let next = query(&tx, "SELECT min(turn_at) FROM schedule WHERE turn_at IS NOT NULL", &[]).await?;
        fired.next_at = next.first().map_or(Ok(None), |row| row.try_get::<_, Option<i64>>(0))?.map(Timestamp);
        let pending_notifications = starter.pending_notifications;
        self.commit(tx).await?;
        self.announce(pending_notifications);
        Ok(fired)
    }
}

impl<'a> Starter<'a> {
    fn new(state: &'a PostgresState, tx: &'a Transaction<'a>, now: i64) -> Self {
        let (budget, pending, pending_notifications) = Default::default();
        Self { state, tx, now, current: None, budget, pending, started: 0, pending_notifications }
    }

    async fn put(&mut self, name: &str, spec: &ScheduleSpec, mode: UpdateMode) -> Result<AppliedSchedule, HubError> {
        let stored = find_schedule(self.tx, name).await?;
        let existing = stored.as_ref().map(|stored| (&stored.spec, stored.progress.clone()));
        let (change, progress) = Progress::updated(existing, spec, self.now);
        if change != ScheduleChange::Unchanged {
            self.check_params(name, spec).await?;
            if mode == UpdateMode::Apply {
                let turn_at = next_turn(name, spec, &progress, self.now);
                write_schedule(self.tx, name, spec, &progress, turn_at).await?;
            }
        }
        let next = progress.next_due.filter(|_| !progress.is_paused).map(Timestamp);
        Ok(AppliedSchedule { name: name.to_owned(), change, next })
    }

    /// Checks that the pipeline exists and takes the parameters.
    async fn check_params(&mut self, name: &str, spec: &ScheduleSpec) -> Result<(), HubError> {
        let at = spec.recurrence.next_after(self.now).unwrap_or(self.now);
        let version = self.version(&spec.pipeline).await.map_err(|error| misfit(name, error))?;
        version.submission(&spec.invocation(name, at), 0).map(drop).map_err(|error| misfit(name, error))
    }

    /// Returns the current version of a pipeline. It is there until the transaction ends.
    async fn version(&mut self, pipeline: &str) -> Result<&RunnableVersion, HubError> {
        let kept = self.current.take().filter(|(name, _)| name == pipeline);
        let version = match kept {
            Some((_, version)) => version,
            None => keep_runnable(self.tx, pipeline).await.map_err(|error| unusable(pipeline, error))?,
        };
        Ok(&self.current.insert((pipeline.to_owned(), version)).1)
    }

    /// Gives a schedule its turn. `states` are those of the previous runs.
    async fn turn(
        &mut self,
        Stored { name, spec, progress }: Stored,
        states: &HashMap<RunId, RunState>,
    ) -> Result<(), HubError> {
        let previous = progress.last_run;
        let is_running = previous.and_then(|run| states.get(&run)) == Some(&RunState::Running);
        let Turn { starts, cancels_previous, mut progress, mut next_turn } =
            take_turn(&name, &spec, progress, self.now, is_running);
        let mut starts = starts.into_iter();
        for due in starts.by_ref() {
            let invocation = spec.invocation(&name, due);
            let run = invocation.run;
            match self.start(&name, invocation, due).await {
                Ok(()) => progress.record_start(run, due),
                Err(error) => {
                    let problem = problem_of(&error, &spec.pipeline).ok_or(error)?;
                    tracing::warn!(schedule = name, problem, "paused a schedule");
                    (progress, next_turn) = (progress.stopped(problem), None);
                    break;
                }
            }
            if self.budget.is_used_up() {
                break;
            }
        }
        if progress.problem.is_none() && starts.len() > 0 {
            progress.put_back(starts);
            next_turn = Some(self.now);
        }
        if let Some(previous) = previous.filter(|_| cancels_previous && progress.problem.is_none()) {
            self.cancel(previous).await?;
        }
        write_schedule(self.tx, &name, &spec, &progress, next_turn).await
    }

    /// Cancels the previous run of a schedule. It is the last thing that the transaction does: one that locked several runs, in
    /// the order of their schedules, could deadlock.
    async fn cancel(&mut self, run: RunId) -> Result<(), HubError> {
        self.budget.use_up();
        self.flush().await?;
        let rows = query(self.tx, "SELECT key FROM run WHERE id = $1", &[&run.0]).await?;
        if let Some(row) = rows.first() {
            let (_, pending_notifications) = self.state.cancel_in(self.tx, self.now, row.try_get(0)?).await?;
            self.pending_notifications.merge(pending_notifications);
        }
        Ok(())
    }

    /// Starts a run, unless it exists: a backfill may have started it. It is inserted with the others by [`Self::flush`].
    async fn start(&mut self, name: &str, invocation: Invocation, due: i64) -> Result<(), HubError> {
        if !query(self.tx, "SELECT 1 FROM run WHERE id = $1", &[&invocation.run.0]).await?.is_empty() {
            return Ok(());
        }
        let version = self.version(&invocation.pipeline).await?;
        let (version, submission) = (version.version, version.submission(&invocation, 0)?);
        self.budget.add(&submission.plan.nodes);
        let run = NewRun::new(&submission, None, None)?;
        self.pending.push(PendingStart { schedule: name.to_owned(), due, invocation, version, run });
        Ok(())
    }

    /// Inserts the runs that were started. Returns how many of them did not exist.
    async fn flush(&mut self) -> Result<u32, HubError> {
        let pending = std::mem::take(&mut self.pending);
        let (mut origins, mut new) = (Vec::with_capacity(pending.len()), Vec::with_capacity(pending.len()));
        for PendingStart { schedule, due, invocation, version, run } in pending {
            origins.push((schedule, due, invocation));
            new.push((version, run));
        }
        let new = origins.iter().zip(new);
        let new = new.map(|((.., invocation), (version, run))| NewInvocation { invocation, version, run }).collect();
        let InsertedRuns { keys, pending_notifications } = self.state.start_new(self.tx, self.now, new).await?;
        self.pending_notifications.merge(pending_notifications);
        let started = origins.iter().filter_map(|(schedule, due, invocation)| {
            keys.get(&invocation.run).map(|key| (*key, (schedule.as_str(), *due)))
        });
        let (keys, (schedules, due)): (Vec<i64>, (Vec<&str>, Vec<i64>)) = started.unzip();
        if !keys.is_empty() {
            let sql = "INSERT INTO schedule_run (run, schedule, due)
                 SELECT * FROM unnest($1::int8[], $2::text[], $3::int8[])";
            execute(self.tx, sql, &[&keys, &schedules, &due]).await?;
        }
        let started = small(i64::try_from(keys.len()).unwrap_or(i64::MAX));
        self.started += started;
        Ok(started)
    }
}

impl Stored {
    fn read(row: &Row) -> Result<Self, HubError> {
        let spec = ScheduleSpec::from_stored(row.try_get(1)?)?;
        Ok(Self { name: row.try_get(0)?, spec, progress: Progress::from_text(row.try_get(2)?)? })
    }
}

/// Returns a schedule, locked until the transaction ends.
async fn find_schedule(tx: &Transaction<'_>, name: &str) -> Result<Option<Stored>, HubError> {
    let rows = query(tx, "SELECT name, spec, progress FROM schedule WHERE name = $1 FOR UPDATE", &[&name]).await?;
    rows.first().map(Stored::read).transpose()
}

async fn lock_schedule(tx: &Transaction<'_>, name: &str) -> Result<Stored, HubError> {
    find_schedule(tx, name).await?.ok_or_else(|| HubError::ScheduleNotFound(name.to_owned()))
}

async fn write_schedule(
    tx: &Transaction<'_>,
    name: &str,
    spec: &ScheduleSpec,
    progress: &Progress,
    turn_at: Option<i64>,
) -> Result<(), HubError> {
    let sql = "INSERT INTO schedule (name, spec, progress, turn_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (name) DO UPDATE SET spec = $2, progress = $3, turn_at = $4";
    execute(tx, sql, &[&name, &spec.to_text(), &progress.to_text()?, &turn_at]).await?;
    Ok(())
}

/// Gives up a schedule that cannot be read, so that the others have their turns.
async fn retire_schedule(tx: &Transaction<'_>, name: &str, error: &HubError) -> Result<(), HubError> {
    tracing::error!(schedule = name, %error, "a schedule cannot be read and starts no more runs");
    execute(tx, "UPDATE schedule SET turn_at = NULL WHERE name = $1", &[&name]).await?;
    Ok(())
}

async fn remove_schedule(tx: &Transaction<'_>, name: &str) -> Result<(), HubError> {
    execute(tx, "DELETE FROM schedule WHERE name = $1", &[&name]).await?;
    execute(tx, "DELETE FROM schedule_run WHERE schedule = $1", &[&name]).await?;
    Ok(())
}

/// Removes the schedules that an update does not name. Returns them.
async fn remove_others(tx: &Transaction<'_>, update: &ScheduleUpdate) -> Result<Vec<AppliedSchedule>, HubError> {
    let named: HashSet<&str> = update.schedules.iter().map(|(name, _)| name.as_str()).collect();
    let mut removed = Vec::new();
    for row in query(tx, "SELECT name FROM schedule ORDER BY name", &[]).await? {
        let name: String = row.try_get(0)?;
        if named.contains(name.as_str()) {
            continue;
        }
        if update.mode == UpdateMode::Apply {
            remove_schedule(tx, &name).await?;
        }
        removed.push(AppliedSchedule { name, change: ScheduleChange::Removed, next: None });
    }
    Ok(removed)
}

/// Fails if there are too many schedules. In a dry run, they are not in the table.
async fn expect_room(tx: &Transaction<'_>, mode: UpdateMode, applied: &[AppliedSchedule]) -> Result<(), HubError> {
    let count = |change| i64::try_from(applied.iter().filter(|one| one.change == change).count()).unwrap_or(i64::MAX);
    let created = count(ScheduleChange::Created);
    if created == 0 {
        return Ok(());
    }
    let rows = query(tx, "SELECT count(*) FROM schedule", &[]).await?;
    let stored: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    let total = match mode {
        UpdateMode::Apply => stored,
        UpdateMode::DryRun => stored.saturating_add(created).saturating_sub(count(ScheduleChange::Removed)),
    };
    if total > MAX_SCHEDULES { Err(HubError::TooManySchedules) } else { Ok(()) }
}

/// Forgets that a run was started by a schedule, because it is deleted.
pub(super) async fn delete_scheduled(tx: &Transaction<'_>, key: i64) -> Result<(), HubError> {
    execute(tx, "DELETE FROM schedule_run WHERE run = $1", &[&key]).await?;
    Ok(())
}

/// Returns the states of those runs that exist.
async fn states_of(tx: &Transaction<'_>, runs: &[RunId]) -> Result<HashMap<RunId, RunState>, HubError> {
    if runs.is_empty() {
        return Ok(HashMap::new());
    }
    let ids: Vec<Uuid> = runs.iter().map(|run| run.0).collect();
    let rows = query(tx, "SELECT id, state FROM run WHERE id = ANY($1)", &[&ids]).await?;
    let states = rows.iter().map(|row| {
        let run = RunId(row.try_get(0)?);
        Ok((run, run_state(run, row.try_get(1)?)?))
    });
    states.collect()
}

fn last_run(progress: &Progress, states: &HashMap<RunId, RunState>) -> Option<ScheduledRun> {
    let (run, due) = progress.last_run.zip(progress.last_due)?;
    states.get(&run).map(|state| ScheduledRun { run, state: *state, due: Timestamp(due) })
}

async fn recent_runs(tx: &Transaction<'_>, name: &str) -> Result<RunCounts, HubError> {
    let sql = "SELECT state, count(*) FROM (SELECT state FROM schedule_run JOIN run ON key = run WHERE schedule = $1
             ORDER BY due DESC LIMIT $2) AS recent GROUP BY state";
    let mut counts = RunCounts::default();
    for row in query(tx, sql, &[&name, &MAX_RECENT]).await? {
        counts.add(run_state(name, row.try_get(0)?)?, unsigned(row.try_get(1)?));
    }
    Ok(counts)
}
