//! [`PostgresState`]: what the clones of a store and its background tasks share.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bue_model::{RunId, Timestamp};
use deadpool_postgres::{
    Client, ClientWrapper, Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime,
    Transaction,
};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use uuid::Uuid;

use super::connection::address::{Address, CONNECT_TIMEOUT};
use super::connection::startup_hint::startup_hint;
use super::leasing::leased_jobs::LeasedJobs;
use super::notify_queue::NotifyQueue;
use super::originals::original_of;
use super::query::query;
use super::schema;
use crate::error::{HubError, postgres_error_text};
use crate::jobs::changes::pending_notifications::PendingNotifications;
use crate::jobs::graph::Graph;
use crate::jobs::instance::Run;
use crate::jobs::leasing::expiry::LeaseExtensions;
use crate::jobs::plan_body::decode_plan;
use crate::jobs::run_cache::RunCache;
use crate::notifications::Notifications;
use crate::pipelines::with_values;
use crate::store::LEASE_MS;

/// Connections of one hub. Further requests wait for one; transactions are short.
const MAX_CONNECTIONS: usize = 16;
/// Milliseconds for one request, whose statements the server cancels after half as long each. What takes longer is a network
/// that drops packets silently, as firewalls do that have forgotten a connection.
const REQUEST_TIMEOUT_MS: u64 = 60_000;
/// Transactions that apply reports at one time. The second one waits in the database for the locks of the first one, and
/// proceeds as soon as they are free, without a round trip to the hub.
pub(super) const MAX_REPORT_TRANSACTIONS: usize = 2;

/// The leases granted so far to workers that ask for a share of the last jobs.
#[derive(Debug, Default)]
pub(super) struct Granted {
    /// Their number; decides which ones go to the jobs that would be served last.
    pub(super) jobs: u64,
    /// The run of the last one. The next one is likely to be of the same.
    pub(super) run: Option<i64>,
}

/// The state of a store.
pub(super) struct PostgresState {
    pool: Pool,
    pub(super) address: Address,
    pub(super) notifications: Notifications,
    runs: Mutex<RunCache>,
    extensions: Mutex<LeaseExtensions>,
    leased_jobs: Mutex<LeasedJobs>,
    /// Permits of the transactions that apply reports.
    pub(super) report_permits: Arc<Semaphore>,
    /// Held while jobs are leased.
    pub(super) granted: tokio::sync::Mutex<Granted>,
    /// The latest time that a request came with.
    now: AtomicI64,
    lease_ms: AtomicU64,
    timeout_ms: AtomicU64,
    pub(super) notify_queue: NotifyQueue,
}

impl std::fmt::Debug for PostgresState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // the configuration contains a password
        f.debug_struct("PostgresState").field("pool", &self.pool.status()).finish_non_exhaustive()
    }
}

impl PostgresState {
    /// Connects, and migrates the database.
    pub(super) async fn connect(url: &str) -> Result<Self, HubError> {
        let address = Address::parse(url)?;
        let state = Self {
            pool: pool(&address)?,
            notifications: Notifications::default(),
            runs: Mutex::default(),
            extensions: Mutex::default(),
            leased_jobs: Mutex::default(),
            report_permits: Arc::new(Semaphore::new(MAX_REPORT_TRANSACTIONS)),
            granted: tokio::sync::Mutex::default(),
            now: AtomicI64::new(0),
            lease_ms: AtomicU64::new(LEASE_MS),
            timeout_ms: AtomicU64::new(REQUEST_TIMEOUT_MS),
            notify_queue: NotifyQueue::default(),
            address,
        };
        state.prepare().await.map_err(|error| state.unusable(error))?;
        Ok(state)
    }

    /// Checks and migrates the database.
    async fn prepare(&self) -> Result<(), HubError> {
        let mut client = self.client().await?;
        let row = client.query_one("SELECT current_database()::text, current_setting('fsync') = 'on'", &[]).await?;
        let (database, has_fsync): (String, bool) = (row.try_get(0)?, row.try_get(1)?);
        if !has_fsync {
            tracing::warn!("PostgreSQL runs with fsync = off: a power cut may lose acknowledged changes");
        }
        schema::migrate(&mut client, &database).await
    }

    /// Adds to an error of the first connection what to do about it.
    fn unusable(&self, error: HubError) -> HubError {
        let (reason, hint) = match error {
            HubError::Postgres(error) => (postgres_error_text(&error), startup_hint(&error)),
            HubError::Unreachable(reason) => (reason, "check whether PostgreSQL runs there and answers"),
            error => return error,
        };
        HubError::Unusable { database: self.address.display_text(), reason, hint }
    }

