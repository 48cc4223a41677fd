//! [`Ledger`]: the answers of the store, and whether they are allowed.

use std::collections::{BTreeMap, BTreeSet};

use bue_model::wire::{Changed, Heartbeat, HeartbeatAnswer, JobInput, Lease, PieceVerdict, Verdict};
use bue_model::{JobId, Outcome, RateKey, RunId, Token, ValueRef};

use super::worker::SOURCE_ELEMENTS;
use crate::contract::handlers::input_of_lease;
use crate::power_cuts::origin;
use crate::world::text_of;

/// Jobs that may run at once of each step with an `!at_most`.
pub(super) const AT_MOST: u32 = 2;

/// A failed job, and the token of the lease under which it failed.
type FailedLease = (JobId, Token);

/// The answers of the store so far. Outlives hubs.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The token of each job's current lease.
    pub(super) leased: BTreeMap<JobId, Token>,
    /// The largest token of each job.
    tokens: BTreeMap<JobId, Token>,
    /// Reports that were accepted.
    accepted: BTreeSet<(JobId, Token)>,
    /// The token under which a job's result was accepted, until a later job of its call starts the call over.
    results: BTreeMap<JobId, Token>,
    /// How often a result was accepted, less how often the call was started over after that.
    completions: BTreeMap<JobId, i64>,
    /// The job before each one in its call.
    before: BTreeMap<JobId, JobId>,
    runs: BTreeMap<JobId, RunId>,
    /// The keys that workers reported.
    keys: BTreeMap<JobId, RateKey>,
    steps: BTreeMap<JobId, String>,
    /// The failure for which each handler was called last.
    handled: BTreeMap<JobId, FailedLease>,
    /// All failures for which handlers were called.
    calls: BTreeSet<FailedLease>,
    /// Final failures of jobs with handlers.
    failures: BTreeSet<FailedLease>,
    /// What each lease under an `!at_most` counts as: run, step and key.
    counted: BTreeMap<JobId, (RunId, String, Option<RateKey>)>,
}

impl Ledger {
    pub(super) fn record_lease(&mut self, lease: &Lease, step: &str) -> Result<(), String> {
        let (job, token) = (lease.job, lease.token);
        if self.leased.insert(job, token).is_some() {
            return Err(format!("job {job} was leased while it has a lease"));
        }
        if self.tokens.insert(job, token).is_some_and(|before| before >= token) {
            return Err(format!("the token of job {job} did not grow"));
        }
        self.steps.insert(job, step.to_owned());
        if step == "handler1" {
            self.record_handler(lease)?;
        }
        if self.results.contains_key(&job) {
            return Err(format!("job {job} was leased after its result was accepted"));
        }
        self.runs.insert(job, lease.run);
        self.count_running(lease, step)?;
        for (at, input) in lease.inputs.iter().enumerate() {
            let JobInput::Value(value) = input else { continue };
            let Some((parent, token)) = origin(&text_of(value)) else { continue };
            if self.results.get(&parent) != Some(&token) {
                return Err(format!("job {job} received a result of job {parent} that is not its last one"));
            }
            // `b2` comes after `b1` in one call; the first ones come after other calls
            if at == 0 && !step.ends_with('1') {
                self.before.insert(job, parent);
            }
        }
        Ok(())
    }

    /// Checks that a handler is called once for each failure.
    fn record_handler(&mut self, lease: &Lease) -> Result<(), String> {
        let failed = failed_job(lease)?;
        let token = self.tokens.get(&failed).copied().ok_or_else(|| format!("job {failed} failed without a lease"))?;
        if self.leased.contains_key(&failed) || self.results.contains_key(&failed) {
            return Err(format!("the handler of job {failed} was called although that has not failed"));
        }
        let is_new = self.handled.insert(lease.job, (failed, token)) != Some((failed, token));
        if !is_new && self.results.contains_key(&lease.job) {
            return Err(format!("the handler of job {failed} was called twice for one failure"));
        }
        if is_new {
            self.results.remove(&lease.job);
            self.completions.remove(&lease.job);
        }
        self.calls.insert((failed, token));
        Ok(())
    }

    /// Checks that a lease leaves no more jobs running than the step's `!at_most` allows. One for the key of a job does not count.
    fn count_running(&mut self, lease: &Lease, step: &str) -> Result<(), String> {
        self.counted.remove(&lease.job);
        if !["limited1", "keyed1"].contains(&step) || lease.count_by.is_some() {
            return Ok(());
        }
        let counts_as = (lease.run, step.to_owned(), self.keys.get(&lease.job).copied());
        self.counted.insert(lease.job, counts_as.clone());
        let running = self.leased.keys().filter(|job| self.counted.get(job) == Some(&counts_as)).count();
        match running > AT_MOST as usize {
            true => Err(format!("{running} jobs of step {step} of run {} are leased at once", lease.run)),
            false => Ok(()),
        }
    }

