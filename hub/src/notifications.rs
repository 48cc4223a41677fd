//! [`Notifications`]: how a store wakes those who wait for a change. A notification is only a hint to read again.

use bue_model::RunId;
use bue_model::wire::WorkerView;
use tokio::sync::{broadcast, watch};

use crate::commit_metrics::CommitMetrics;

/// Run notifications that a subscriber may fall behind before it misses some.
const RUN_BACKLOG: usize = 1024;

/// Messages about workers that a subscriber may fall behind. Other hubs repeat what it missed.
const WORKER_BACKLOG: usize = 256;

/// What other hubs of the same database say about workers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkerNews {
    /// These workers have sent requests to another hub, or to this one.
    Seen(Vec<WorkerView>),
    /// A hub has started, and does not know any workers yet.
    HubStarted,
}

/// A store's channels of changes, and the metrics of its commits.
#[derive(Debug)]
pub struct Notifications {
    commit_metrics: CommitMetrics,
    work: broadcast::Sender<()>,
    leases: watch::Sender<u64>,
    schedules: watch::Sender<u64>,
    expiries: watch::Sender<u64>,
    runs: broadcast::Sender<RunId>,
    workers: broadcast::Sender<WorkerNews>,
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            commit_metrics: CommitMetrics::default(),
            work: broadcast::Sender::new(1),
            leases: watch::Sender::new(0),
            schedules: watch::Sender::new(0),
            expiries: watch::Sender::new(0),
            runs: broadcast::Sender::new(RUN_BACKLOG),
            workers: broadcast::Sender::new(WORKER_BACKLOG),
        }
    }
}

impl Notifications {
    /// Wakes when jobs become ready, or when the time at which the next one will be ready has changed. Wakes the subscriber
    /// that has waited longest first.
    #[must_use]
    pub fn subscribe_work(&self) -> broadcast::Receiver<()> {
        self.work.subscribe()
    }

    /// Wakes when leases are granted.
    #[must_use]
    pub fn subscribe_leases(&self) -> watch::Receiver<u64> {
        self.leases.subscribe()
    }

    /// Wakes when schedules are created, changed or resumed.
    #[must_use]
    pub fn subscribe_schedules(&self) -> watch::Receiver<u64> {
        self.schedules.subscribe()
    }

    /// Wakes when jobs that may expire become available.
    #[must_use]
    pub fn subscribe_expiries(&self) -> watch::Receiver<u64> {
        self.expiries.subscribe()
    }

    /// Receives the id of every run that changes.
    #[must_use]
    pub fn subscribe_runs(&self) -> broadcast::Receiver<RunId> {
        self.runs.subscribe()
    }

    /// Receives what other hubs say about workers.
    #[must_use]
    pub fn subscribe_workers(&self) -> broadcast::Receiver<WorkerNews> {
        self.workers.subscribe()
    }

    /// The metrics of the store's commits.
    #[must_use]
    pub fn commit_metrics(&self) -> &CommitMetrics {
        &self.commit_metrics
    }

    /// Notifies that there may be work.
    pub fn notify_work(&self) {
        // an error means that there are no subscribers
        let _ = self.work.send(());
    }

    /// Notifies that leases were granted.
    pub fn notify_leases(&self) {
        self.leases.send_modify(|epoch| *epoch = epoch.wrapping_add(1));
    }

    /// Notifies that schedules were created, changed or resumed.
    pub fn notify_schedules(&self) {
        self.schedules.send_modify(|epoch| *epoch = epoch.wrapping_add(1));
    }

    /// Notifies that jobs that may expire became available.
    pub fn notify_expiries(&self) {
        self.expiries.send_modify(|epoch| *epoch = epoch.wrapping_add(1));
    }

    /// Notifies that a run changed.
    pub fn notify_run(&self, run: RunId) {
        // an error means that there are no subscribers
        let _ = self.runs.send(run);
    }

    /// Notifies of what another hub says about workers.
    pub fn notify_workers(&self, news: WorkerNews) {
        // an error means that there are no subscribers
        let _ = self.workers.send(news);
    }
}
