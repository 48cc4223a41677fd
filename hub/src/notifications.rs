//! [`Notifications`]: how a store wakes those who wait for a change. A notification is only a hint to read again.

use std::sync::{Arc, Mutex, PoisonError};

use bue_model::RunId;
use bue_model::wire::WorkerView;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{broadcast, mpsc, watch};

use crate::commit_metrics::CommitMetrics;
use crate::jobs::ended::Ended;

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
    ended: Mutex<Vec<EndedWatcher>>,
}

/// Where ended attempts and runs go.
#[derive(Debug)]
struct EndedWatcher {
    queue: mpsc::Sender<Arc<Ended>>,
    /// Counts those that find the queue full.
    dropped: Counter,
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
            ended: Mutex::default(),
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

    /// Receives the attempts and runs that transactions of this hub end. Those that find this many in the queue are counted and
    /// dropped: no transaction ever waits for a receiver.
    pub(crate) fn watch_ended(&self, capacity: usize, dropped: Counter) -> mpsc::Receiver<Arc<Ended>> {
        let (queue, receiver) = mpsc::channel(capacity);
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(EndedWatcher { queue, dropped });
        receiver
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

    /// Passes on what a transaction of this hub has ended.
    pub(crate) fn notify_ended(&self, ended: Vec<Ended>) {
        if ended.is_empty() {
            return;
        }
        let mut watchers = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| !watcher.queue.is_closed());
        if watchers.is_empty() {
            return;
        }
        for ended in ended.into_iter().map(Arc::new) {
            for EndedWatcher { queue, dropped } in watchers.iter() {
                if queue.try_send(Arc::clone(&ended)).is_err() {
                    dropped.inc();
                }
            }
        }
    }

    /// Notifies of what another hub says about workers.
    pub fn notify_workers(&self, news: WorkerNews) {
        // an error means that there are no subscribers
        let _ = self.workers.send(news);
    }
}