    /// Checks that a piece is recorded if and only if its job is leased under the token.
    pub(super) fn check_piece(&self, job: JobId, token: Token, verdict: PieceVerdict) -> Result<(), String> {
        let holds = self.leased.get(&job) == Some(&token);
        match verdict == PieceVerdict::LeaseLost {
            true if holds => Err(format!("a valid piece of job {job} was refused")),
            false if !holds => Err(format!("a stale piece of job {job} was accepted")),
            _ => Ok(()),
        }
    }

    pub(super) fn record_report(
        &mut self,
        job: JobId,
        token: Token,
        outcome: &Outcome,
        verdict: Verdict,
    ) -> Result<(), String> {
        let holds = self.leased.get(&job) == Some(&token);
        if verdict == Verdict::LeaseLost {
            return if holds { Err(format!("a valid report of job {job} was refused")) } else { Ok(()) };
        }
        if self.accepted.contains(&(job, token)) {
            return Ok(());
        }
        if !holds {
            return Err(format!("a stale report of job {job} was accepted"));
        }
        self.leased.remove(&job);
        self.accepted.insert((job, token));
        match outcome {
            Outcome::Completed { .. } => {
                self.results.insert(job, token);
                *self.completions.entry(job).or_default() += 1;
            }
            Outcome::Failed(_) if self.steps.get(&job).is_some_and(|step| step == "weak1") => {
                self.failures.insert((job, token));
            }
            Outcome::Reset { .. } => self.start_over(job),
            Outcome::Keyed { key } => drop(self.keys.insert(job, *key)),
            _ => {}
        }
        Ok(())
    }

    /// The results of the jobs before this one in its call do not count any more.
    fn start_over(&mut self, job: JobId) {
        let mut job = job;
        while let Some(before) = self.before.get(&job).copied() {
            self.results.remove(&before);
            *self.completions.entry(before).or_default() -= 1;
            job = before;
        }
    }

    pub(super) fn record_reaped(&mut self, jobs: &[JobId]) -> Result<(), String> {
        for job in jobs {
            if self.leased.remove(job).is_none() {
                return Err(format!("job {job} was reaped and had no lease"));
            }
        }
        Ok(())
    }

    /// All leases of the run have ended, and handlers that have not been called yet are not called any more: their jobs are reset later.
    pub(super) fn record_cancelled(&mut self, run: RunId, changed: Changed) {
        if changed.jobs == 0 {
            return;
        }
        let runs = &self.runs;
        self.leased.retain(|job, _| runs.get(job) != Some(&run));
        let calls = &self.calls;
        self.failures.retain(|failure| runs.get(&failure.0) != Some(&run) || calls.contains(failure));
    }

    pub(super) fn check_heartbeat(&self, heartbeat: &Heartbeat, answer: &HeartbeatAnswer) -> Result<(), String> {
        for (job, token) in &heartbeat.leases {
            let holds = self.leased.get(job) == Some(token);
            if holds == answer.lost.contains(job) {
                return Err(format!("a heartbeat for job {job} was answered wrongly"));
            }
        }
        Ok(())
    }

    /// Checks that every job of these runs has one result, and that these are the results.
    pub(super) fn check_end(&self, ended: &BTreeSet<RunId>, results: &[ValueRef]) -> Result<(), String> {
        for (job, run) in self.runs.iter().filter(|(_, run)| ended.contains(*run)) {
            let count = self.completions.get(job).copied().unwrap_or_default();
            // a reset of the run cancels failed jobs of these
            let may_be_cancelled =
                self.steps.get(job).is_some_and(|step| ["handler1", "end1", "end2"].contains(&&**step));
            if count != 1 && !(count == 0 && may_be_cancelled) {
                return Err(format!("job {job} of run {run} has {count} results"));
            }
        }
        for (job, token) in
            self.failures.iter().filter(|(job, _)| self.runs.get(job).is_some_and(|run| ended.contains(run)))
        {
            if !self.calls.contains(&(*job, *token)) {
                return Err(format!("job {job} failed under {token:?} and its handler was not called"));
            }
        }
        for run in ended {
            let is_end = |job: &&JobId| {
                self.steps.get(job).is_some_and(|step| step == "end2") && self.runs.get(job) == Some(run)
            };
            if !self.results.keys().any(|job| is_end(&job)) {
                return Err(format!("run {run} ended without `finally`"));
            }
        }
        for value in results {
            if let ValueRef::List(chunks) = value
                && chunks.iter().map(|chunk| chunk.count).sum::<u32>() != SOURCE_ELEMENTS
            {
                return Err(format!("a list that was reported in pieces is a {}", text_of(value)));
            }
            let Some((job, token)) = origin(&text_of(value)) else { continue };
            if self.results.get(&job) != Some(&token) {
                return Err(format!("the run's result is not that of job {job}"));
            }
        }
        Ok(())
    }
}

/// Returns the job for whose failure a handler was leased.
fn failed_job(lease: &Lease) -> Result<JobId, String> {
    let failure: serde_json::Value = serde_json::from_str(&input_of_lease(lease)).map_err(|error| error.to_string())?;
    failure["job"].as_u64().map(JobId).ok_or_else(|| "a handler without a failed job".to_owned())
}
