//! [`HubMetrics`]: the hub's metrics. Most are counted as things happen; jobs are counted by the store when metrics are read.

use std::sync::Arc;
use std::time::Duration;

use bue_model::wire::{ReportBatch, Verdict};
use bue_model::{Outcome, Timestamp, WallPart};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::api::workers::Workers;
use crate::commit_metrics::CommitMetrics;
use crate::error::HubError;
use crate::store::JobStore;
use crate::telemetry::drops::DropCounters;

/// Counts of jobs are reused for this long, however often metrics are read.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5);

/// The metrics. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct HubMetrics {
    leases: Counter,
    outcomes: Family<OutcomeLabels, Counter>,
    reaped: Counter,
    scheduled: Counter,
    /// Requests that wait for jobs or for a run to change.
    long_polls: Gauge,
    event_listeners: Gauge,
    workers: Gauge,
    worker_walls: Family<WallLabels, Gauge>,
    open_runs: Gauge,
    jobs: Family<JobLabels, Gauge>,
    dropped_telemetry: DropCounters,
    /// When the store last counted the jobs. Locked during the count, so that concurrent requests share one.
    counted_at: Arc<Mutex<Option<Instant>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WallLabels {
    part: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    scope: String,
    state: &'static str,
}

/// Counts one in a gauge until it is dropped.
#[derive(Debug)]
pub(crate) struct GaugeGuard(Gauge);

impl GaugeGuard {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for GaugeGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl HubMetrics {
    /// Creates and registers the metrics, with those of the store's commits.
    pub(crate) fn new(commits: &CommitMetrics) -> (Self, Registry) {
        let mut registry = Registry::default();
        let metrics = Self {
            leases: Counter::default(),
            outcomes: Family::default(),
            reaped: Counter::default(),
            scheduled: Counter::default(),
            long_polls: Gauge::default(),
            event_listeners: Gauge::default(),
            workers: Gauge::default(),
            worker_walls: Family::default(),
            open_runs: Gauge::default(),
            jobs: Family::default(),
            dropped_telemetry: Family::default(),
            counted_at: Arc::default(),
        };
        registry.register("bue_leases", "Jobs leased to workers", metrics.leases.clone());
        registry.register("bue_outcomes", "Reports of workers, by outcome", metrics.outcomes.clone());
        registry.register("bue_reaped_jobs", "Jobs requeued because their lease expired", metrics.reaped.clone());
        registry.register("bue_scheduled_runs", "Runs that schedules started here", metrics.scheduled.clone());
        registry.register(
            "bue_long_polls",
            "Requests that wait for jobs or for a run to change",
            metrics.long_polls.clone(),
        );
        registry.register("bue_event_listeners", "Open streams of /v1/events", metrics.event_listeners.clone());
        registry.register(
            "bue_workers",
            "Workers that this hub heard from in the last minute",
            metrics.workers.clone(),
        );
        registry.register(
            "bue_worker_walls",
            "Workers of the last minute with this part of the wall around sandboxes",
            metrics.worker_walls.clone(),
        );
        registry.register("bue_open_runs", "Runs that have not ended", metrics.open_runs.clone());
        registry.register(
            "bue_jobs",
            "Jobs of the latest thousand open runs, by scope and state",
            metrics.jobs.clone(),
        );
        registry.register(
            "bue_dropped_telemetry",
            "Spans, exports of metrics and lines of StatsD that were not sent",
            metrics.dropped_telemetry.clone(),
        );
        registry.register("bue_commit_seconds", "Duration of a commit of the store", commits.seconds.clone());
        registry.register("bue_commit_requests", "Requests in a commit of the store", commits.requests.clone());
        (metrics, registry)
    }

    /// The counters of what was to be exported and was not.
    pub(super) const fn dropped_telemetry(&self) -> &DropCounters {
        &self.dropped_telemetry
    }

    pub(super) fn record_leases(&self, jobs: usize) {
        self.leases.inc_by(jobs as u64);
    }

    pub(super) fn record_reaped(&self, jobs: usize) {
        self.reaped.inc_by(jobs as u64);
    }

    pub(super) fn record_scheduled(&self, runs: u32) {
        self.scheduled.inc_by(u64::from(runs));
    }

    /// Counts a long poll until the guard is dropped.
    pub(super) fn long_poll(&self) -> GaugeGuard {
        GaugeGuard::new(&self.long_polls)
    }

    /// Counts an event stream until the guard is dropped.
    pub(super) fn event_listener(&self) -> GaugeGuard {
        GaugeGuard::new(&self.event_listeners)
    }

    /// Counts the outcomes of a batch, given in the order of its reports.
    pub(super) fn record_outcomes(&self, outcomes: &[&'static str], verdicts: &[Verdict]) {
        for (outcome, verdict) in outcomes.iter().zip(verdicts) {
            let outcome = if *verdict == Verdict::LeaseLost { "stale" } else { outcome };
            self.outcomes.get_or_create(&OutcomeLabels { outcome }).inc();
        }
    }

    /// Updates the metrics that are not counted as things happen.
    pub(super) async fn refresh(
        &self,
        store: &dyn JobStore,
        workers: &Workers,
        now: Timestamp,
    ) -> Result<(), HubError> {
        let mut counted_at = self.counted_at.lock().await;
        if counted_at.is_some_and(|at| at.elapsed() < REFRESH_INTERVAL) {
            return Ok(());
        }
        let tally = store.tally(now).await?;
        self.workers.set(gauge_value(workers.count_here() as u64));
        for part in WallPart::ALL {
            let workers = gauge_value(workers.count_with_wall(part) as u64);
            self.worker_walls.get_or_create(&WallLabels { part: part.name() }).set(workers);
        }
        self.open_runs.set(gauge_value(tally.open_runs));
        self.jobs.clear();
        for (scope, counts) in tally.scopes {
            for (state, count) in counts {
                let labels = JobLabels { scope: scope.clone(), state: state.name() };
                self.jobs.get_or_create(&labels).set(gauge_value(count));
            }
        }
        *counted_at = Some(Instant::now());
        Ok(())
    }
}

/// Returns the label of each report's outcome.
pub(super) fn outcome_labels(batch: &ReportBatch) -> Vec<&'static str> {
    let label = |outcome: &Outcome| match outcome {
        Outcome::Completed { .. } => "completed",
        Outcome::Pending { .. } => "pending",
        Outcome::Reset { .. } => "reset",
        Outcome::Cancelled => "cancelled",
        Outcome::Failed(_) => "failed",
        Outcome::Released { .. } => "released",
        Outcome::Keyed { .. } => "keyed",
    };
    batch.reports.iter().map(|report| label(&report.outcome)).collect()
}

fn gauge_value(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
