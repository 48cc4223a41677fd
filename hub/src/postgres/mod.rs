//! [`PostgresStore`]: the [`JobStore`] on PostgreSQL, for any number of hubs at once.
//!
//! ```text
//! a verb: lock the runs it is about --> Draft <--read-- rows --> write --> commit --> tell the other hubs
//! lease:  pick ready rows --> lock their runs, skipping those that somebody is at --> Running, if they are still ready
//! ```
//! The row in `run` is the lock of everything that belongs to the run. Leases wait for nothing while they hold one, so no
//! two transactions wait for each other.

mod address;
mod delete;
mod holdings;
mod lease;
mod listen;
mod pick;
mod places;
mod rate;
mod read;
mod reports;
mod schema;
mod tally;
mod tls;
mod trouble;
mod values;
mod verbs;
mod view;
mod why;
mod write;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bue_model::wire::{
    Changed, Collection, Heartbeat, HeartbeatAnswer, JobView, LeaseBatch, LeaseRequest, ReportBatch, ResultCursor,
    ResultPage, RunView, Submission, Verdict, WhyView,
};
use bue_model::{JobId, RunId, Timestamp, ValueRef};
use deadpool_postgres::{
    Client, ClientWrapper, Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::{HubError, postgres_error_text};
use crate::jobs::run_cache::RunCache;
use crate::jobs::tally::Tally;
use crate::notifications::Notifications;
use crate::store::{JobStore, LEASE_MS, LeaseAnswer, ReapedJobs, StoreFuture};
use address::{Address, CONNECT_TIMEOUT};
use listen::Outbox;
use places::Places;
use reports::{LANES, QUEUE, Waiting};
use trouble::advice;

/// Connections of one hub. Requests beyond wait for one; transactions are short.
const CONNECTIONS: usize = 16;
/// Milliseconds for one verb, whose statements the server ends after half as long each. What lasts longer is a network that
/// swallows what is sent and says nothing, as firewalls do that have forgotten a connection.
const PATIENCE_MS: u64 = 60_000;

/// Runs and jobs in a PostgreSQL database that other hubs may use as well. Their clocks should agree to a second or so.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    inner: Arc<Inner>,
    /// Outcomes that came in.
    reports: Sender<Waiting>,
    /// Ends with the last clone.
    _tasks: Arc<Tasks>,
}

/// What leases were given so far.
#[derive(Debug, Default)]
struct Granted {
    /// Jobs; decides whose turn the last one's share is.
    jobs: u64,
    /// The run of the last one. The next one is likely to be of the same.
    run: Option<i64>,
}

