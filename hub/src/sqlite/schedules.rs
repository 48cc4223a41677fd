//! Schedules. What they do is decided in [`turn`](crate::schedules::turn); here it is carried out, with the runs it starts, in one
//! transaction: a due time has its run and is passed, or neither.

use std::collections::{HashMap, HashSet};

use bue_model::pipeline::Invoked;
use bue_model::schedule::{
    AppliedSchedule, BackfillProgress, RunCounts, ScheduleChange, SchedulePage, ScheduleView, ScheduledRun,
};
use bue_model::{RunId, RunState, Timestamp};
use rusqlite::{OptionalExtension, params};

use super::read_tx::ReadTx;
use super::state::run_state;
use super::write_tx::WriteTx;
use crate::error::{HubError, MAX_SCHEDULES};
use crate::jobs::columns::{run_id, unsigned};
use crate::pipelines::{Invocation, RunnableVersion};
use crate::schedules::MAX_PAGE;
use crate::schedules::backfill::Backfill;
use crate::schedules::firing::{FiredSchedules, MAX_TURNS, TurnBudget, misfit, problem_of, unusable};
use crate::schedules::progress::Progress;
use crate::schedules::request::{Others, ScheduleAction, ScheduleUpdate, UpdateMode};
use crate::schedules::spec::ScheduleSpec;
use crate::schedules::turn::{Turn, next_turn, take_turn};
use crate::schedules::view::{MAX_NEXT, MAX_RECENT, NEXT_IN_LIST, view_of};

/// A pipeline and its version, kept for the next schedule, which often runs the same.
type Current = Option<(String, RunnableVersion)>;

/// A row.
struct Stored {
    name: String,
    spec: ScheduleSpec,
    progress: Progress,
}

impl ReadTx<'_> {
    /// Returns a page of the schedules, by name.
    pub(super) fn schedules(&self, after: &str, limit: u32) -> Result<SchedulePage, HubError> {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut select = self
            .db
            .prepare_cached("SELECT name, spec, progress FROM schedule WHERE name > ?1 ORDER BY name LIMIT ?2")?;
        let rows = select.query_map(params![after, limit + 1], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let mut rows: Vec<(String, String, String)> = rows.collect::<Result<_, _>>()?;
        let has_more = rows.len() > limit as usize;
        rows.truncate(limit as usize);
        let next = rows.last().filter(|_| has_more).map(|(name, ..)| name.clone());
        let views = rows.into_iter().map(|(name, spec, progress)| {
            let stored = Stored::read(name, &spec, &progress)?;
            let last_run = self.last_run(&stored.progress)?;
            Ok(view_of(stored.name, &stored.spec, &stored.progress, NEXT_IN_LIST, (last_run, None)))
        });
        Ok(SchedulePage { schedules: views.collect::<Result<_, HubError>>()?, next })
    }

    /// Returns a schedule.
    pub(super) fn schedule(&self, name: &str) -> Result<Option<ScheduleView>, HubError> {
        let Some(stored) = self.stored_schedule(name)? else { return Ok(None) };
        let runs = (self.last_run(&stored.progress)?, Some(self.recent_runs(name)?));
        Ok(Some(view_of(stored.name, &stored.spec, &stored.progress, MAX_NEXT, runs)))
    }

    /// Returns the latest runs of a schedule, by their due times.
    pub(super) fn schedule_runs(&self, name: &str, limit: u32) -> Result<Vec<ScheduledRun>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT id, state, due FROM schedule_run JOIN run ON key = run WHERE schedule = ?1
                 ORDER BY due DESC, key DESC LIMIT ?2",
        )?;
        let rows = select.query_map(params![name, i64::from(limit).clamp(1, MAX_RECENT)], |row| {
            Ok(ScheduledRun { run: run_id(row.get(0)?), state: run_state(row.get(1)?)?, due: Timestamp(row.get(2)?) })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn last_run(&self, progress: &Progress) -> Result<Option<ScheduledRun>, HubError> {
        let Some((run, due)) = progress.last_run.zip(progress.last_due) else { return Ok(None) };
        let state = self.state_of(run)?;
        Ok(state.map(|state| ScheduledRun { run, state, due: Timestamp(due) }))
    }

    /// Returns the state of a run; `None` if it does not exist.
    fn state_of(&self, run: RunId) -> Result<Option<RunState>, HubError> {
        let mut select = self.db.prepare_cached("SELECT state FROM run WHERE id = ?1")?;
        Ok(select.query_row([run.0.as_bytes()], |row| run_state(row.get(0)?)).optional()?)
    }

    fn recent_runs(&self, name: &str) -> Result<RunCounts, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT state, count(*) FROM (SELECT state FROM schedule_run JOIN run ON key = run WHERE schedule = ?1
                 ORDER BY due DESC LIMIT ?2) GROUP BY state",
        )?;
        let rows = select.query_map(params![name, MAX_RECENT], |row| Ok((run_state(row.get(0)?)?, row.get(1)?)))?;
        let mut counts = RunCounts::default();
        for row in rows {
            let (state, runs): (RunState, i64) = row?;
            counts.add(state, unsigned(runs));
        }
        Ok(counts)
    }

    fn stored_schedule(&self, name: &str) -> Result<Option<Stored>, HubError> {
        let mut select = self.db.prepare_cached("SELECT spec, progress FROM schedule WHERE name = ?1")?;
        let row = select.query_row([name], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)));
        let Some((spec, progress)) = row.optional()? else { return Ok(None) };
        Stored::read(name.to_owned(), &spec, &progress).map(Some)
    }
}

