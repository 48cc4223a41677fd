//! [`Hub`]: everything that the operations of a hub share.

use std::sync::Arc;
use std::time::Duration;

use bue_model::Timestamp;
use tokio::sync::{OnceCell, Semaphore, watch};
use tokio::time::Instant;

use crate::api::backfills::Backfills;
use crate::api::bundles::Bundles;
use crate::api::group_cache::GroupCache;
use crate::api::hub_counts::HubCounts;
use crate::api::hub_metrics::HubMetrics;
use crate::api::log_watches::LogWatches;
use crate::api::progress::RunProgress;
use crate::api::run_changes::RunChanges;
use crate::api::workers::Workers;
use crate::auth::access::Access;
use crate::auth::lease_seal::LeaseSealer;
use crate::auth::session::SessionSealer;
use crate::bundle_reader::BundleReader;
use crate::clock::{Clock, SharedSimulation, Simulation, system_clock};
use crate::error::HubError;
use crate::http::log_rate_limiter::LogRateLimiter;
use crate::http::request_metrics::RequestMetrics;
use crate::http::tls::Tls;
use crate::settings::HubSetting;
use crate::store::JobStore;
use crate::telemetry::config::TelemetryConfig;
use crate::telemetry::drops::DropCounters;

/// Bytes of a submission. Plans seldom have more than some thousand nodes of ten bytes each.
pub(super) const MAX_SUBMISSION: usize = 16 * 1024 * 1024;

/// A hub: a store, a clock, access rules, and the requests that wait. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    pub(crate) store: Arc<dyn JobStore>,
    pub(crate) access: Access,
    /// One worker serves all scopes of the script, so that the scopes that steps choose have no effect.
    pub(super) has_one_worker: bool,
    pub(crate) bucket: Option<String>,
    pub(crate) tls: Option<Tls>,
    pub(crate) workers: Workers,
    pub(super) log_watches: LogWatches,
    pub(super) progress: RunProgress,
    pub(crate) backfills: Backfills,
    pub(super) counts: HubCounts,
    pub(super) metrics: HubMetrics,
    pub(super) run_changes: RunChanges,
    pub(super) bundles: Bundles,
    pub(super) groups: GroupCache,
    pub(crate) request_metrics: RequestMetrics,
    /// Becomes true when the server shuts down: long polls then return at once.
    pub(crate) closing: watch::Sender<bool>,
    clock: Clock,
    /// Advances the clock, if time is simulated.
    pub(crate) simulation: Option<SharedSimulation>,
    /// Read from the store when the first lease or report arrives.
    sealer: Arc<OnceCell<LeaseSealer>>,
    /// Read from the store when the first browser logs in.
    session_sealer: Arc<OnceCell<SessionSealer>>,
    /// Whether pages for browsers are served, and sessions of browsers accepted.
    pub(crate) has_dashboard: bool,
    /// What the program that started the hub says of its settings.
    pub(crate) settings: Arc<[HubSetting]>,
    /// Where traces and metrics go.
    pub(crate) telemetry: Arc<TelemetryConfig>,
    forgeries: Arc<LogRateLimiter>,
    /// The turn of one large request of reports, see `api/leases.rs`.
    pub(super) large_reports: Arc<Semaphore>,
}

impl Hub {
    /// Creates a hub with this machine's clock, open to everyone.
    #[must_use]
    pub fn new(store: Arc<dyn JobStore>) -> Self {
        Self::with_clock(store, system_clock())
    }

    /// Creates a hub with a clock that may be wrong, stop or jump.
    #[must_use]
    pub fn with_clock(store: Arc<dyn JobStore>, clock: Clock) -> Self {
        let (access, workers, closing) = (Access::open(), Workers::default(), watch::Sender::new(false));
        let (metrics, registry) = HubMetrics::new(store.notifications().commit_metrics());
        let request_metrics = RequestMetrics::new("hub", registry);
        let log_watches = LogWatches::default();
        let progress = RunProgress::default();
        Self {
            store,
            access,
            has_one_worker: false,
            bucket: None,
            tls: None,
            workers,
            log_watches,
            progress,
            backfills: Backfills::default(),
            counts: HubCounts::default(),
            metrics,
            run_changes: RunChanges::default(),
            bundles: Bundles::default(),
            groups: GroupCache::default(),
            request_metrics,
            closing,
            clock,
            simulation: None,
            sealer: Arc::default(),
            session_sealer: Arc::default(),
            has_dashboard: true,
            settings: Arc::default(),
            telemetry: Arc::default(),
            forgeries: Arc::default(),
            large_reports: Arc::new(Semaphore::new(1)),
        }
    }

