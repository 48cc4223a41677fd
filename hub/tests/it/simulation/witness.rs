//! [`Witness`]: a [`JobStore`] between the hub and SQLite that checks every answer against the promises.
//!
//! The store works on a separate thread. Every call blocks until it answers, so that the simulation's time stops
//! meanwhile and calls never overlap: the same seed gives the same events.

use std::collections::BTreeSet;
use std::future::ready;
use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use bue_hub::{
    AuditEntry, AuditList, AuditQuery, Backfill, ExpiredJobs, FailedList, FailedQuery, FiredSchedules, HubError,
    Invocation, JobResult, JobStore, LeaseAnswer, LeaseKey, Notifications, ReapedJobs, Rerun, RunList, RunQuery,
    ScheduleAction, ScheduleUpdate, SqliteStore, StoreFuture, StoredPlan, Tally,
};
use bue_model::failed_jobs::FailureGroupPage;
use bue_model::history::{HistorySample, HistoryView};
use bue_model::pipeline::{Invoked, PipelineSummary, PipelineView, Publication, Published};
use bue_model::schedule::{AppliedSchedule, BackfillProgress, SchedulePage, ScheduleView, ScheduledRun};
use bue_model::wire::{
    Changed, Collection, Heartbeat, HeartbeatAnswer, JobPage, JobQuery, JobView, Lease, LeaseBatch, LeaseRequest,
    ListPiece, PieceVerdict, ReportBatch, ResultCursor, ResultPage, RunView, Submission, Verdict, WhyView,
};
use bue_model::{JobId, RunId, Timestamp, TraceContext, ValueRef};

use super::Log;
use super::ledger::Ledger;

/// The store of one life of the hub.
pub(super) struct Witness {
    store: SqliteStore,
    ledger: Arc<Mutex<Ledger>>,
    log: Arc<Log>,
    /// False only to see whether the simulation notices a store without fencing.
    fences: bool,
    /// The hub is dead; its requests under way do not reach the store.
    is_dead: AtomicBool,
}

impl Witness {
    pub(super) fn new(store: SqliteStore, ledger: Arc<Mutex<Ledger>>, log: Arc<Log>, fences: bool) -> Self {
        Self { store, ledger, log, fences, is_dead: AtomicBool::new(false) }
    }

    pub(super) fn die(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
    }

    /// Calls the store, logs the call, and checks the answer.
    fn see<'a, T: Send + 'static>(
        &'a self,
        what: &str,
        ask: impl FnOnce(&'a SqliteStore) -> StoreFuture<'a, T>,
        check: impl FnOnce(&mut Ledger, &T) -> Result<(), String>,
    ) -> StoreFuture<'a, T> {
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

    /// Returns the reports under the current tokens of their jobs, as a store without fencing would treat them.
    fn without_fencing(&self, mut batch: ReportBatch) -> ReportBatch {
        for report in &mut batch.reports {
            report.token = self.ledger().leased.get(&report.job).copied().unwrap_or(report.token);
        }
        batch
    }

    fn look<'a, T: Send + 'static>(
        &'a self,
        ask: impl FnOnce(&'a SqliteStore) -> StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        self.see("look", ask, |_, _| Ok(()))
    }
}

/// Blocks until the store's thread answers, so that nothing else happens meanwhile.
fn wait<T>(answer: StoreFuture<'_, T>) -> Result<T, HubError> {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    // the task's cooperative budget would be used up here and not renewed
    let mut answer = pin!(tokio::task::unconstrained(answer));
    loop {
        if let Poll::Ready(answer) = answer.as_mut().poll(&mut Context::from_waker(&waker)) {
            return answer;
        }
        std::thread::park();
    }
}

impl JobStore for Witness {
    fn submit_in_trace(
        &self,
        now: Timestamp,
        submission: Submission,
        parent: Option<TraceContext>,
    ) -> StoreFuture<'_, RunId> {
        let what = format!("submit {}", submission.run);
        self.see(&what, |store| store.submit_in_trace(now, submission, parent), |_, _| Ok(()))
    }

    fn publish(&self, now: Timestamp, name: String, publication: Publication) -> StoreFuture<'_, Published> {
        self.see("publish", |store| store.publish(now, name, publication), |_, _| Ok(()))
    }

