//! [`Notifications`]: how a store wakes those who wait for a change. A notification is only a hint to read again.

use bue_model::RunId;
use tokio::sync::{broadcast, watch};

use crate::commit_metrics::CommitMetrics;

/// Run notifications that a subscriber may fall behind before it misses some.
const RUN_BACKLOG: usize = 1024;

/// A store's channels of changes, and the metrics of its commits.
#[derive(Debug)]
pub struct Notifications {
    commit_metrics: CommitMetrics,
    work: broadcast::Sender<()>,
    leases: watch::Sender<u64>,
    runs: broadcast::Sender<RunId>,
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            commit_metrics: CommitMetrics::default(),
            work: broadcast::Sender::new(1),
            leases: watch::Sender::new(0),
            runs: broadcast::Sender::new(RUN_BACKLOG),
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

    /// Receives the id of every run that changes.
    #[must_use]
    pub fn subscribe_runs(&self) -> broadcast::Receiver<RunId> {
        self.runs.subscribe()
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

    /// Notifies that a run changed.
    pub fn notify_run(&self, run: RunId) {
        // an error means that there are no subscribers
        let _ = self.runs.send(run);
    }
}
