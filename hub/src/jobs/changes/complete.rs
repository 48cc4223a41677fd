//! Reported outcomes.

use std::sync::Arc;

use bue_model::attempt::{AttemptUsage, AttemptVerdict};
use bue_model::job::Hints;
use bue_model::wire::{Report, Verdict};
use bue_model::{Chunk, Failure, Outcome, RateKey, ValueRef};

use super::change_set::{ChangeError, ChangeResult, ChangeSet, MissingRows};
use super::release::Release;
use super::rows::{ChunkRow, EndingAttempt, JobRow};
use crate::error::HubError;
use crate::jobs::columns::{job_id, row_id, signed, to_postcard};
use crate::jobs::delay::{pending_ms, retry_ms};
use crate::jobs::failure_record::FailureRecord;
use crate::jobs::initial_state::Hint;
use crate::jobs::instance::{Location, Run};
use crate::jobs::outcome_rules::{
    UNEXPECTED_KEY, check_length, check_scope, check_value, elements_of, encode_log, failure_record, is_looped,
    keyed_rate_settings, late_hints, pending_too_long, step_settings, too_many_handbacks,
};
use crate::jobs::state::State;

impl ChangeSet<'_> {
    /// Applies reports.
    pub(crate) fn apply_reports(&mut self, reports: &[Report]) -> ChangeResult<Vec<Verdict>> {
        let (mut verdicts, mut missing) = (Vec::with_capacity(reports.len()), MissingRows::default());
        for report in reports {
            let verdict = self.apply_report(report);
            verdicts.extend(missing.allow(verdict)?);
        }
        missing.check()?;
        Ok(verdicts)
    }

    /// Applies one report. A report with a stale or already used token changes nothing: check and update happen under one
    /// lock, and every lease has a larger token than the one before.
    fn apply_report(&mut self, report: &Report) -> ChangeResult<Verdict> {
        let (id, token) = (row_id(report.job), signed(report.token.number));
        let Some(mut row) = self.job(id)? else { return self.verdict_on_done(id, token) };
        if row.token != token || row.state != State::Running {
            return Ok(if row.reported == token { Verdict::Accepted } else { Verdict::LeaseLost });
        }
        let run = self.run(row.run)?;
        row.reported = token;
        row.log = Some(encode_log(report.log.clone())?);
        let (verdict, usage) = (verdict_of(&report.outcome), Some(bounded(report.usage)));
        row.ending = Some(EndingAttempt { verdict, usage, number: row.attempt_number() });
        self.count_usage(&run, &row, report);
        self.apply_outcome(&run, row, report)?;
        Ok(Verdict::Accepted)
    }

    fn verdict_on_done(&mut self, id: i64, token: i64) -> ChangeResult<Verdict> {
        let row = self.done_row(id)?.filter(|row| row.state == State::Completed && row.token == token && token > 0);
        Ok(if row.is_some() { Verdict::Accepted } else { Verdict::LeaseLost })
    }

    /// Counts the time of an attempt; and, if its step answered or failed, what it used.
    fn count_usage(&mut self, run: &Run, row: &JobRow, report: &Report) {
        let Some(job) = run.graph.job(row.location.node) else { return };
        let usage = bounded(report.usage);
        self.counts.step(run.key, job.step).run_ms += signed(usage.run_ms);
        if !matches!(report.outcome, Outcome::Released { .. } | Outcome::Keyed { .. }) {
            self.counts.add_usage(run.key, job.step, &usage);
        }
    }

    fn apply_outcome(&mut self, run: &Run, row: JobRow, report: &Report) -> ChangeResult<()> {
        let record = |failure| failure_record(failure, &report.arguments);
        match report.outcome.clone() {
            Outcome::Completed { value, hints } => match check_value(run, row.location.node, &value, &hints) {
                Ok(()) => self.complete(run, row, value, hints),
                Err(failure) => self.fail_attempt(run, row, &record(failure)),
            },
            Outcome::Pending { delay_ms, scope } => match scope.as_deref().map_or(Ok(()), check_scope) {
                Ok(()) => self.wait_pending(run, row, delay_ms, scope),
                Err(failure) => self.fail_attempt(run, row, &record(failure)),
            },
            Outcome::Reset { delay_ms } => self.reset_call(run, row, delay_ms),
            Outcome::Cancelled => {
                let location = row.location;
                self.put(row);
                self.cancel_rows(run, vec![location]).map(drop)
            }
            Outcome::Failed(failure) => self.fail_attempt(run, row, &record(failure)),
            Outcome::Released { reason, alone } => self.release(run, row, Release { reason: &reason, alone }),
            Outcome::Keyed { key } => self.set_rate_key(run, row, key),
        }
    }

    fn complete(&mut self, run: &Run, row: JobRow, value: ValueRef, hints: Hints) -> ChangeResult<()> {
        let location = row.location;
        let value = match value {
            ValueRef::List(chunks) if is_looped(run, location.node) => {
                if let Some(failure) = self.check_streamed(location, &chunks, &hints)? {
                    return self.fail_attempt(run, row, &failure.into());
                }
                ValueRef::List(self.complete_list(location.id, chunks)?)
            }
            value => value,
        };
        let inherited = row.hint();
        let hint = Hint {
            priority: hints.priority.or(inherited.priority),
            env: hints.env.map(|env| env.to_vec()).or(inherited.env),
            scope: hints.scope.map(Arc::from).or(inherited.scope),
        };
        let value = to_postcard(&value)?;
        let same = self.is_same_result(run, location, &value, &hint)?;
        self.move_to_done(row, State::Completed, hint.clone(), Some(value));
        self.mark_same(location.id, same);
        self.count_transition(run, location.node, State::Running, State::Completed);
        self.mark_closed(run, location)?;
        self.unblock_dependants(run, location, &hint)
    }

    /// Returns the failure of a job that sets for the rounds of its loop what those that have started did not get, or whose list is
    /// too long.
    fn check_streamed(&mut self, source: Location, rest: &[Chunk], hints: &Hints) -> ChangeResult<Option<Failure>> {
        let recorded = self.elements(source.id)?;
        Ok(match recorded {
            0 => None,
            _ if hints.env.is_some() || hints.scope.is_some() => Some(late_hints(recorded)),
            _ => check_length(recorded + elements_of(rest)).err(),
        })
    }

    /// Stores the pieces of a list, which begin at this position, by the position of their first element.
    pub(super) fn store_chunks(&mut self, source: i64, mut first: i64, chunks: &[Chunk]) -> Result<(), HubError> {
        for chunk in chunks.iter().filter(|chunk| chunk.count > 0) {
            let count = i64::from(chunk.count);
            self.chunks.push(ChunkRow { source, first, count, value: to_postcard(&*chunk.value)? });
            first += count;
        }
        Ok(())
    }

    /// The job runs again after a while, without an attempt being counted; in another scope, if the step chose one.
    fn wait_pending(
        &mut self,
        run: &Run,
        mut row: JobRow,
        delay_ms: Option<u64>,
        scope: Option<String>,
    ) -> ChangeResult<()> {
        let (step, settings) = step_settings(run, row.location.node).ok_or_else(|| row.without_step())?;
        let since = *row.pending_since.get_or_insert(self.now);
        let limit = since.saturating_add(signed(settings.pending_limit_ms));
        if self.now >= limit {
            return self.fail(run, row, &pending_too_long(settings.pending_limit_ms).into());
        }
        if settings.max_handbacks > 0 && row.pendings >= settings.max_handbacks {
            return self.fail(run, row, &too_many_handbacks(settings.max_handbacks).into());
        }
        let delay = pending_ms(delay_ms, settings.every_ms, row.pendings);
        // the last attempt is at the limit, not after it
        let at = self.now.saturating_add(signed(delay)).min(limit);
        row.after_pending();
        row.scope = scope.map_or(row.scope, Arc::from);
        self.counts.step(run.key, step).pendings += 1;
        self.requeue(run, row, at)
    }

    fn fail_attempt(&mut self, run: &Run, mut row: JobRow, record: &FailureRecord) -> ChangeResult<()> {
        let (step, settings) = step_settings(run, row.location.node).ok_or_else(|| row.without_step())?;
        row.ending = row.ending.map(|ending| EndingAttempt { verdict: AttemptVerdict::Failed, ..ending });
        row.after_failed_attempt();
        if row.attempts > settings.retries {
            return self.fail(run, row, record);
        }
        self.counts.step(run.key, step).retries += 1;
        let (job, requested) = (job_id(row.location.id), record.failure.retry_after_ms);
        let delay = retry_ms(job, row.attempts, requested, settings.retry_delay_ms);
        row.failure = Some(record.encode()?);
        row.return_home(run);
        let at = self.now.saturating_add(signed(delay));
        self.requeue(run, row, at)
    }

    /// The job is ready again, and its next start counts under the rate of this key.
    fn set_rate_key(&mut self, run: &Run, mut row: JobRow, key: RateKey) -> ChangeResult<()> {
        let Some((step, _)) = keyed_rate_settings(run, row.location.node).filter(|_| row.rate == 0) else {
            return self.release(run, row, Release { reason: UNEXPECTED_KEY, alone: true });
        };
        let keyed_rate = (run.key, step, key);
        let Some(rate) = self.snapshot.keyed_rates.get(&keyed_rate) else {
            self.required.keyed_rates.insert(keyed_rate);
            return Err(ChangeError::MissingRows);
        };
        row.after_key(*rate);
        self.requeue(run, row, self.now)
    }

    /// Makes a job ready, or parks it until a time.
    pub(super) fn requeue(&mut self, run: &Run, mut row: JobRow, available_at: i64) -> ChangeResult<()> {
        let from = row.state;
        self.end_attempt(&mut row)?;
        row.requeue(self.now, available_at);
        self.count_transition(run, row.location.node, from, row.state);
        self.pending_notifications.work = true;
        self.put(row);
        Ok(())
    }
}

/// Returns what a worker reported with a duration that sums of it do not overflow.
fn bounded(usage: AttemptUsage) -> AttemptUsage {
    AttemptUsage { run_ms: usage.run_ms.min(u64::from(u32::MAX)), ..usage }
}

/// Returns how an attempt with this outcome ended, unless the outcome is refused. One that only tells the key of its rate is none.
const fn verdict_of(outcome: &Outcome) -> AttemptVerdict {
    match outcome {
        Outcome::Completed { .. } => AttemptVerdict::Completed,
        Outcome::Pending { .. } => AttemptVerdict::Pending,
        Outcome::Reset { .. } => AttemptVerdict::Reset,
        Outcome::Cancelled => AttemptVerdict::Cancelled,
        Outcome::Failed(_) => AttemptVerdict::Failed,
        Outcome::Released { .. } | Outcome::Keyed { .. } => AttemptVerdict::Released,
    }
}
