//! What ends in a transaction: attempts and runs. See [`Ended`].

use bue_model::attempt::AttemptVerdict;
use bue_model::text::{printable, shortened};
use bue_model::{RunState, Timestamp};

use super::change_set::ChangeSet;
use super::rows::JobRow;
use crate::error::HubError;
use crate::jobs::attempts::EndedAttempt;
use crate::jobs::columns::{job_id, unsigned};
use crate::jobs::ended::{AttemptEnd, Ended, RunEnd};
use crate::jobs::failure_record::FailureRecord;
use crate::jobs::instance::Run;
use crate::jobs::state::State;

/// Characters of the message of a failed attempt.
const MAX_MESSAGE: usize = 200;

impl ChangeSet<'_> {
    /// Ends the attempt of a job that goes on, or has failed for good.
    pub(super) fn end_attempt(&mut self, row: &mut JobRow) -> Result<(), HubError> {
        let number = row.attempt_number();
        if let Some(attempt) = row.end_attempt(self.now)? {
            self.note_attempt(row, number, attempt);
        }
        Ok(())
    }

    /// Notes the attempt with which a job is completed or cancelled, if there is one.
    pub(super) fn note_last_attempt(&mut self, row: &JobRow, state: State) {
        let Some(started_at) = row.started_at else { return };
        let verdict = if state == State::Completed { AttemptVerdict::Completed } else { AttemptVerdict::Cancelled };
        let usage = row.ending.and_then(|ending| ending.usage);
        let worker = row.worker.as_deref().map(str::to_owned);
        let attempt = EndedAttempt { started_at, ended_at: self.now, worker, verdict, usage };
        self.note_attempt(row, row.attempt_number(), attempt);
    }

    fn note_attempt(&mut self, row: &JobRow, number: u32, attempt: EndedAttempt) {
        let Some(run) = self.snapshot.runs.get(&row.run) else { return };
        let Some(step) = run.graph.job(row.location.node).and_then(|job| run.graph.step_of(job)) else { return };
        let message = (attempt.verdict == AttemptVerdict::Failed).then(|| failure_message(row)).flatten();
        self.pending_notifications.ended.push(Ended::Attempt(AttemptEnd {
            run: run.traced(),
            job: job_id(row.location.id),
            token: unsigned(row.token),
            step: step.name.clone(),
            scope: row.scope.clone(),
            number,
            attempt,
            message,
        }));
    }

    /// Notes that a run has ended, or the part of it before a reset.
    pub(super) fn note_run_end(&mut self, run: &Run, state: Option<RunState>) {
        let was_reset = state.is_some() && self.reset_runs.contains(&run.key);
        let stored = self.snapshot.fresh_since.get(&run.key).copied().filter(|_| !was_reset);
        let since = stored.unwrap_or(self.now);
        let (since, until) = (Timestamp(since), Timestamp(self.now));
        self.pending_notifications.ended.push(Ended::Run(RunEnd { run: run.traced(), since, until, state }));
    }

    /// A person resets jobs of a run. If it has not ended, this ends the part of it that began with the last reset.
    pub(super) fn mark_reset(&mut self, run: &Run) {
        let was_running = self.snapshot.run_states.get(&run.key) == Some(&RunState::Running);
        if self.reset_runs.insert(run.key) && was_running {
            self.note_run_end(run, None);
        }
    }
}

/// Returns the first line of what a row failed with.
fn failure_message(row: &JobRow) -> Option<String> {
    let record = FailureRecord::decode(row.failure.as_deref()?).ok()?;
    let line = record.failure.message.lines().find(|line| !line.trim().is_empty())?;
    Some(shortened(&printable(&shortened(line, MAX_MESSAGE)), MAX_MESSAGE))
}