impl WriteTx<'_> {
    /// Sets schedules, all of them or none.
    pub(super) fn put_schedules(&mut self, update: &ScheduleUpdate) -> Result<Vec<AppliedSchedule>, HubError> {
        let (mut applied, mut current) = (Vec::with_capacity(update.schedules.len()), None);
        for (name, spec) in &update.schedules {
            applied.push(self.put_schedule(name, spec, update.mode, &mut current)?);
        }
        if update.others == Others::Remove {
            applied.extend(self.remove_others(update)?);
        }
        self.expect_room(update.mode, &applied)?;
        self.pending_notifications.schedules = true;
        Ok(applied)
    }

    fn put_schedule(
        &mut self,
        name: &str,
        spec: &ScheduleSpec,
        mode: UpdateMode,
        current: &mut Current,
    ) -> Result<AppliedSchedule, HubError> {
        let stored = self.stored_schedule(name)?;
        let existing = stored.as_ref().map(|stored| (&stored.spec, stored.progress.clone()));
        let (change, progress) = Progress::updated(existing, spec, self.now);
        if change != ScheduleChange::Unchanged {
            self.check_params(name, spec, current)?;
            if mode == UpdateMode::Apply {
                self.write_schedule(name, spec, &progress, next_turn(name, spec, &progress, self.now))?;
            }
        }
        let next = progress.next_due.filter(|_| !progress.is_paused).map(Timestamp);
        Ok(AppliedSchedule { name: name.to_owned(), change, next })
    }

    /// Checks that the pipeline exists and takes the parameters.
    fn check_params(&self, name: &str, spec: &ScheduleSpec, current: &mut Current) -> Result<(), HubError> {
        let at = spec.recurrence.next_after(self.now).unwrap_or(self.now);
        let invocation = spec.invocation(name, at);
        let checked = self.cached(current, &spec.pipeline).and_then(|version| version.submission(&invocation, 0));
        checked.map(drop).map_err(|error| misfit(name, error))
    }

    /// Returns the current version of a pipeline.
    fn cached<'c>(&self, current: &'c mut Current, pipeline: &str) -> Result<&'c RunnableVersion, HubError> {
        let kept = current.take().filter(|(name, _)| name == pipeline);
        let version = match kept {
            Some((_, version)) => version,
            None => {
                let found = self.runnable(pipeline).map_err(|error| unusable(pipeline, error))?;
                found.ok_or_else(|| HubError::PipelineNotFound(pipeline.to_owned()))?
            }
        };
        Ok(&current.insert((pipeline.to_owned(), version)).1)
    }

    /// Removes the schedules that an update does not name. Returns them.
    fn remove_others(&mut self, update: &ScheduleUpdate) -> Result<Vec<AppliedSchedule>, HubError> {
        let named: HashSet<&str> = update.schedules.iter().map(|(name, _)| name.as_str()).collect();
        let mut select = self.db.prepare_cached("SELECT name FROM schedule ORDER BY name")?;
        let names: Vec<String> = select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut removed = Vec::new();
        for name in names.into_iter().filter(|name| !named.contains(name.as_str())) {
            if update.mode == UpdateMode::Apply {
                self.remove_schedule(&name)?;
            }
            removed.push(AppliedSchedule { name, change: ScheduleChange::Removed, next: None });
        }
        Ok(removed)
    }

    /// Fails if there are too many schedules. In a dry run, they are not in the table.
    fn expect_room(&self, mode: UpdateMode, applied: &[AppliedSchedule]) -> Result<(), HubError> {
        let count =
            |change| i64::try_from(applied.iter().filter(|one| one.change == change).count()).unwrap_or(i64::MAX);
        let created = count(ScheduleChange::Created);
        if created == 0 {
            return Ok(());
        }
        let mut select = self.db.prepare_cached("SELECT count(*) FROM schedule")?;
        let stored: i64 = select.query_row([], |row| row.get(0))?;
        let total = match mode {
            UpdateMode::Apply => stored,
            UpdateMode::DryRun => stored.saturating_add(created).saturating_sub(count(ScheduleChange::Removed)),
        };
        if total > MAX_SCHEDULES { Err(HubError::TooManySchedules) } else { Ok(()) }
    }

    /// Pauses, resumes or removes a schedule.
    pub(super) fn change_schedule(&mut self, name: &str, action: ScheduleAction) -> Result<(), HubError> {
        let stored = self.expect_schedule(name)?;
        let progress = match action {
            ScheduleAction::Remove => return self.remove_schedule(name),
            ScheduleAction::Pause => stored.progress.paused(),
            ScheduleAction::Resume => stored.progress.resumed(&stored.spec, self.now),
        };
        let turn_at = next_turn(name, &stored.spec, &progress, self.now);
        self.pending_notifications.schedules = true;
        self.write_schedule(name, &stored.spec, &progress, turn_at)
    }

    fn remove_schedule(&self, name: &str) -> Result<(), HubError> {
        self.db.prepare_cached("DELETE FROM schedule WHERE name = ?1")?.execute([name])?;
        self.db.prepare_cached("DELETE FROM schedule_run WHERE schedule = ?1")?.execute([name])?;
        Ok(())
    }

    /// Forgets that a run was started by a schedule, because it is deleted.
    pub(super) fn delete_scheduled(&self, key: i64) -> Result<(), HubError> {
        self.db.prepare_cached("DELETE FROM schedule_run WHERE run = ?1")?.execute([key])?;
        Ok(())
    }

    /// Starts a run of a schedule at the request of a user. A run that exists is left as it is.
    pub(super) fn run_schedule(&mut self, name: &str, run: RunId) -> Result<Invoked, HubError> {
        let mut stored = self.expect_schedule(name)?;
        if let Some(state) = self.state_of(run)? {
            return Ok(Invoked { run, state });
        }
        let invocation = stored.spec.invocation_as(run, self.now);
        self.start_scheduled(name, &invocation, self.now, (&mut None, &mut TurnBudget::default()))
            .map_err(|error| misfit(name, error))?;
        stored.progress.record_start(run, self.now);
        let turn_at = next_turn(name, &stored.spec, &stored.progress, self.now);
        self.write_schedule(name, &stored.spec, &stored.progress, turn_at)?;
        let key = self.expect_run(run)?;
        Ok(Invoked { run, state: self.run_state(key)? })
    }

    /// Starts the next runs of a backfill.
    pub(super) fn backfill(&mut self, name: &str, backfill: &Backfill) -> Result<BackfillProgress, HubError> {
        let stored = self.expect_schedule(name)?;
        let range = backfill.due_times(name, &stored.spec, self.now)?;
        let mut states = HashMap::new();
        for (_, run) in &range.due {
            states.extend(self.state_of(*run)?.map(|state| (*run, state)));
        }
        let (mut current, mut budget) = (None, TurnBudget::default());
        for due in backfill.starts(&range, &states) {
            let invocation = stored.spec.invocation(name, due);
            self.start_scheduled(name, &invocation, due, (&mut current, &mut budget))
                .map_err(|error| misfit(name, error))?;
            states.extend(self.state_of(invocation.run)?.map(|state| (invocation.run, state)));
            if budget.is_used_up() {
                break;
            }
        }
        Ok(range.progress(&states))
    }

    /// Gives schedules whose time has come their turns.
    pub(super) fn fire_schedules(&mut self) -> Result<FiredSchedules, HubError> {
        let (mut fired, mut current, mut budget) = (FiredSchedules::default(), None, TurnBudget::default());
        for (name, spec, progress) in self.schedules_to_turn()? {
            fired.turns += 1;
            match Stored::read(name.clone(), &spec, &progress) {
                Ok(stored) => fired.started += self.turn_schedule(stored, &mut current, &mut budget)?,
                Err(error) => self.retire_schedule(&name, &error)?,
            }
            if budget.is_used_up() {
                break;
            }
        }
        let mut select = self.db.prepare_cached("SELECT min(turn_at) FROM schedule WHERE turn_at IS NOT NULL")?;
        fired.next_at = select.query_row([], |row| row.get::<_, Option<i64>>(0))?.map(Timestamp);
        Ok(fired)
    }

    fn schedules_to_turn(&self) -> Result<Vec<(String, String, String)>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT name, spec, progress FROM schedule WHERE turn_at <= ?1 ORDER BY turn_at LIMIT ?2",
        )?;
        let rows = select.query_map(params![self.now, MAX_TURNS], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Gives a schedule its turn. Returns the number of runs that it started.
    fn turn_schedule(
        &mut self,
        Stored { name, spec, progress }: Stored,
        current: &mut Current,
        budget: &mut TurnBudget,
    ) -> Result<u32, HubError> {
        let previous = progress.last_run;
        let is_running = match previous {
            Some(run) => self.state_of(run)? == Some(RunState::Running),
            None => false,
        };
        let Turn { starts, cancels_previous, mut progress, mut next_turn } =
            take_turn(&name, &spec, progress, self.now, is_running);
        let (mut started, mut starts) = (0, starts.into_iter());
        for due in starts.by_ref() {
            let invocation = spec.invocation(&name, due);
            match self.start_scheduled(&name, &invocation, due, (&mut *current, &mut *budget)) {
                Ok(is_new) => {
                    started += u32::from(is_new);
                    progress.record_start(invocation.run, due);
                }
                Err(error) => {
                    let problem = problem_of(&error, &spec.pipeline).ok_or(error)?;
                    tracing::warn!(schedule = name, problem, "paused a schedule");
                    (progress, next_turn) = (progress.stopped(problem), None);
                    break;
                }
            }
            if budget.is_used_up() {
                break;
            }
        }
        if progress.problem.is_none() && starts.len() > 0 {
            progress.put_back(starts);
            next_turn = Some(self.now);
        }
        if let Some(previous) = previous.filter(|_| cancels_previous && progress.problem.is_none()) {
            self.cancel_run(previous)?;
        }
        self.write_schedule(&name, &spec, &progress, next_turn)?;
        Ok(started)
    }

    /// Starts a run, unless it exists: a backfill may have started it. Returns whether it is new.
    fn start_scheduled(
        &mut self,
        name: &str,
        invocation: &Invocation,
        due: i64,
        (current, budget): (&mut Current, &mut TurnBudget),
    ) -> Result<bool, HubError> {
        if self.run_key(invocation.run)?.is_some() {
            return Ok(false);
        }
        let version = self.cached(current, &invocation.pipeline)?;
        let (number, submission) = (version.version, version.submission(invocation, 0)?);
        budget.add(&submission.plan.nodes);
        let key = self.start(invocation, number, submission)?;
        let mut insert = self.db.prepare_cached("INSERT INTO schedule_run (run, schedule, due) VALUES (?1, ?2, ?3)")?;
        insert.execute(params![key, name, due])?;
        Ok(true)
    }

    /// Gives up a schedule that cannot be read, so that the others have their turns.
    fn retire_schedule(&self, name: &str, error: &HubError) -> Result<(), HubError> {
        tracing::error!(schedule = name, %error, "a schedule cannot be read and starts no more runs");
        self.db.prepare_cached("UPDATE schedule SET turn_at = NULL WHERE name = ?1")?.execute([name])?;
        Ok(())
    }

    fn write_schedule(
        &self,
        name: &str,
        spec: &ScheduleSpec,
        progress: &Progress,
        turn_at: Option<i64>,
    ) -> Result<(), HubError> {
        let mut upsert = self.db.prepare_cached(
            "INSERT INTO schedule (name, spec, progress, turn_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (name) DO UPDATE SET spec = ?2, progress = ?3, turn_at = ?4",
        )?;
        upsert.execute(params![name, spec.to_text(), progress.to_text()?, turn_at])?;
        Ok(())
    }

    fn expect_schedule(&self, name: &str) -> Result<Stored, HubError> {
        self.stored_schedule(name)?.ok_or_else(|| HubError::ScheduleNotFound(name.to_owned()))
    }
}

impl Stored {
    fn read(name: String, spec: &str, progress: &str) -> Result<Self, HubError> {
        Ok(Self { name, spec: ScheduleSpec::from_stored(spec)?, progress: Progress::from_text(progress)? })
    }
}
