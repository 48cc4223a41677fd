//! A [`JobStore`] between the hub and SQLite that sees every change and holds it against the promises.
//!
//! The store works on a thread of its own. Every call waits for it right here, so that the simulation's time stands still
//! meanwhile and calls never overlap: the same seed gives the same course.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use bue_hub::{Answer, Changes, HubError, JobStore, Leased, Reaped, SqliteStore};
use bue_model::wire::{
    Changed, Heartbeat, HeartbeatAnswer, JobInput, JobView, Lease, LeaseBatch, LeaseRequest, ReportBatch, ResultCursor,
    ResultPage, RunView, Submission, Verdict, WhyView,
};
use bue_model::{JobId, Outcome, RunId, Timestamp, Token, ValueRef};

use super::Log;
use crate::world::text_of;

/// What the store said so far. Outlives hubs.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The lease under which each job is out; none where it is back.
    out: BTreeMap<JobId, Token>,
    /// The largest token of each job.
    tokens: BTreeMap<JobId, Token>,
    /// Reports that were taken.
    taken: BTreeSet<(JobId, Token)>,
    /// The token under which a job's result was taken, until a later job of its call starts the call again.
    results: BTreeMap<JobId, Token>,
    /// How often a result was taken, less how often the call was started again after that.
    completions: BTreeMap<JobId, i64>,
    /// The job before each one in its call.
    before: BTreeMap<JobId, JobId>,
    runs: BTreeMap<JobId, RunId>,
}

impl Ledger {
    fn leased(&mut self, lease: &Lease, step: &str) -> Result<(), String> {
        let (job, token) = (lease.job, lease.token);
        if self.out.insert(job, token).is_some() {
            return Err(format!("job {job} was given away while somebody has it"));
        }
        if self.tokens.insert(job, token).is_some_and(|before| before >= token) {
            return Err(format!("the token of job {job} did not grow"));
        }
        if self.results.contains_key(&job) {
            return Err(format!("job {job} was given away after its result was taken"));
        }
        self.runs.insert(job, lease.run);
        for (at, input) in lease.inputs.iter().enumerate() {
            let JobInput::Value(value) = input else { continue };
            let Some((parent, token)) = origin(value) else { continue };
            if self.results.get(&parent) != Some(&token) {
                return Err(format!("job {job} was given a result of job {parent} that is not its last one"));
            }
            // `b2` comes behind `b1` in one call; the first ones stand behind other calls
            if at == 0 && !step.ends_with('1') {
                self.before.insert(job, parent);
            }
        }
        Ok(())
    }

    fn reported(&mut self, job: JobId, token: Token, outcome: &Outcome, verdict: Verdict) -> Result<(), String> {
        let holds = self.out.get(&job) == Some(&token);
        if verdict == Verdict::LeaseLost {
            return if holds { Err(format!("a good report of job {job} was refused")) } else { Ok(()) };
        }
        if self.taken.contains(&(job, token)) {
            return Ok(());
        }
        if !holds {
            return Err(format!("a stale report of job {job} was taken"));
        }
        self.out.remove(&job);
        self.taken.insert((job, token));
        match outcome {
            Outcome::Completed { .. } => {
                self.results.insert(job, token);
                *self.completions.entry(job).or_default() += 1;
            }
            Outcome::Reset { .. } => self.start_again(job),
            _ => {}
        }
        Ok(())
    }

    /// The results of the jobs before this one in its call count no more.
    fn start_again(&mut self, job: JobId) {
        let mut job = job;
        while let Some(before) = self.before.get(&job).copied() {
            self.results.remove(&before);
            *self.completions.entry(before).or_default() -= 1;
            job = before;
        }
    }

    fn reaped(&mut self, jobs: &[JobId]) -> Result<(), String> {
        for job in jobs {
            if self.out.remove(job).is_none() {
                return Err(format!("job {job} was put back and nobody had it"));
            }
        }
        Ok(())
    }

    fn heard(&self, heartbeat: &Heartbeat, answer: &HeartbeatAnswer) -> Result<(), String> {
        for (job, token) in &heartbeat.leases {
            let holds = self.out.get(job) == Some(token);
            if holds == answer.lost.contains(job) {
                return Err(format!("a heartbeat for job {job} was answered wrongly"));
            }
        }
        Ok(())
    }

    /// Every job of these runs has one result, and this is it.
    pub(super) fn check_end(&self, ended: &BTreeSet<RunId>, results: &[ValueRef]) -> Result<(), String> {
        for (job, run) in self.runs.iter().filter(|(_, run)| ended.contains(*run)) {
            let count = self.completions.get(job).copied().unwrap_or_default();
            if count != 1 {
                return Err(format!("job {job} of run {run} has {count} results"));
            }
        }
        for value in results {
            let Some((job, token)) = origin(value) else { continue };
            if self.results.get(&job) != Some(&token) {
                return Err(format!("the run's result is not what job {job} gave"));
            }
        }
        Ok(())
    }
}

/// Whose value this is, and under which token it was reported.
fn origin(value: &ValueRef) -> Option<(JobId, Token)> {
    let text = text_of(value);
    let (job, token) = text.split_once(':')?;
    Some((JobId(job.parse().ok()?), Token(token.parse().ok()?)))
}

/// The store of one life of the hub.
pub(super) struct Witness {
    store: SqliteStore,
    ledger: Arc<Mutex<Ledger>>,
    log: Arc<Log>,
    /// False only to see whether fencing would be missed.
    fences: bool,
    /// The hub is dead, and what is still under way in it reaches nothing.
    is_dead: AtomicBool,
}

impl Witness {
    pub(super) fn new(store: SqliteStore, ledger: Arc<Mutex<Ledger>>, log: Arc<Log>, fences: bool) -> Self {
        Self { store, ledger, log, fences, is_dead: AtomicBool::new(false) }
    }