/// What the store is in the eyes of its own tasks.
pub(crate) struct Inner {
    pool: Pool,
    address: Address,
    notifications: Notifications,
    runs: Mutex<RunCache>,
    /// Leases extended by heartbeats, not all of them written: token and end.
    extended: Mutex<HashMap<i64, (i64, i64)>>,
    places: Mutex<Places>,
    /// For transactions that take outcomes.
    lanes: Arc<Semaphore>,
    /// One lease at a time.
    granted: tokio::sync::Mutex<Granted>,
    /// The latest time anybody handed in.
    now: AtomicI64,
    lease_ms: AtomicU64,
    patience_ms: AtomicU64,
    outbox: Outbox,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // the configuration holds a password
        f.debug_struct("Inner").field("pool", &self.pool.status()).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl PostgresStore {
    /// Connects to a database, given as `postgres://user@host/database` or as `host=… dbname=…`, with TLS as `sslmode` and
    /// `sslrootcert` say (one of disable, prefer, require, verify-ca, verify-full; a file, else the system's). Makes the tables, in a
    /// schema called `bue`, or brings them up to date. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// The address is none, nobody answers there or lets us in, or the tables are not ours or of a later release.
    pub async fn connect(url: &str) -> Result<Self, HubError> {
        let address = Address::parse(url)?;
        let pool = pool(&address)?;
        let inner = Arc::new(Inner {
            pool,
            notifications: Notifications::default(),
            runs: Mutex::default(),
            extended: Mutex::default(),
            places: Mutex::default(),
            lanes: Arc::new(Semaphore::new(LANES)),
            granted: tokio::sync::Mutex::default(),
            now: AtomicI64::new(0),
            lease_ms: AtomicU64::new(LEASE_MS),
            patience_ms: AtomicU64::new(PATIENCE_MS),
            outbox: Outbox::default(),
            address,
        });
        inner.prepare().await.map_err(|error| inner.unusable(error))?;
        let (reports, queue) = channel(QUEUE);
        let tasks = vec![
            tokio::spawn(listen::listen(inner.clone())),
            tokio::spawn(listen::grow(inner.clone())),
            tokio::spawn(reports::dispatch(inner.clone(), queue)),
        ];
        Ok(Self { inner, reports, _tasks: Arc::new(Tasks(tasks)) })
    }

    /// The same with leases that last so many milliseconds, instead of [`LEASE_MS`].
    #[must_use]
    pub fn with_lease_ms(self, lease_ms: u64) -> Self {
        self.inner.lease_ms.store(lease_ms, Ordering::Relaxed);
        self
    }

    /// The same, giving a verb up when the database has not answered for so many milliseconds, instead of a minute.
    #[must_use]
    pub fn with_patience_ms(self, patience_ms: u64) -> Self {
        self.inner.patience_ms.store(patience_ms, Ordering::Relaxed);
        self
    }
}

/// Makes connections when they are asked for.
fn pool(address: &Address) -> Result<Pool, HubError> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(address.config.clone(), address.tls.clone(), recycling);
    // what is said to be taken must be on the disk, whatever the server does for others
    let durable = Hook::async_fn(|client: &mut ClientWrapper, _| {
        let sql =
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
        Box::pin(async move { client.batch_execute(sql).await.map_err(HookError::Backend) })
    });
    let pool = Pool::builder(manager)
        .max_size(CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(CONNECT_TIMEOUT))
        .create_timeout(Some(CONNECT_TIMEOUT))
        .post_create(durable);
    pool.build().map_err(|error| HubError::Unreachable(error.to_string()))
}

impl Inner {
    /// Looks at the database for the first time.
    async fn prepare(&self) -> Result<(), HubError> {
        let mut client = self.client().await?;
        let row = client.query_one("SELECT current_database()::text, current_setting('fsync') = 'on'", &[]).await?;
        let (database, synced): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        if !synced {
            tracing::warn!("PostgreSQL runs with fsync = off: a power cut may lose what was accepted");
        }
        schema::migrate(&mut client, &database).await
    }

    /// An error of the first look, with what to do about it.
    fn unusable(&self, error: HubError) -> HubError {
        let (reason, advice) = match error {
            HubError::Postgres(error) => (postgres_error_text(&error), advice(&error)),
            HubError::Unreachable(reason) => (reason, "see whether PostgreSQL runs there and answers"),
            error => return error,
        };
        HubError::Unusable { database: self.address.shown(), reason, advice }
    }

    async fn client(&self) -> Result<Client, HubError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => error.into(),
            error => HubError::Unreachable(error.to_string()),
        })
    }

    /// A verb's answer, or an error where the database has fallen silent. The connections are left then, and new ones made.
    async fn in_time<T>(&self, verb: impl Future<Output = Result<T, HubError>>) -> Result<T, HubError> {
        let patience = Duration::from_millis(self.patience_ms.load(Ordering::Relaxed));
        timeout(patience, verb).await.unwrap_or_else(|_| {
            self.pool.retain(|_, _| false);
            Err(HubError::Unsure(format!("it has not answered for {} seconds", patience.as_secs_f64())))
        })
    }

    fn runs(&self) -> MutexGuard<'_, RunCache> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn extended(&self) -> MutexGuard<'_, HashMap<i64, (i64, i64)>> {
        self.extended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, now: Timestamp) -> i64 {
        self.now.store(now.0, Ordering::Relaxed);
        now.0
    }

    fn lease_ms(&self) -> u64 {
        self.lease_ms.load(Ordering::Relaxed)
    }

    /// The time for what nobody asked for.
    fn latest(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }
}

