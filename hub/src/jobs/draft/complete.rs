//! Outcomes come in.

use bue_model::job::Hints;
use bue_model::wire::{Report, Verdict};
use bue_model::{Chunk, Failure, Outcome, RateKey, ValueRef};

use super::rows::ChunkRow;
use super::{Draft, Halt, JobRow, Step};
use crate::error::HubError;
use crate::jobs::columns::{job_id, row_id, signed, to_blob};
use crate::jobs::delay::{pending_ms, retry_ms};
use crate::jobs::initial_state::Hint;
use crate::jobs::instance::Run;
use crate::jobs::outcome_rules::{
    KEY_UNASKED, check_value, log_blob, loop_text, not_heard_of, pending_too_long, rate_by, released_too_often,
    settings, shortened,
};
use crate::jobs::state::State;
use crate::store::MAX_RELEASES;

impl Draft<'_> {
    /// Takes reports. Goes on with the others where one needs something read, so that all is read at once.
    pub(crate) fn reports(&mut self, reports: &[Report]) -> Step<Vec<Verdict>> {
        let (mut verdicts, mut missing) = (Vec::with_capacity(reports.len()), false);
        for report in reports {
            match self.report(report) {
                Ok(verdict) => verdicts.push(verdict),
                Err(Halt::Need) => missing = true,
                Err(failed) => return Err(failed),
            }
        }
        if missing { Err(Halt::Need) } else { Ok(verdicts) }
    }

    /// Takes one report. What is under another token than the row's, or under one that was taken before, changes nothing:
    /// look and change are under one lock, and every lease makes a larger token.
    fn report(&mut self, report: &Report) -> Step<Verdict> {
        let (id, token) = (row_id(report.job), signed(report.token.0));
        let Some(mut row) = self.job(id)? else { return self.verdict_of_done(id, token) };
        if row.token != token || row.state != State::Running {
            return Ok(if row.reported == token { Verdict::Accepted } else { Verdict::LeaseLost });
        }
        let run = self.run(row.run)?;
        row.reported = token;
        row.log = Some(log_blob(report.log.clone())?);
        self.count_time(&run, &row, report.run_ms);
        self.apply(&run, row, report.outcome.clone())?;
        Ok(Verdict::Accepted)
    }

    fn verdict_of_done(&mut self, id: i64, token: i64) -> Step<Verdict> {
        let row = self.done_row(id)?.filter(|row| row.state == State::Completed && row.token == token && token > 0);
        Ok(if row.is_some() { Verdict::Accepted } else { Verdict::LeaseLost })
    }

    fn count_time(&mut self, run: &Run, row: &JobRow, run_ms: u64) {
        if let Some(job) = run.graph.job(row.slot.node) {
            self.counts.step(run.key, job.step).run_ms += signed(run_ms.min(u64::from(u32::MAX)));
        }
    }

    fn apply(&mut self, run: &Run, row: JobRow, outcome: Outcome) -> Step<()> {
        match outcome {
            Outcome::Completed { value, hints } => match check_value(run, row.slot.node, &value, &hints) {
                Ok(()) => self.completed(run, row, &value, hints),
                Err(failure) => self.attempt_failed(run, row, failure),
            },
            Outcome::Pending { delay_ms } => self.pending(run, row, delay_ms),
            Outcome::Reset { delay_ms } => self.reset_call(run, row, delay_ms),
            Outcome::Cancelled => {
                let slot = row.slot;
                self.put(row);
                self.call_off(run, vec![slot]).map(drop)
            }
            Outcome::Failed(failure) => self.attempt_failed(run, row, failure),
            Outcome::Released { reason } => self.released(run, row, &reason),
            Outcome::Keyed { key } => self.keyed(run, row, key),
        }
    }

    fn completed(&mut self, run: &Run, row: JobRow, value: &ValueRef, hints: Hints) -> Step<()> {
        let slot = row.slot;
        if let ValueRef::List(chunks) = value
            && loop_text(run, slot.node).is_some()
        {
            self.store_chunks(slot.id, chunks)?;
        }
        let inherited = row.hint();
        let hint = Hint {
            priority: hints.priority.or(inherited.priority),
            env: hints.env.map(|env| env.to_vec()).or(inherited.env),
        };
        self.bury(row, State::Completed, hint.clone(), Some(to_blob(value)?));
        self.moved(run, slot.node, State::Running, State::Completed);
        self.closed(run, slot)?;
        self.unblock(run, slot, &hint)
    }

    /// Pieces by the position of their first element.
    fn store_chunks(&mut self, source: i64, chunks: &[Chunk]) -> Result<(), HubError> {
        let mut first = 0;
        for chunk in chunks.iter().filter(|chunk| chunk.count > 0) {
            let count = i64::from(chunk.count);
            self.chunks.push(ChunkRow { source, first, count, value: to_blob(&*chunk.value)? });
            first += count;
        }
        Ok(())
    }

    fn pending(&mut self, run: &Run, mut row: JobRow, delay_ms: Option<u64>) -> Step<()> {
        let (step, settings) = settings(run, row.slot.node).ok_or_else(|| no_step(&row))?;
        let since = *row.pending_since.get_or_insert(self.now);
        let limit = since.saturating_add(signed(settings.pending_limit_ms));
        if self.now >= limit {
            return self.fail(run, row, &pending_too_long(settings.pending_limit_ms));
        }
        let delay = pending_ms(delay_ms, settings.every_ms, row.pendings);
        // one last try when the time is up
        let at = self.now.saturating_add(signed(delay)).min(limit);
        row.pendings = row.pendings.saturating_add(1);
        row.releases = 0;
        self.counts.step(run.key, step).pendings += 1;
        self.put_back(run, row, at);
        Ok(())
    }

    /// Ready or parked again.
    pub(super) fn put_back(&mut self, run: &Run, mut row: JobRow, at: i64) {
        let from = row.state;
        row.put_back(self.now, at);
        self.moved(run, row.slot.node, from, row.state);
        self.effects.work = true;
        self.put(row);
    }

    fn attempt_failed(&mut self, run: &Run, mut row: JobRow, failure: Failure) -> Step<()> {
        let (step, settings) = settings(run, row.slot.node).ok_or_else(|| no_step(&row))?;
        let failure = shortened(failure);
        row.attempts = row.attempts.saturating_add(1);
        row.pendings = 0;
        row.pending_since = None;
        row.releases = 0;
        if row.attempts > settings.retries {
            return self.fail(run, row, &failure);
        }
        self.counts.step(run.key, step).retries += 1;
        let delay = retry_ms(job_id(row.slot.id), row.attempts, failure.retry_after_ms);
        row.failure = Some(to_blob(&failure)?);
        let at = self.now.saturating_add(signed(delay));
        self.put_back(run, row, at);
        Ok(())
    }

    /// Back without an attempt being counted, until it has happened too often to be chance.
    fn released(&mut self, run: &Run, mut row: JobRow, reason: &str) -> Step<()> {
        row.releases = row.releases.saturating_add(1);
        if row.releases >= MAX_RELEASES {
            let failure = released_too_often(row.releases, reason);
            return self.fail(run, row, &failure);
        }
        let at = self.now;
        self.put_back(run, row, at);
        Ok(())
    }

    /// Ready again, now that it is known what its starts count as.
    fn keyed(&mut self, run: &Run, mut row: JobRow, key: RateKey) -> Step<()> {
        let Some((step, _)) = rate_by(run, row.slot.node).filter(|_| row.rate == 0) else {
            return self.released(run, row, KEY_UNASKED);
        };
        let wanted = (run.key, step, key);
        let Some(rate) = self.known.keyed_rates.get(&wanted) else {
            self.needs.keyed_rates.insert(wanted);
            return Err(Halt::Need);
        };
        row.rate = *rate;
        row.releases = 0;
        let at = self.now;
        self.put_back(run, row, at);
        Ok(())
    }

    /// Puts jobs back whose leases have ended; those that were.
    pub(crate) fn reap(&mut self, ids: &[i64]) -> Step<Vec<i64>> {
        let mut lost = Vec::new();
        for id in ids {
            let Some(row) = self.job(*id)? else { continue };
            // another hub may have been here, or a heartbeat
            if row.state != State::Running || row.lease_end.is_none_or(|end| end > self.now) {
                continue;
            }
            let run = self.run(row.run)?;
            let reason = not_heard_of(row.worker.as_deref());
            self.released(&run, row, &reason)?;
            lost.push(*id);
        }
        Ok(lost)
    }

    /// A job that was just leased fails, because its arguments cannot be given to any worker.
    pub(crate) fn fail_leased(&mut self, id: i64, token: i64, failure: &Failure) -> Step<()> {
        let row = self.job(id)?.filter(|row| row.state == State::Running && row.token == token);
        let Some(row) = row else { return Ok(()) };
        let run = self.run(row.run)?;
        self.fail(&run, row, failure)
    }
}

pub(super) fn no_step(row: &JobRow) -> HubError {
    HubError::damaged(format!("job {} has no step", row.slot.id))
}
