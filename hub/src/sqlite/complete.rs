//! Outcomes come in.

use bue_model::job::Hints;
use bue_model::wire::{Report, Verdict};
use bue_model::{Failure, JobId, NodeId, Outcome, RateKey, ValueRef};
use rusqlite::{OptionalExtension, params};

use super::fate::Hint;
use super::job_row::JobRow;
use super::ledger::{Ledger, job_id, row_id, signed, to_blob};
use super::memory::Run;
use super::state::State;
use crate::delay::{pending_ms, retry_ms};
use crate::error::HubError;
use crate::outcome_rules::{
    KEY_UNASKED, check_value, log_blob, loop_text, pending_too_long, rate_by, released_too_often, settings, shortened,
};
use crate::store::MAX_RELEASES;

impl Ledger<'_> {
    /// Takes one report. What is under another token than the row's, or under one that was taken before, changes nothing:
    /// look and change are one transaction, and every lease makes a larger token.
    pub(super) fn report(&mut self, report: Report) -> Result<Verdict, HubError> {
        let id = row_id(report.job);
        let token = signed(report.token.0);
        let Some(mut row) = self.job_row(id)? else { return self.verdict_of_done(id, token) };
        if row.token != token || row.state != State::Running {
            return Ok(if row.reported == token { Verdict::Accepted } else { Verdict::LeaseLost });
        }
        let run = self.run(row.run)?;
        self.memory.extended.remove(&id);
        row.reported = token;
        row.log = log_blob(report.log)?;
        self.count_time(&run, &row, report.run_ms);
        self.apply(&run, row, report.outcome)?;
        Ok(Verdict::Accepted)
    }

    fn verdict_of_done(&self, id: i64, token: i64) -> Result<Verdict, HubError> {
        let mut select = self.db.prepare_cached("SELECT 1 FROM done WHERE id = ?1 AND state = 7 AND token = ?2")?;
        let taken = token > 0 && select.exists(params![id, token])?;
        Ok(if taken { Verdict::Accepted } else { Verdict::LeaseLost })
    }

    fn count_time(&mut self, run: &Run, row: &JobRow, run_ms: u64) {
        if let Some(job) = run.graph.job(row.slot.node) {
            let run_ms = signed(run_ms.min(u64::from(u32::MAX)));
            self.counts.step(run.key, job.step).run_ms += run_ms;
        }
    }

    fn apply(&mut self, run: &Run, row: JobRow, outcome: Outcome) -> Result<(), HubError> {
        match outcome {
            Outcome::Completed { value, hints } => match check_value(run, row.slot.node, &value, &hints) {
                Ok(()) => self.completed(run, &row, &value, hints),
                Err(failure) => self.attempt_failed(run, row, failure),
            },
            Outcome::Pending { delay_ms } => self.pending(run, row, delay_ms),
            Outcome::Reset { delay_ms } => self.reset_call(run, row, delay_ms),
            Outcome::Cancelled => self.cancelled(run, &row),
            Outcome::Failed(failure) => self.attempt_failed(run, row, failure),
            Outcome::Released { reason } => self.released(run, row, &reason),
            Outcome::Keyed { key } => self.keyed(run, row, key),
        }
    }

    fn completed(&mut self, run: &Run, row: &JobRow, value: &ValueRef, hints: Hints) -> Result<(), HubError> {
        if let ValueRef::List(chunks) = value
            && loop_text(run, row.slot.node).is_some()
        {
            self.store_chunks(row.slot.id, chunks)?;
        }
        let inherited = self.hint_of(row.slot)?;
        let hint = Hint {
            priority: hints.priority.or(inherited.priority),
            env: hints.env.map(|env| env.to_vec()).or(inherited.env),
        };
        let value = to_blob(value)?;
        if row.log.is_some() {
            self.save(row)?;
        }
        self.bury(row.slot, State::Completed, &hint, Some(&value))?;
        self.moved(run, row.slot.node, State::Running, State::Completed);
        self.closed(run, row.slot)?;
        self.unblock(run, row.slot, &hint)
    }

    /// Pieces by the position of their first element. A job completes once, unless its call starts again before that.
    fn store_chunks(&self, source: i64, chunks: &[bue_model::Chunk]) -> Result<(), HubError> {
        let mut insert = self
            .db
            .prepare_cached("INSERT OR REPLACE INTO chunk (source, first, count, value) VALUES (?1, ?2, ?3, ?4)")?;
        let mut first = 0_i64;
        for chunk in chunks.iter().filter(|chunk| chunk.count > 0) {
            insert.execute(params![source, first, chunk.count, to_blob(&*chunk.value)?])?;
            first += i64::from(chunk.count);
        }
        Ok(())
    }

    fn pending(&mut self, run: &Run, mut row: JobRow, delay_ms: Option<u64>) -> Result<(), HubError> {
        let Some((step, settings)) = settings(run, row.slot.node) else { return Err(no_step(&row)) };
        let since = *row.pending_since.get_or_insert(self.now);
        let limit = since.saturating_add(signed(settings.pending_limit_ms));
        if self.now >= limit {
            return self.give_up(run, &row, &pending_too_long(settings.pending_limit_ms));
        }
        let delay = pending_ms(delay_ms, settings.every_ms, row.pendings);
        // one last try when the time is up
        let at = self.now.saturating_add(signed(delay)).min(limit);
        row.pendings = row.pendings.saturating_add(1);
        row.releases = 0;
        self.counts.step(run.key, step).pendings += 1;
        self.put_back(run, row, at)
    }

    /// Ready or parked again.
    pub(super) fn put_back(&mut self, run: &Run, mut row: JobRow, at: i64) -> Result<(), HubError> {
        let from = row.state;
        row.put_back(self.now, at);
        self.moved(run, row.slot.node, from, row.state);
        self.effects.work = true;
        self.save(&row)
    }

    fn attempt_failed(&mut self, run: &Run, mut row: JobRow, failure: Failure) -> Result<(), HubError> {
        let Some((step, settings)) = settings(run, row.slot.node) else { return Err(no_step(&row)) };
        let failure = shortened(failure);
        row.attempts = row.attempts.saturating_add(1);
        row.pendings = 0;
        row.pending_since = None;
        row.releases = 0;
        if row.attempts > settings.retries {
            return self.give_up(run, &row, &failure);
        }
        self.counts.step(run.key, step).retries += 1;
        let delay = retry_ms(job_id(row.slot.id), row.attempts, failure.retry_after_ms);
        row.failure = Some(to_blob(&failure)?);
        let at = self.now.saturating_add(signed(delay));
        self.put_back(run, row, at)
    }

    /// Back without an attempt being counted, until it has happened too often to be chance.
    pub(super) fn released(&mut self, run: &Run, mut row: JobRow, reason: &str) -> Result<(), HubError> {
        row.releases = row.releases.saturating_add(1);
        if row.releases >= MAX_RELEASES {
            return self.give_up(run, &row, &released_too_often(row.releases, reason));
        }
        let at = self.now;
        self.put_back(run, row, at)
    }

    /// Ready again, now that it is known what its starts count as.
    fn keyed(&mut self, run: &Run, mut row: JobRow, key: RateKey) -> Result<(), HubError> {
        let Some((step, settings)) = rate_by(run, row.slot.node).filter(|_| row.rate == 0) else {
            return self.released(run, row, KEY_UNASKED);
        };
        row.rate = self.rate_of_key(run.key, step, settings, key)?;
        row.releases = 0;
        let at = self.now;
        self.put_back(run, row, at)
    }

    pub(super) fn give_up(&mut self, run: &Run, row: &JobRow, failure: &Failure) -> Result<(), HubError> {
        self.save(row)?;
        self.fail(run, row.slot, row.state, failure)
    }

    fn cancelled(&mut self, run: &Run, row: &JobRow) -> Result<(), HubError> {
        self.save(row)?;
        self.call_off(run, vec![row.slot]).map(drop)
    }

    /// The run of a job and how it stands, wherever its row is.
    pub(super) fn state_of(&mut self, job: JobId) -> Result<(i64, State), HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT run, state, node FROM job WHERE id = ?1 UNION ALL SELECT run, state, node FROM done WHERE id = ?1",
        )?;
        let row = select.query_row([row_id(job)], |row| Ok((row.get(0)?, row.get(1)?, NodeId(row.get(2)?))));
        let (run, state, node) = row.optional()?.ok_or(HubError::JobNotFound(job))?;
        // fan-outs have ids too and are no jobs
        match self.run(run)?.graph.job(node) {
            Some(_) => Ok((run, state)),
            None => Err(HubError::JobNotFound(job)),
        }
    }
}

pub(super) fn no_step(row: &JobRow) -> HubError {
    HubError::damaged(format!("job {} has no step", row.slot.id))
}
