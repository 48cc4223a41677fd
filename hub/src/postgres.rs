//! [`PostgresStore`]: the [`JobStore`] on PostgreSQL, for any number of hubs at once.
//!
//! ```text
//! a verb: lock the runs it is about --> Draft <--read-- rows --> write --> commit --> tell the other hubs
//! lease:  pick and lock ready rows, skipping those of others --> lock their runs --> Running
//! ```
//! The row in `run` is the lock of everything that belongs to the run. Leases lock rows of `job` first, without waiting,
//! and wait for nothing while they hold them, so no two transactions wait for each other.

mod delete;
mod lease;
mod listen;
mod pick;
mod rate;
mod read;
mod schema;
mod values;
mod verbs;
mod view;
mod why;
mod write;

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bue_model::wire::{
    Changed, Heartbeat, HeartbeatAnswer, JobView, LeaseBatch, LeaseRequest, ReportBatch, ResultCursor, ResultPage,
    RunView, Submission, Verdict, WhyView,
};
use bue_model::{JobId, RunId, Timestamp, ValueRef};
use deadpool_postgres::{Client, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio::task::JoinHandle;
use tokio_postgres::{Config, NoTls};

use crate::error::HubError;
use crate::run_cache::RunCache;
use crate::store::{Answer, Changes, JobStore, Leased, Reaped};
use listen::Outbox;

/// Connections of one hub. Requests beyond wait for one; transactions are short.
const CONNECTIONS: usize = 16;
/// Longest wait for a free connection, or for a new one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What every connection is told: our schema, and that nothing may hang for ever.
const OPTIONS: &str = "-c search_path=bue -c statement_timeout=30s -c lock_timeout=10s \
     -c idle_in_transaction_session_timeout=60s";

/// Runs and jobs in a PostgreSQL database that other hubs may use as well. Their clocks should agree to a second or so.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    inner: Arc<Inner>,
    /// Ends with the last clone.
    _tasks: Arc<Tasks>,
}

/// What the store is in the eyes of its own tasks.
pub(crate) struct Inner {
    pool: Pool,
    config: Config,
    changes: Changes,
    runs: Mutex<RunCache>,
    /// Leases extended by heartbeats, not all of them written: token and end.
    extended: Mutex<HashMap<i64, (i64, i64)>>,
    /// One lease at a time, and how many jobs were given so far: that decides whose turn the last one's share is.
    granted: tokio::sync::Mutex<u64>,
    /// The latest time anybody handed in.
    now: AtomicI64,
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
    /// Connects to a database, given as `postgres://user@host/database` or as `host=… dbname=…`. Makes the tables, in a
    /// schema called `bue`, or brings them up to date. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// The address is none, nobody answers there, or the tables are of a later release.
    pub async fn connect(url: &str) -> Result<Self, HubError> {
        let mut config = Config::from_str(url).map_err(|error| HubError::BadRequest(explain(&error)))?;
        let options = [config.get_options().unwrap_or_default(), OPTIONS].join(" ");
        config.options(options.trim()).application_name("bue hub").connect_timeout(CONNECT_TIMEOUT);
        let manager =
            Manager::from_config(config.clone(), NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(CONNECT_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .build()
            .map_err(|error| HubError::Unreachable(error.to_string()))?;
        let inner = Arc::new(Inner {
            pool,
            changes: Changes::default(),
            runs: Mutex::default(),
            extended: Mutex::default(),
            granted: tokio::sync::Mutex::default(),
            now: AtomicI64::new(0),
            outbox: Outbox::default(),
            config,
        });
        let database = inner.config.get_dbname().unwrap_or("postgres").to_owned();
        schema::migrate(&mut inner.client().await?, &database).await?;
        let tasks = vec![tokio::spawn(listen::listen(inner.clone())), tokio::spawn(listen::grow(inner.clone()))];
        Ok(Self { inner, _tasks: Arc::new(Tasks(tasks)) })
    }
}

impl Inner {
    async fn client(&self) -> Result<Client, HubError> {
        self.pool.get().await.map_err(|error| match error {
            deadpool_postgres::PoolError::Backend(error) => HubError::from(error),
            error => HubError::Unreachable(error.to_string()),
        })
    }

    fn runs(&self) -> MutexGuard<'_, RunCache> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn extended(&self) -> MutexGuard<'_, HashMap<i64, (i64, i64)>> {
        self.extended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, now: Timestamp) -> i64 {
        self.now.store(now.0, Ordering::Relaxed);
        now.0
    }

    /// The time for what nobody asked for.
    fn latest(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }
}

/// What a database says, and what lies under it.
pub(crate) fn explain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut below = std::error::Error::source(error);
    while let Some(source) = below {
        text = format!("{text}: {source}");
        below = source.source();
    }
    text
}

impl JobStore for PostgresStore {
    fn submit(&self, now: Timestamp, submission: Submission) -> Answer<'_, RunId> {
        let now = self.inner.at(now);
        Box::pin(self.inner.submit(now, submission))
    }

