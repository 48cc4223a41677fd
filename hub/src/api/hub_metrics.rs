//! [`HubMetrics`]: the hub's numbers for those who watch it. Counted as things happen; jobs are counted by the store.

use std::sync::Arc;
use std::time::Duration;

use bue_model::Outcome;
use bue_model::wire::{ReportBatch, Verdict};
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

/// For so long jobs are not counted again, whoever asks.
const FRESH: Duration = Duration::from_secs(5);
/// What was counted. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct HubMetrics {
    leases: Counter,
    outcomes: Family<OutcomeLabels, Counter>,
    reaped: Counter,
    /// Requests for jobs, or for changes of a run, that wait.
    polls: Gauge,
    listeners: Gauge,
    workers: Gauge,
    runs: Gauge,
    jobs: Family<JobLabels, Gauge>,
    /// When jobs were counted last. Held while they are, so that they are counted once.
    counted_at: Arc<Mutex<Option<Instant>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabels {
    scope: String,
    state: &'static str,
}

/// Something that waits, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Waiting(Gauge);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl HubMetrics {
    /// All of them, registered, and the numbers of the store's commits.
    pub(crate) fn new(commits: &CommitMetrics) -> (Self, Registry) {
        let mut registry = Registry::default();
        let metrics = Self {
            leases: Counter::default(),
            outcomes: Family::default(),
            reaped: Counter::default(),
            polls: Gauge::default(),
            listeners: Gauge::default(),
            workers: Gauge::default(),
            runs: Gauge::default(),
            jobs: Family::default(),
            counted_at: Arc::default(),
        };
        registry.register("bue_leases", "Jobs given to workers", metrics.leases.clone());
        registry.register("bue_outcomes", "Reports of workers, by what they said", metrics.outcomes.clone());
        registry.register(
            "bue_reaped_jobs",
            "Jobs put back because their worker was not heard of",
            metrics.reaped.clone(),
        );
        registry.register(
            "bue_long_polls",
            "Requests that wait for work, or for a run to change",
            metrics.polls.clone(),
        );
        registry.register("bue_event_listeners", "Readers of /v1/events", metrics.listeners.clone());
        registry.register("bue_workers", "Workers heard of in the last minute by this hub", metrics.workers.clone());
        registry.register("bue_open_runs", "Runs that are not over", metrics.runs.clone());
        registry.register(
            "bue_jobs",
            "Jobs of the latest thousand open runs, by scope and state",
            metrics.jobs.clone(),
        );
        registry.register("bue_commit_seconds", "Time of one commit of the store", commits.seconds.clone());
        registry.register("bue_commit_requests", "Requests in one commit of the store", commits.requests.clone());
        (metrics, registry)
    }

    pub(crate) fn leased(&self, jobs: usize) {
        self.leases.inc_by(jobs as u64);
    }

    pub(crate) fn reaped(&self, jobs: usize) {
        self.reaped.inc_by(jobs as u64);
    }

    pub(crate) fn poll(&self) -> Waiting {
        waiting(&self.polls)
    }

    pub(crate) fn listener(&self) -> Waiting {
        waiting(&self.listeners)
    }

    /// What reports said, in the order of their batch.
    pub(crate) fn reported(&self, outcomes: &[&'static str], verdicts: &[Verdict]) {
        for (outcome, verdict) in outcomes.iter().zip(verdicts) {
            let outcome = if *verdict == Verdict::LeaseLost { "stale" } else { outcome };
            self.outcomes.get_or_create(&OutcomeLabels { outcome }).inc();
        }
    }

    /// Counts what is not counted as it happens.
    pub(crate) async fn count(&self, store: &dyn JobStore, workers: &Workers) -> Result<(), HubError> {
        let mut counted_at = self.counted_at.lock().await;
        if counted_at.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        let tally = store.tally().await?;
        self.workers.set(signed(workers.known() as u64));
        self.runs.set(signed(tally.open_runs));
        self.jobs.clear();
        for (scope, counts) in tally.scopes {
            for (state, count) in counts.by_state() {
                self.jobs.get_or_create(&JobLabels { scope: scope.clone(), state }).set(signed(count));
            }
        }
        *counted_at = Some(Instant::now());
        Ok(())
    }
}

/// What each report of a batch says.
pub(crate) fn outcomes_of(batch: &ReportBatch) -> Vec<&'static str> {
    let name = |outcome: &Outcome| match outcome {
        Outcome::Completed { .. } => "completed",
        Outcome::Pending { .. } => "pending",
        Outcome::Reset { .. } => "reset",
        Outcome::Cancelled => "cancelled",
        Outcome::Failed(_) => "failed",
        Outcome::Released { .. } => "released",
        Outcome::Keyed { .. } => "keyed",
    };
    batch.reports.iter().map(|report| name(&report.outcome)).collect()
}

fn waiting(gauge: &Gauge) -> Waiting {
    gauge.inc();
    Waiting(gauge.clone())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
