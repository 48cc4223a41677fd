//! [`PostgresStore`]: the [`JobStore`] on PostgreSQL, for any number of hubs at once.
//!
//! ```text
//! a change: lock its runs --> read --> ChangeSet --> write --> commit --> announce to other hubs
//! a lease:  pick ready rows --> lock their runs, skipping those that are locked --> Running, if they are still ready
//! ```
//! The row in `run` is the lock of everything that belongs to the run. Leases do not wait while they hold one, so transactions
//! do not deadlock. Uses `jobs` for all rules; here are queries, statements, and the connections that run them.

mod change;
mod connection;
mod expiry;
mod leasing;
mod listen;
mod notify_queue;
mod operations;
mod originals;
mod pipelines;
mod query;
mod read;
mod records;
mod reports;
mod reruns;
mod runs;
mod schedules;
mod schema;
mod state;
mod submit;
mod views;
mod write;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bue_model::failed_jobs::FailureGroupPage;
use bue_model::history::{HistorySample, HistoryView};
use bue_model::pipeline::{Invoked, PipelineSummary, PipelineView, Publication, Published};
use bue_model::schedule::{AppliedSchedule, BackfillProgress, SchedulePage, ScheduleView, ScheduledRun};
use bue_model::wire::{
    Changed, Collection, Heartbeat, HeartbeatAnswer, JobPage, JobQuery, JobView, LeaseBatch, LeaseRequest, ListPiece,
    PieceVerdict, ReportBatch, ResultCursor, ResultPage, RunView, Submission, Verdict, WhyView, WorkerView,
};
use bue_model::{JobId, RunId, Timestamp, TraceContext, ValueRef};
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinHandle;

use crate::error::HubError;
use crate::jobs::counts::tally::Tally;
use crate::jobs::views::failed_list::{FailedList, FailedQuery};
use crate::jobs::views::run_list::{RunList, RunQuery};
use crate::lease_key::LeaseKey;
use crate::notifications::Notifications;
use crate::pipelines::Invocation;
use crate::records::audit::{AuditEntry, AuditList, AuditQuery};
use crate::records::history::{Tier, view_of};
use crate::reruns::{Rerun, StoredPlan};
use crate::schedules::backfill::Backfill;
use crate::schedules::firing::FiredSchedules;
use crate::schedules::request::{ScheduleAction, ScheduleUpdate};
use crate::store::{ExpiredJobs, JobResult, JobStore, LeaseAnswer, ReapedJobs, StoreFuture};
use reports::{PendingBatch, QUEUE_CAPACITY};
use state::PostgresState;

/// Runs and jobs in a PostgreSQL database that other hubs may use as well. Their clocks should agree to a second or so.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    state: Arc<PostgresState>,
    /// Reports that wait for a transaction.
    reports: Sender<PendingBatch>,
    /// Aborted with the last clone.
    _tasks: Arc<Tasks>,
}

#[derive(Debug)]
struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl PostgresStore {
    /// Connects to a database, given as `postgres://user@host/database` or as `host=… dbname=…`. `sslmode` (one of disable,
    /// prefer, require, verify-ca, verify-full) and `sslrootcert` (a file, else the system's authorities) choose TLS. Creates
    /// the tables, in a schema called `bue`, or migrates them. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// The address is invalid, no server answers there or it refuses the connection, or the tables are not ours or of a later
    /// release.
    pub async fn connect(url: &str) -> Result<Self, HubError> {
        let state = Arc::new(PostgresState::connect(url).await?);
        let (reports, queue) = channel(QUEUE_CAPACITY);
        let tasks = vec![
            tokio::spawn(listen::listen(state.clone())),
            tokio::spawn(listen::grow(state.clone())),
            tokio::spawn(reports::dispatch(state.clone(), queue)),
        ];
        Ok(Self { state, reports, _tasks: Arc::new(Tasks(tasks)) })
    }

    /// Sets how many milliseconds a lease lasts, instead of [`LEASE_MS`](crate::LEASE_MS).
    #[must_use]
    pub fn with_lease_ms(self, lease_ms: u64) -> Self {
        self.state.set_lease_ms(lease_ms);
        self
    }

    /// Sets after how many milliseconds without an answer of the database a request fails, instead of a minute.
    #[must_use]
    pub fn with_timeout_ms(self, timeout_ms: u64) -> Self {
        self.state.set_timeout_ms(timeout_ms);
        self
    }

    /// Answers a request, within the timeout.
    fn answer<'a, T: 'a>(
        &'a self,
        request: impl Future<Output = Result<T, HubError>> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(self.state.with_timeout(request))
    }
}