    pub(super) fn die(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
    }

    /// Asks the store, writes down that it did, and checks the answer.
    fn see<'a, T: Send + 'static>(
        &'a self,
        what: &str,
        ask: impl FnOnce(&'a SqliteStore) -> Answer<'a, T>,
        check: impl FnOnce(&mut Ledger, &T) -> Result<(), String>,
    ) -> Answer<'a, T> {
        if self.is_dead.load(Ordering::Relaxed) {
            return Box::pin(ready(Err(HubError::Stopped)));
        }
        let answer = wait(ask(&self.store));
        self.log.note(&format!("store {what}"));
        if let Ok(value) = &answer {
            check(&mut self.ledger(), value).unwrap_or_else(|broken| self.log.broken(broken));
        }
        Box::pin(ready(answer))
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reports under the leases their jobs have now: what a store without fencing would make of them.
    fn without_fencing(&self, mut batch: ReportBatch) -> ReportBatch {
        for report in &mut batch.reports {
            report.token = self.ledger().out.get(&report.job).copied().unwrap_or(report.token);
        }
        batch
    }

    fn look<'a, T: Send + 'static>(&'a self, ask: impl FnOnce(&'a SqliteStore) -> Answer<'a, T>) -> Answer<'a, T> {
        self.see("look", ask, |_, _| Ok(()))
    }
}

/// Waits for the store's thread, and lets nothing else happen meanwhile.
fn wait<T>(answer: Answer<'_, T>) -> Result<T, HubError> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    // the task's budget would be used up and not come back while it waits here
    let mut answer = pin!(tokio::task::unconstrained(answer));
    loop {
        if let Poll::Ready(answer) = answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            return answer;
        }
        std::thread::park();
    }
}

impl JobStore for Witness {
    fn submit(&self, now: Timestamp, submission: Submission) -> Answer<'_, RunId> {
        self.see(&format!("submit {}", submission.run), |store| store.submit(now, submission), |_, _| Ok(()))
    }

    fn lease(&self, now: Timestamp, request: LeaseRequest) -> Answer<'_, Leased> {
        let what = format!("lease {} {}", request.worker, request.count);
        self.see(
            &what,
            |store| store.lease(now, request),
            |ledger, leased| {
                let name = |lease: &Lease| leased.batch.steps[lease.step as usize].name.clone();
                leased.batch.leases.iter().try_for_each(|lease| ledger.leased(lease, &name(lease)))
            },
        )
    }

    fn heartbeat(&self, now: Timestamp, heartbeat: Heartbeat) -> Answer<'_, HeartbeatAnswer> {
        let sent = heartbeat.clone();
        let what = format!("heartbeat {:?}", sent.leases);
        self.see(&what, |store| store.heartbeat(now, heartbeat), move |ledger, answer| ledger.heard(&sent, answer))
    }

    fn complete(&self, now: Timestamp, batch: ReportBatch) -> Answer<'_, Vec<Verdict>> {
        let sent = batch.clone();
        let batch = if self.fences { batch } else { self.without_fencing(batch) };
        let what = format!("complete {:?}", sent.reports.iter().map(|one| (one.job, one.token)).collect::<Vec<_>>());
        self.see(
            &what,
            |store| store.complete(now, batch),
            move |ledger, verdicts| {
                let stale = verdicts.iter().filter(|verdict| **verdict == Verdict::LeaseLost);
                stale.for_each(|_| self.log.note("stale report"));
                let mut pairs = sent.reports.iter().zip(verdicts);
                pairs.try_for_each(|(one, verdict)| ledger.reported(one.job, one.token, &one.outcome, *verdict))
            },
        )
    }

    fn reap(&self, now: Timestamp) -> Answer<'_, Reaped> {
        self.see("reap", |store| store.reap(now), |ledger, reaped| ledger.reaped(&reaped.jobs))
    }

    fn reset_run(&self, now: Timestamp, run: RunId) -> Answer<'_, Changed> {
        self.look(|store| store.reset_run(now, run))
    }

    fn cancel_run(&self, now: Timestamp, run: RunId) -> Answer<'_, Changed> {
        self.look(|store| store.cancel_run(now, run))
    }

    fn cancel_job(&self, now: Timestamp, job: JobId) -> Answer<'_, Changed> {
        self.look(|store| store.cancel_job(now, job))
    }

    fn reset_job(&self, now: Timestamp, job: JobId) -> Answer<'_, Changed> {
        self.look(|store| store.reset_job(now, job))
    }

    fn delete_run(&self, run: RunId) -> Answer<'_, ()> {
        self.look(|store| store.delete_run(run))
    }

    fn run(&self, run: RunId) -> Answer<'_, Option<RunView>> {
        self.look(|store| store.run(run))
    }

    fn runs(&self, limit: u32) -> Answer<'_, Vec<RunView>> {
        self.look(|store| store.runs(limit))
    }

    fn results(&self, run: RunId, cursor: ResultCursor) -> Answer<'_, Option<ResultPage>> {
        self.look(|store| store.results(run, cursor))
    }

    fn job(&self, job: JobId) -> Answer<'_, Option<JobView>> {
        self.look(|store| store.job(job))
    }

    fn why(&self, job: JobId) -> Answer<'_, Option<WhyView>> {
        self.look(|store| store.why(job))
    }

    fn task(&self, job: JobId) -> Answer<'_, Option<LeaseBatch>> {
        self.look(|store| store.task(job))
    }

    fn log(&self, job: JobId) -> Answer<'_, Option<Option<ValueRef>>> {
        self.look(|store| store.log(job))
    }

    fn changes(&self) -> &Changes {
        self.store.changes()
    }
}