    fn lease(&self, now: Timestamp, request: LeaseRequest) -> Answer<'_, Leased> {
        let now = self.inner.at(now);
        Box::pin(self.inner.lease(now, request))
    }

    fn heartbeat(&self, now: Timestamp, heartbeat: Heartbeat) -> Answer<'_, HeartbeatAnswer> {
        let now = self.inner.at(now);
        Box::pin(self.inner.heartbeat(now, heartbeat))
    }

    fn complete(&self, now: Timestamp, batch: ReportBatch) -> Answer<'_, Vec<Verdict>> {
        let now = self.inner.at(now);
        Box::pin(self.inner.complete(now, batch))
    }

    fn reap(&self, now: Timestamp) -> Answer<'_, Reaped> {
        let now = self.inner.at(now);
        Box::pin(self.inner.reap(now))
    }

    fn cancel_run(&self, now: Timestamp, run: RunId) -> Answer<'_, Changed> {
        let now = self.inner.at(now);
        Box::pin(self.inner.cancel_run(now, run))
    }

    fn reset_run(&self, now: Timestamp, run: RunId) -> Answer<'_, Changed> {
        let now = self.inner.at(now);
        Box::pin(self.inner.reset_run(now, run))
    }

    fn cancel_job(&self, now: Timestamp, job: JobId) -> Answer<'_, Changed> {
        let now = self.inner.at(now);
        Box::pin(self.inner.cancel_job(now, job))
    }

    fn reset_job(&self, now: Timestamp, job: JobId) -> Answer<'_, Changed> {
        let now = self.inner.at(now);
        Box::pin(self.inner.reset_job(now, job))
    }

    fn delete_run(&self, run: RunId) -> Answer<'_, ()> {
        Box::pin(self.inner.delete_run(run))
    }

    fn run(&self, run: RunId) -> Answer<'_, Option<RunView>> {
        Box::pin(self.inner.run_view(run))
    }

    fn runs(&self, limit: u32) -> Answer<'_, Vec<RunView>> {
        Box::pin(self.inner.run_views(limit))
    }

    fn results(&self, run: RunId, cursor: ResultCursor) -> Answer<'_, Option<ResultPage>> {
        Box::pin(self.inner.results(run, cursor))
    }

    fn job(&self, job: JobId) -> Answer<'_, Option<JobView>> {
        Box::pin(self.inner.job_view(job))
    }

    fn why(&self, job: JobId) -> Answer<'_, Option<WhyView>> {
        Box::pin(self.inner.why(job))
    }

    fn task(&self, job: JobId) -> Answer<'_, Option<LeaseBatch>> {
        Box::pin(self.inner.task(job))
    }

    fn log(&self, job: JobId) -> Answer<'_, Option<Option<ValueRef>>> {
        Box::pin(self.inner.log(job))
    }

    fn changes(&self) -> &Changes {
        &self.inner.changes
    }
}