impl JobStore for PostgresStore {
    fn submit_in_trace(
        &self,
        now: Timestamp,
        submission: Submission,
        parent: Option<TraceContext>,
    ) -> StoreFuture<'_, RunId> {
        let now = self.state.set_now(now);
        self.answer(async move { self.state.submit(now, &submission, parent).await })
    }

    fn publish(&self, now: Timestamp, name: String, publication: Publication) -> StoreFuture<'_, Published> {
        let now = self.state.set_now(now);
        self.answer(async move { self.state.publish(now, &name, &publication).await })
    }

    fn unpublish(&self, name: String) -> StoreFuture<'_, ()> {
        self.answer(async move { self.state.unpublish(&name).await })
    }

    fn pipelines(&self) -> StoreFuture<'_, Vec<PipelineSummary>> {
        self.answer(self.state.pipelines())
    }

    fn pipeline(&self, name: String) -> StoreFuture<'_, Option<PipelineView>> {
        self.answer(async move { self.state.pipeline(&name).await })
    }

    fn pipeline_of(&self, run: RunId) -> StoreFuture<'_, Option<String>> {
        self.answer(self.state.pipeline_of(run))
    }

    fn invoke(&self, now: Timestamp, invocations: Vec<Invocation>) -> StoreFuture<'_, Vec<Invoked>> {
        let now = self.state.set_now(now);
        self.answer(async move { self.state.invoke(now, &invocations).await })
    }

    fn rerun(&self, now: Timestamp, rerun: Rerun) -> StoreFuture<'_, Invoked> {
        let now = self.state.set_now(now);
        self.answer(async move { self.state.rerun(now, &rerun).await })
    }

    fn stored_plan(&self, run: RunId) -> StoreFuture<'_, Option<StoredPlan>> {
        self.answer(self.state.stored_plan(run))
    }

    fn put_schedules(&self, now: Timestamp, update: ScheduleUpdate) -> StoreFuture<'_, Vec<AppliedSchedule>> {
        let now = self.state.set_now(now);
        self.answer(async move { self.state.put_schedules(now, &update).await })
    }

    fn change_schedule(&self, now: Timestamp, name: String, action: ScheduleAction) -> StoreFuture<'_, ()> {
        let now = self.state.set_now(now);
        self.answer(async move { self.state.change_schedule(now, &name, action).await })
    }

    fn schedules(&self, after: String, limit: u32) -> StoreFuture<'_, SchedulePage> {
        self.answer(async move { self.state.schedules(&after, limit).await })
    }

    fn schedule(&self, name: String) -> StoreFuture<'_, Option<ScheduleView>> {
        self.answer(async move { self.state.schedule(&name).await })
    }

    fn schedule_runs(&self, name: String, limit: u32) -> StoreFuture<'_, Vec<ScheduledRun>> {
        self.answer(async move { self.state.schedule_runs(&name, limit).await })
    }

    fn run_schedule(&self, now: Timestamp, name: String, run: RunId) -> StoreFuture<'_, Invoked> {
        let now = self.state.set_now(now);
        self.answer(async move { self.state.run_schedule(now, &name, run).await })
    }

    fn backfill(&self, now: Timestamp, name: String, backfill: Backfill) -> StoreFuture<'_, BackfillProgress> {
        let now = self.state.set_now(now);
        self.answer(async move { self.state.backfill(now, &name, &backfill).await })
    }

    fn fire_schedules(&self, now: Timestamp) -> StoreFuture<'_, FiredSchedules> {
        let now = self.state.set_now(now);
        self.answer(self.state.fire_schedules(now))
    }

    fn lease(&self, now: Timestamp, request: LeaseRequest) -> StoreFuture<'_, LeaseAnswer> {
        let now = self.state.set_now(now);
        self.answer(self.state.lease(now, request))
    }

    fn lease_ms(&self) -> u64 {
        self.state.lease_ms()
    }

    fn heartbeat(&self, now: Timestamp, heartbeat: Heartbeat) -> StoreFuture<'_, HeartbeatAnswer> {
        let now = self.state.set_now(now);
        self.answer(self.state.heartbeat(now, heartbeat))
    }

    fn complete(&self, now: Timestamp, batch: ReportBatch) -> StoreFuture<'_, Vec<Verdict>> {
        let now = self.state.set_now(now);
        self.answer(self.state.complete(&self.reports, now, batch))
    }

    fn record_piece(&self, now: Timestamp, piece: ListPiece) -> StoreFuture<'_, PieceVerdict> {
        let now = self.state.set_now(now);
        self.answer(async move { self.state.record_piece(now, &piece).await })
    }

    fn reap(&self, now: Timestamp) -> StoreFuture<'_, ReapedJobs> {
        let now = self.state.set_now(now);
        self.answer(self.state.reap(now))
    }

    fn expire(&self, now: Timestamp) -> StoreFuture<'_, ExpiredJobs> {
        let now = self.state.set_now(now);
        self.answer(self.state.expire(now))
    }

    fn cancel_run(&self, now: Timestamp, run: RunId) -> StoreFuture<'_, Changed> {
        let now = self.state.set_now(now);
        self.answer(self.state.cancel_run(now, run))
    }

    fn reset_run(&self, now: Timestamp, run: RunId) -> StoreFuture<'_, Changed> {
        let now = self.state.set_now(now);
        self.answer(self.state.reset_run(now, run))
    }

    fn cancel_job(&self, now: Timestamp, job: JobId) -> StoreFuture<'_, Changed> {
        let now = self.state.set_now(now);
        self.answer(self.state.cancel_job(now, job))
    }

    fn reset_job(&self, now: Timestamp, job: JobId) -> StoreFuture<'_, Changed> {
        let now = self.state.set_now(now);
        self.answer(self.state.reset_job(now, job))
    }

    fn delete_run(&self, run: RunId) -> StoreFuture<'_, ()> {
        self.answer(self.state.delete_run(run))
    }

    fn ended_runs(&self, before: Timestamp, limit: u32) -> StoreFuture<'_, Vec<RunId>> {
        self.answer(self.state.ended_runs(before, limit))
    }

    fn gc_roots(&self) -> StoreFuture<'_, Collection> {
        self.answer(self.state.gc_roots())
    }

    fn run(&self, run: RunId) -> StoreFuture<'_, Option<RunView>> {
        self.answer(self.state.run_view(run))
    }

    fn run_page(&self, query: RunQuery) -> StoreFuture<'_, RunList> {
        self.answer(self.state.run_page(query))
    }

    fn failed_page(&self, query: FailedQuery) -> StoreFuture<'_, FailedList> {
        self.answer(self.state.failed_page(query))
    }

    fn failure_groups(&self, query: FailedQuery) -> StoreFuture<'_, FailureGroupPage> {
        self.answer(self.state.failure_groups(query))
    }

    fn runs_in(&self, ids: RangeInclusive<RunId>, limit: u32) -> StoreFuture<'_, Vec<RunView>> {
        self.answer(self.state.runs_in(ids, limit))
    }

    fn jobs(&self, run: RunId, query: JobQuery) -> StoreFuture<'_, Option<JobPage>> {
        self.answer(self.state.jobs(run, query))
    }

    fn results(&self, run: RunId, cursor: ResultCursor) -> StoreFuture<'_, Option<ResultPage>> {
        self.answer(self.state.results(run, cursor))
    }

    fn job(&self, job: JobId) -> StoreFuture<'_, Option<JobView>> {
        self.answer(self.state.job_view(job))
    }

    fn running_jobs(&self, limit: u32) -> StoreFuture<'_, Vec<JobView>> {
        self.answer(self.state.running_jobs(limit))
    }

    fn job_result(&self, job: JobId) -> StoreFuture<'_, Option<JobResult>> {
        self.answer(self.state.job_result(job))
    }

    fn why(&self, job: JobId) -> StoreFuture<'_, Option<WhyView>> {
        self.answer(self.state.why(job))
    }

    fn task(&self, job: JobId) -> StoreFuture<'_, Option<LeaseBatch>> {
        self.answer(self.state.task(job))
    }

    fn script_scopes(&self, job: JobId) -> StoreFuture<'_, Option<BTreeSet<String>>> {
        self.answer(self.state.script_scopes(job))
    }

    fn log(&self, job: JobId) -> StoreFuture<'_, Option<Option<ValueRef>>> {
        self.answer(self.state.log(job))
    }

    fn tally(&self, now: Timestamp) -> StoreFuture<'_, Tally> {
        self.answer(self.state.tally(now))
    }

    fn record_audit(&self, now: Timestamp, entry: AuditEntry) -> StoreFuture<'_, ()> {
        let now = self.state.set_now(now);
        self.answer(async move { self.state.record_audit(now, &entry).await })
    }

    fn audit_page(&self, query: AuditQuery) -> StoreFuture<'_, AuditList> {
        self.answer(self.state.audit_page(query))
    }

    fn delete_audit(&self, before: Timestamp, limit: u32) -> StoreFuture<'_, u64> {
        self.answer(self.state.delete_audit(before, limit))
    }

    fn record_sample(&self, sample: HistorySample) -> StoreFuture<'_, ()> {
        self.answer(async move { self.state.record_sample(&sample).await })
    }

    fn history(&self, now: Timestamp, period: RangeInclusive<Timestamp>) -> StoreFuture<'_, HistoryView> {
        let tier = Tier::of_age(*period.start(), now);
        self.answer(async move { Ok(view_of(tier, &period, self.state.history(tier, period.clone()).await?)) })
    }

    fn lease_key(&self) -> StoreFuture<'_, LeaseKey> {
        self.answer(self.state.lease_key())
    }

    fn announce_workers(&self, workers: &[WorkerView]) {
        self.state.notify_queue.add_workers(workers);
    }

    fn notifications(&self) -> &Notifications {
        &self.state.notifications
    }
}