impl JobStore for PostgresStore {
    fn submit(&self, now: Timestamp, submission: Submission) -> StoreFuture<'_, RunId> {
        let now = self.inner.at(now);
        Box::pin(self.inner.in_time(self.inner.submit(now, submission)))
    }

    fn lease(&self, now: Timestamp, request: LeaseRequest) -> StoreFuture<'_, LeaseAnswer> {
        let now = self.inner.at(now);
        Box::pin(self.inner.in_time(self.inner.lease(now, request)))
    }

    fn lease_ms(&self) -> u64 {
        self.inner.lease_ms()
    }

    fn heartbeat(&self, now: Timestamp, heartbeat: Heartbeat) -> StoreFuture<'_, HeartbeatAnswer> {
        let now = self.inner.at(now);
        Box::pin(self.inner.in_time(self.inner.heartbeat(now, heartbeat)))
    }

    fn complete(&self, now: Timestamp, batch: ReportBatch) -> StoreFuture<'_, Vec<Verdict>> {
        let now = self.inner.at(now);
        Box::pin(self.inner.in_time(self.inner.complete(&self.reports, now, batch)))
    }

    fn reap(&self, now: Timestamp) -> StoreFuture<'_, ReapedJobs> {
        let now = self.inner.at(now);
        Box::pin(self.inner.in_time(self.inner.reap(now)))
    }

    fn cancel_run(&self, now: Timestamp, run: RunId) -> StoreFuture<'_, Changed> {
        let now = self.inner.at(now);
        Box::pin(self.inner.in_time(self.inner.cancel_run(now, run)))
    }

    fn reset_run(&self, now: Timestamp, run: RunId) -> StoreFuture<'_, Changed> {
        let now = self.inner.at(now);
        Box::pin(self.inner.in_time(self.inner.reset_run(now, run)))
    }

    fn cancel_job(&self, now: Timestamp, job: JobId) -> StoreFuture<'_, Changed> {
        let now = self.inner.at(now);
        Box::pin(self.inner.in_time(self.inner.cancel_job(now, job)))
    }

    fn reset_job(&self, now: Timestamp, job: JobId) -> StoreFuture<'_, Changed> {
        let now = self.inner.at(now);
        Box::pin(self.inner.in_time(self.inner.reset_job(now, job)))
    }

    fn delete_run(&self, run: RunId) -> StoreFuture<'_, ()> {
        Box::pin(self.inner.in_time(self.inner.delete_run(run)))
    }

    fn ended_runs(&self, before: Timestamp, limit: u32) -> StoreFuture<'_, Vec<RunId>> {
        Box::pin(self.inner.in_time(self.inner.ended_runs(before, limit)))
    }

    fn gc_roots(&self) -> StoreFuture<'_, Collection> {
        Box::pin(self.inner.in_time(self.inner.gc_roots()))
    }

    fn run(&self, run: RunId) -> StoreFuture<'_, Option<RunView>> {
        Box::pin(self.inner.in_time(self.inner.run_view(run)))
    }

    fn runs(&self, limit: u32) -> StoreFuture<'_, Vec<RunView>> {
        Box::pin(self.inner.in_time(self.inner.run_views(limit)))
    }

    fn results(&self, run: RunId, cursor: ResultCursor) -> StoreFuture<'_, Option<ResultPage>> {
        Box::pin(self.inner.in_time(self.inner.results(run, cursor)))
    }

    fn job(&self, job: JobId) -> StoreFuture<'_, Option<JobView>> {
        Box::pin(self.inner.in_time(self.inner.job_view(job)))
    }

    fn why(&self, job: JobId) -> StoreFuture<'_, Option<WhyView>> {
        Box::pin(self.inner.in_time(self.inner.why(job)))
    }

    fn task(&self, job: JobId) -> StoreFuture<'_, Option<LeaseBatch>> {
        Box::pin(self.inner.in_time(self.inner.task(job)))
    }

    fn log(&self, job: JobId) -> StoreFuture<'_, Option<Option<ValueRef>>> {
        Box::pin(self.inner.in_time(self.inner.log(job)))
    }

    fn tally(&self) -> StoreFuture<'_, Tally> {
        Box::pin(self.inner.in_time(self.inner.tally()))
    }

    fn notifications(&self) -> &Notifications {
        &self.inner.notifications
    }
}
