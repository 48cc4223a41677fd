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
mod inner;
mod leasing;
mod listen;
mod operations;
mod outbox;
mod query;
mod read;
mod reports;
mod runs;
mod schema;
mod views;
mod write;

use std::sync::Arc;

use bue_model::wire::{
    Changed, Collection, Heartbeat, HeartbeatAnswer, JobView, LeaseBatch, LeaseRequest, ReportBatch, ResultCursor,
    ResultPage, RunView, Submission, Verdict, WhyView,
};
use bue_model::{JobId, RunId, Timestamp, ValueRef};
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinHandle;

use crate::error::HubError;
use crate::jobs::counts::tally::Tally;
use crate::notifications::Notifications;
use crate::store::{JobStore, LeaseAnswer, ReapedJobs, StoreFuture};
use inner::Inner;
use reports::{PendingBatch, QUEUE_CAPACITY};

/// Runs and jobs in a PostgreSQL database that other hubs may use as well. Their clocks should agree to a second or so.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    inner: Arc<Inner>,
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
        let inner = Arc::new(Inner::connect(url).await?);
        let (reports, queue) = channel(QUEUE_CAPACITY);
        let tasks = vec![
            tokio::spawn(listen::listen(inner.clone())),
            tokio::spawn(listen::grow(inner.clone())),
            tokio::spawn(reports::dispatch(inner.clone(), queue)),
        ];
        Ok(Self { inner, reports, _tasks: Arc::new(Tasks(tasks)) })
    }

    /// Sets how many milliseconds a lease lasts, instead of [`LEASE_MS`](crate::LEASE_MS).
    #[must_use]
    pub fn with_lease_ms(self, lease_ms: u64) -> Self {
        self.inner.set_lease_ms(lease_ms);
        self
    }

    /// Sets after how many milliseconds without an answer of the database a request fails, instead of a minute.
    #[must_use]
    pub fn with_timeout_ms(self, timeout_ms: u64) -> Self {
        self.inner.set_timeout_ms(timeout_ms);
        self
    }

    /// Answers a request, within the timeout.
    fn answer<'a, T: 'a>(
        &'a self,
        request: impl Future<Output = Result<T, HubError>> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(self.inner.with_timeout(request))
    }
}

impl JobStore for PostgresStore {
    fn submit(&self, now: Timestamp, submission: Submission) -> StoreFuture<'_, RunId> {
        let now = self.inner.set_now(now);
        self.answer(self.inner.submit(now, submission))
    }

    fn lease(&self, now: Timestamp, request: LeaseRequest) -> StoreFuture<'_, LeaseAnswer> {
        let now = self.inner.set_now(now);
        self.answer(self.inner.lease(now, request))
    }

    fn lease_ms(&self) -> u64 {
        self.inner.lease_ms()
    }

    fn heartbeat(&self, now: Timestamp, heartbeat: Heartbeat) -> StoreFuture<'_, HeartbeatAnswer> {
        let now = self.inner.set_now(now);
        self.answer(self.inner.heartbeat(now, heartbeat))
    }

    fn complete(&self, now: Timestamp, batch: ReportBatch) -> StoreFuture<'_, Vec<Verdict>> {
        let now = self.inner.set_now(now);
        self.answer(self.inner.complete(&self.reports, now, batch))
    }

    fn reap(&self, now: Timestamp) -> StoreFuture<'_, ReapedJobs> {
        let now = self.inner.set_now(now);
        self.answer(self.inner.reap(now))
    }

    fn cancel_run(&self, now: Timestamp, run: RunId) -> StoreFuture<'_, Changed> {
        let now = self.inner.set_now(now);
        self.answer(self.inner.cancel_run(now, run))
    }

    fn reset_run(&self, now: Timestamp, run: RunId) -> StoreFuture<'_, Changed> {
        let now = self.inner.set_now(now);
        self.answer(self.inner.reset_run(now, run))
    }

    fn cancel_job(&self, now: Timestamp, job: JobId) -> StoreFuture<'_, Changed> {
        let now = self.inner.set_now(now);
        self.answer(self.inner.cancel_job(now, job))
    }

    fn reset_job(&self, now: Timestamp, job: JobId) -> StoreFuture<'_, Changed> {
        let now = self.inner.set_now(now);
        self.answer(self.inner.reset_job(now, job))
    }

    fn delete_run(&self, run: RunId) -> StoreFuture<'_, ()> {
        self.answer(self.inner.delete_run(run))
    }

    fn ended_runs(&self, before: Timestamp, limit: u32) -> StoreFuture<'_, Vec<RunId>> {
        self.answer(self.inner.ended_runs(before, limit))
    }

    fn gc_roots(&self) -> StoreFuture<'_, Collection> {
        self.answer(self.inner.gc_roots())
    }

    fn run(&self, run: RunId) -> StoreFuture<'_, Option<RunView>> {
        self.answer(self.inner.run_view(run))
    }

    fn runs(&self, limit: u32) -> StoreFuture<'_, Vec<RunView>> {
        self.answer(self.inner.run_views(limit))
    }

    fn results(&self, run: RunId, cursor: ResultCursor) -> StoreFuture<'_, Option<ResultPage>> {
        self.answer(self.inner.results(run, cursor))
    }

    fn job(&self, job: JobId) -> StoreFuture<'_, Option<JobView>> {
        self.answer(self.inner.job_view(job))
    }

    fn why(&self, job: JobId) -> StoreFuture<'_, Option<WhyView>> {
        self.answer(self.inner.why(job))
    }

    fn task(&self, job: JobId) -> StoreFuture<'_, Option<LeaseBatch>> {
        self.answer(self.inner.task(job))
    }

    fn log(&self, job: JobId) -> StoreFuture<'_, Option<Option<ValueRef>>> {
        self.answer(self.inner.log(job))
    }

    fn tally(&self) -> StoreFuture<'_, Tally> {
        self.answer(self.inner.tally())
    }

    fn notifications(&self) -> &Notifications {
        &self.inner.notifications
    }
}
