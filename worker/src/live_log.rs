//! [`LiveLogs`]: sends what steps print to the hub while they run, but only for jobs that somebody follows.
//!
//! At most one part of a job's log is on its way, so what waits here is bounded by the number of jobs. One request is in flight, so a
//! slow hub slows the sending, but not the steps: they print into their own bounded logs.

use std::sync::Arc;
use std::time::Duration;

use bue_client::HubClient;
use bue_model::log::{LogBatch, LogEntry, LogWatch, MAX_LOG_ENTRIES};
use tokio::sync::{mpsc, oneshot, watch};

/// Parts in the queue; the jobs with further ones wait.
const MAX_QUEUED: usize = 256;

/// Between two requests. Lines that come meanwhile share the next one.
const REQUEST_INTERVAL: Duration = Duration::from_millis(20);

/// A part of a log, and who waits until it is sent.
#[derive(Debug)]
struct QueuedEntry {
    entry: LogEntry,
    sent: oneshot::Sender<()>,
}

/// What is followed, and the queue of what is sent. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct LiveLogs {
    queue: mpsc::Sender<QueuedEntry>,
    watches: Arc<watch::Sender<Vec<LogWatch>>>,
}

/// Sends what is in the queue.
#[derive(Debug)]
pub(crate) struct LiveLogSender {
    queue: mpsc::Receiver<QueuedEntry>,
    watches: Arc<watch::Sender<Vec<LogWatch>>>,
}

impl LiveLogs {
    /// Creates an empty queue. Without a running [`LiveLogSender`] nothing is followed.
    pub(crate) fn new() -> (Self, LiveLogSender) {
        let (queue, receiver) = mpsc::channel(MAX_QUEUED);
        let watches = Arc::new(watch::Sender::new(Vec::new()));
        (Self { queue, watches: Arc::clone(&watches) }, LiveLogSender { queue: receiver, watches })
    }

    /// Returns what is followed, and its changes.
    pub(crate) fn watches(&self) -> watch::Receiver<Vec<LogWatch>> {
        self.watches.subscribe()
    }

    /// Sets what is followed, as the hub has sent it.
    pub(crate) fn set_watches(&self, watches: Vec<LogWatch>) {
        set_watches(&self.watches, watches);
    }

    /// Sends a part of a log, and returns when the hub has it or cannot be reached.
    pub(crate) async fn send(&self, entry: LogEntry) {
        let (sent, done) = oneshot::channel();
        if self.queue.send(QueuedEntry { entry, sent }).await.is_ok() {
            // an error means that the sender has ended
            let _ = done.await;
        }
    }
}

impl LiveLogSender {
    /// Sends until all [`LiveLogs`] are gone.
    pub(crate) async fn run(mut self, worker: String, hub: Arc<HubClient>) {
        let mut queued = Vec::new();
        while self.queue.recv_many(&mut queued, MAX_LOG_ENTRIES).await > 0 {
            let (entries, waiting): (Vec<_>, Vec<_>) = queued.drain(..).map(|part| (part.entry, part.sent)).unzip();
            let watches = hub.send_logs(&LogBatch { worker: worker.clone(), entries }).await;
            // without the hub nobody follows anything; the readers see from the positions that lines are missing
            let watches = watches.inspect_err(|error| tracing::warn!(%error, "failed to send what steps print"));
            set_watches(&self.watches, watches.unwrap_or_default());
            drop(waiting);
            tokio::time::sleep(REQUEST_INTERVAL).await;
        }
    }
}

/// Wakes the jobs only if something has changed. The hub sends the watches in any order.
fn set_watches(current: &watch::Sender<Vec<LogWatch>>, mut watches: Vec<LogWatch>) {
    watches.sort_unstable_by_key(|watch| watch.id);
    current.send_if_modified(|current| {
        let has_changed = *current != watches;
        *current = watches;
        has_changed
    });
}