    /// Returns a connection of the pool.
    pub(super) async fn client(&self) -> Result<Client, HubError> {
        self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => error.into(),
            error => HubError::Unreachable(error.to_string()),
        })
    }

    /// Returns the result of a request, or an error if the database does not answer. Its connections are then replaced.
    pub(super) async fn with_timeout<T>(
        &self,
        request: impl Future<Output = Result<T, HubError>>,
    ) -> Result<T, HubError> {
        let limit = Duration::from_millis(self.timeout_ms.load(Ordering::Relaxed));
        timeout(limit, request).await.unwrap_or_else(|_| {
            self.pool.retain(|_, _| false);
            Err(HubError::Unsure(format!("it has not answered for {} seconds", limit.as_secs_f64())))
        })
    }

    /// Commits. If the connection breaks meanwhile, the transaction may or may not have been committed, so it is not retried
    /// here; clients may retry, since all requests are idempotent.
    pub(super) async fn commit(&self, tx: Transaction<'_>) -> Result<(), HubError> {
        let started = Instant::now();
        tx.commit().await.map_err(|error| HubError::Unsure(postgres_error_text(&error)))?;
        self.notifications.commit_metrics().record(1, started.elapsed());
        Ok(())
    }

    /// Announces what a committed transaction did: here at once, to other hubs soon.
    pub(super) fn announce(&self, mut pending_notifications: PendingNotifications) {
        self.notifications.notify_ended(std::mem::take(&mut pending_notifications.ended));
        if pending_notifications.work {
            self.notifications.notify_work();
        }
        if pending_notifications.leases {
            self.notifications.notify_leases();
        }
        if pending_notifications.schedules {
            self.notifications.notify_schedules();
        }
        pending_notifications.runs.iter().for_each(|run| self.notifications.notify_run(*run));
        self.notify_queue.add(pending_notifications);
    }

    /// Returns what never changes of a run, by its key.
    pub(super) async fn run(&self, tx: &Transaction<'_>, key: i64) -> Result<Arc<Run>, HubError> {
        if let Some(run) = self.runs().get(key) {
            return Ok(run);
        }
        let sql = "SELECT run.id, run.first, plan.body FROM run JOIN plan ON plan.run = run.key WHERE run.key = $1";
        let rows = query(tx, sql, &[&key]).await?;
        let row = rows.first().ok_or_else(|| HubError::damaged(format!("run {key} has no plan")))?;
        let (plan, code, parent) = decode_plan(row.try_get(2)?)?;
        let id = RunId(row.try_get::<_, Uuid>(0)?);
        let (graph, original) = (Graph::new(with_values(plan)?, code)?, original_of(tx, key).await?);
        let run = Arc::new(Run { key, id, first: row.try_get(1)?, graph, original, parent });
        self.runs().insert(run.clone());
        Ok(run)
    }

    pub(super) fn runs(&self) -> MutexGuard<'_, RunCache> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn extensions(&self) -> MutexGuard<'_, LeaseExtensions> {
        self.extensions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn leased_jobs(&self) -> MutexGuard<'_, LeasedJobs> {
        self.leased_jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the time of a request, and returns it as columns hold it.
    pub(super) fn set_now(&self, now: Timestamp) -> i64 {
        self.now.store(now.0, Ordering::Relaxed);
        now.0
    }

    /// Returns the time for work that no request asked for.
    pub(super) fn latest_now(&self) -> i64 {
        self.now.load(Ordering::Relaxed)
    }

    pub(super) fn lease_ms(&self) -> u64 {
        self.lease_ms.load(Ordering::Relaxed)
    }

    pub(super) fn set_lease_ms(&self, lease_ms: u64) {
        self.lease_ms.store(lease_ms, Ordering::Relaxed);
    }

    pub(super) fn set_timeout_ms(&self, timeout_ms: u64) {
        self.timeout_ms.store(timeout_ms, Ordering::Relaxed);
    }
}

/// Returns a pool, which connects when a connection is needed.
fn pool(address: &Address) -> Result<Pool, HubError> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(address.config.clone(), address.tls.clone(), recycling);
    // what is acknowledged must be durable, whatever the server's default
    let durable = Hook::async_fn(|client: &mut ClientWrapper, _| {
        let sql =
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";
        Box::pin(async move { client.batch_execute(sql).await.map_err(HookError::Backend) })
    });
    let pool = Pool::builder(manager)
        .max_size(MAX_CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(CONNECT_TIMEOUT))
        .create_timeout(Some(CONNECT_TIMEOUT))
        .post_create(durable);
    pool.build().map_err(|error| HubError::Unreachable(error.to_string()))
}