    fn unpublish(&self, name: String) -> StoreFuture<'_, ()> {
        self.see("unpublish", |store| store.unpublish(name), |_, _| Ok(()))
    }

    fn pipelines(&self) -> StoreFuture<'_, Vec<PipelineSummary>> {
        self.look(|store| store.pipelines())
    }

    fn pipeline(&self, name: String) -> StoreFuture<'_, Option<PipelineView>> {
        self.look(|store| store.pipeline(name))
    }

    fn pipeline_of(&self, run: RunId) -> StoreFuture<'_, Option<String>> {
        self.look(|store| store.pipeline_of(run))
    }

    fn invoke(&self, now: Timestamp, invocations: Vec<Invocation>) -> StoreFuture<'_, Vec<Invoked>> {
        self.see("invoke", |store| store.invoke(now, invocations), |_, _| Ok(()))
    }

    fn rerun(&self, now: Timestamp, rerun: Rerun) -> StoreFuture<'_, Invoked> {
        self.see("rerun", |store| store.rerun(now, rerun), |_, _| Ok(()))
    }

    fn stored_plan(&self, run: RunId) -> StoreFuture<'_, Option<StoredPlan>> {
        self.look(|store| store.stored_plan(run))
    }

    fn lease(&self, now: Timestamp, request: LeaseRequest) -> StoreFuture<'_, LeaseAnswer> {
        let what = format!("lease {} {}", request.worker, request.count);
        self.see(
            &what,
            |store| store.lease(now, request),
            |ledger, leased| {
                let name = |lease: &Lease| leased.batch.steps[lease.step as usize].name.clone();
                leased.batch.leases.iter().try_for_each(|lease| ledger.record_lease(lease, &name(lease)))
            },
        )
    }

    fn heartbeat(&self, now: Timestamp, heartbeat: Heartbeat) -> StoreFuture<'_, HeartbeatAnswer> {
        let sent = heartbeat.clone();
        let what = format!("heartbeat {:?}", sent.leases);
        self.see(
            &what,
            |store| store.heartbeat(now, heartbeat),
            move |ledger, answer| ledger.check_heartbeat(&sent, answer),
        )
    }

    fn record_piece(&self, now: Timestamp, piece: ListPiece) -> StoreFuture<'_, PieceVerdict> {
        let what = format!("piece {} {:?} {}", piece.job, piece.token, piece.first);
        let (job, token) = (piece.job, piece.token);
        self.see(
            &what,
            |store| store.record_piece(now, piece),
            move |ledger, verdict| ledger.check_piece(job, token, *verdict),
        )
    }

    fn complete(&self, now: Timestamp, batch: ReportBatch) -> StoreFuture<'_, Vec<Verdict>> {
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
                pairs.try_for_each(|(one, verdict)| ledger.record_report(one.job, one.token, &one.outcome, *verdict))
            },
        )
    }

    fn reap(&self, now: Timestamp) -> StoreFuture<'_, ReapedJobs> {
        self.see("reap", |store| store.reap(now), |ledger, reaped| ledger.record_reaped(&reaped.jobs))
    }

    fn put_schedules(&self, now: Timestamp, update: ScheduleUpdate) -> StoreFuture<'_, Vec<AppliedSchedule>> {
        self.look(|store| store.put_schedules(now, update))
    }

    fn change_schedule(&self, now: Timestamp, name: String, action: ScheduleAction) -> StoreFuture<'_, ()> {
        self.look(|store| store.change_schedule(now, name, action))
    }

    fn schedules(&self, after: String, limit: u32) -> StoreFuture<'_, SchedulePage> {
        self.look(|store| store.schedules(after, limit))
    }

    fn schedule_runs(&self, name: String, limit: u32) -> StoreFuture<'_, Vec<ScheduledRun>> {
        self.look(|store| store.schedule_runs(name, limit))
    }

    fn schedule(&self, name: String) -> StoreFuture<'_, Option<ScheduleView>> {
        self.look(|store| store.schedule(name))
    }

    fn run_schedule(&self, now: Timestamp, name: String, run: RunId) -> StoreFuture<'_, Invoked> {
        self.look(|store| store.run_schedule(now, name, run))
    }

    fn backfill(&self, now: Timestamp, name: String, backfill: Backfill) -> StoreFuture<'_, BackfillProgress> {
        self.look(|store| store.backfill(now, name, backfill))
    }

    fn fire_schedules(&self, now: Timestamp) -> StoreFuture<'_, FiredSchedules> {
        self.look(|store| store.fire_schedules(now))
    }

    fn expire(&self, now: Timestamp) -> StoreFuture<'_, ExpiredJobs> {
        self.look(|store| store.expire(now))
    }

    fn reset_run(&self, now: Timestamp, run: RunId) -> StoreFuture<'_, Changed> {
        self.look(|store| store.reset_run(now, run))
    }

    fn cancel_run(&self, now: Timestamp, run: RunId) -> StoreFuture<'_, Changed> {
        let what = format!("cancel {run}");
        self.see(
            &what,
            |store| store.cancel_run(now, run),
            |ledger, changed| {
                ledger.record_cancelled(run, *changed);
                Ok(())
            },
        )
    }

    fn cancel_job(&self, now: Timestamp, job: JobId) -> StoreFuture<'_, Changed> {
        self.look(|store| store.cancel_job(now, job))
    }

    fn reset_job(&self, now: Timestamp, job: JobId) -> StoreFuture<'_, Changed> {
        self.look(|store| store.reset_job(now, job))
    }

    fn delete_run(&self, run: RunId) -> StoreFuture<'_, ()> {
        self.look(|store| store.delete_run(run))
    }

    fn ended_runs(&self, before: Timestamp, limit: u32) -> StoreFuture<'_, Vec<RunId>> {
        self.look(|store| store.ended_runs(before, limit))
    }

    fn gc_roots(&self) -> StoreFuture<'_, Collection> {
        self.look(JobStore::gc_roots)
    }

    fn run(&self, run: RunId) -> StoreFuture<'_, Option<RunView>> {
        self.look(|store| store.run(run))
    }

    fn run_page(&self, query: RunQuery) -> StoreFuture<'_, RunList> {
        self.look(|store| store.run_page(query))
    }

    fn failed_page(&self, query: FailedQuery) -> StoreFuture<'_, FailedList> {
        self.look(|store| store.failed_page(query))
    }

    fn failure_groups(&self, query: FailedQuery) -> StoreFuture<'_, FailureGroupPage> {
        self.look(|store| store.failure_groups(query))
    }

    fn runs_in(&self, ids: RangeInclusive<RunId>, limit: u32) -> StoreFuture<'_, Vec<RunView>> {
        self.look(|store| store.runs_in(ids, limit))
    }

    fn jobs(&self, run: RunId, query: JobQuery) -> StoreFuture<'_, Option<JobPage>> {
        self.look(|store| store.jobs(run, query))
    }

    fn results(&self, run: RunId, cursor: ResultCursor) -> StoreFuture<'_, Option<ResultPage>> {
        self.look(|store| store.results(run, cursor))
    }

    fn job(&self, job: JobId) -> StoreFuture<'_, Option<JobView>> {
        self.look(|store| store.job(job))
    }

    fn running_jobs(&self, limit: u32) -> StoreFuture<'_, Vec<JobView>> {
        self.look(|store| store.running_jobs(limit))
    }

    fn job_result(&self, job: JobId) -> StoreFuture<'_, Option<JobResult>> {
        self.look(|store| store.job_result(job))
    }

    fn why(&self, job: JobId) -> StoreFuture<'_, Option<WhyView>> {
        self.look(|store| store.why(job))
    }

    fn task(&self, job: JobId) -> StoreFuture<'_, Option<LeaseBatch>> {
        self.look(|store| store.task(job))
    }

    fn script_scopes(&self, job: JobId) -> StoreFuture<'_, Option<BTreeSet<String>>> {
        self.look(|store| store.script_scopes(job))
    }

    fn log(&self, job: JobId) -> StoreFuture<'_, Option<Option<ValueRef>>> {
        self.look(|store| store.log(job))
    }

    fn tally(&self, now: Timestamp) -> StoreFuture<'_, Tally> {
        self.look(move |store| store.tally(now))
    }

    fn record_audit(&self, now: Timestamp, entry: AuditEntry) -> StoreFuture<'_, ()> {
        self.look(|store| store.record_audit(now, entry))
    }

    fn audit_page(&self, query: AuditQuery) -> StoreFuture<'_, AuditList> {
        self.look(|store| store.audit_page(query))
    }

    fn delete_audit(&self, before: Timestamp, limit: u32) -> StoreFuture<'_, u64> {
        self.look(|store| store.delete_audit(before, limit))
    }

    fn record_sample(&self, sample: HistorySample) -> StoreFuture<'_, ()> {
        self.look(|store| store.record_sample(sample))
    }

    fn history(&self, now: Timestamp, period: RangeInclusive<Timestamp>) -> StoreFuture<'_, HistoryView> {
        self.look(|store| store.history(now, period))
    }

    fn lease_key(&self) -> StoreFuture<'_, LeaseKey> {
        self.look(JobStore::lease_key)
    }

    fn notifications(&self) -> &Notifications {
        self.store.notifications()
    }
}