    /// Makes a hub without schedules whose time is simulated: it advances the clock when everything in its runs waits. One worker must
    /// serve all scopes.
    #[must_use]
    pub fn simulated(store: Arc<dyn JobStore>, simulation: Arc<dyn Simulation>) -> Self {
        let clock = Arc::clone(&simulation);
        Self { simulation: Some(simulation), ..Self::with_clock(store, Arc::new(move || clock.now())) }
    }

    /// Sets who may use the hub.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        access.watch_tokens();
        Self { access, ..self }
    }

    /// Lets every job run on the one worker there is, whatever scope a step chooses.
    #[must_use]
    pub fn with_one_worker(self) -> Self {
        Self { has_one_worker: true, ..self }
    }

    /// Sets the address of the bucket, which clients and workers ask the hub for.
    #[must_use]
    pub fn with_bucket(self, bucket: Option<String>) -> Self {
        Self { bucket, ..self }
    }

    /// Sets what reads the code of steps, so that tracebacks on pages can show it.
    #[must_use]
    pub fn with_bundles(self, reader: Arc<dyn BundleReader>) -> Self {
        Self { bundles: Bundles::new(reader), ..self }
    }

    /// Tells people these settings, on a page for those who may cancel runs.
    #[must_use]
    pub fn with_settings(self, settings: Vec<HubSetting>) -> Self {
        Self { settings: settings.into(), ..self }
    }

    /// Exports traces and metrics. Time must be real.
    #[must_use]
    pub fn with_telemetry(self, telemetry: TelemetryConfig) -> Self {
        Self { telemetry: Arc::new(telemetry), ..self }
    }

    /// Serves no pages for browsers. The API is the same.
    #[must_use]
    pub fn without_dashboard(self) -> Self {
        Self { has_dashboard: false, ..self }
    }

    /// Serves over TLS if `tls` is set.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// Returns what seals the tokens of leases.
    pub(super) async fn sealer(&self) -> Result<&LeaseSealer, HubError> {
        let read = async || self.store.lease_key().await.map(LeaseSealer::new);
        self.sealer.get_or_try_init(read).await
    }

    /// Returns what seals the sessions of browsers.
    pub(crate) async fn session_sealer(&self) -> Result<&SessionSealer, HubError> {
        let read = async || self.store.lease_key().await.map(|key| SessionSealer::new(&key));
        self.session_sealer.get_or_try_init(read).await
    }

    /// Logs that a worker sent seals that this hub did not make for it.
    pub(super) fn log_forged(&self, worker: &str, leases: usize) {
        if leases > 0
            && let Some(suppressed) = self.forgeries.try_acquire()
        {
            tracing::warn!(worker, leases, suppressed, "refused leases that were not granted to this sender's token");
        }
    }

    /// Returns all metrics in the OpenMetrics text format.
    ///
    /// # Errors
    /// The store cannot count the jobs.
    pub(crate) async fn metrics_text(&self) -> Result<String, HubError> {
        self.metrics.refresh(&*self.store, &self.workers, self.now()).await?;
        self.request_metrics.text()
    }

    /// The counters of what was to be exported and was not.
    pub(crate) fn dropped_telemetry(&self) -> &DropCounters {
        self.metrics.dropped_telemetry()
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// When the hub's clock will show this time, provided that it is not set meanwhile.
    pub(super) fn instant_of(&self, at: Timestamp) -> Instant {
        Instant::now() + Duration::from_millis(at.since_ms(self.now()))
    }
}
