//! Tells the other hubs of the database which workers use this hub, and learns of theirs.

use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, sleep_until};

use crate::api::hub::Hub;
use crate::notifications::WorkerNews;

/// Between two announcements of the same workers. A worker counts as gone after a minute, so three may be lost.
const ANNOUNCE_INTERVAL: Duration = Duration::from_secs(15);
/// Workers that appear within this time are announced together.
const COALESCE_WINDOW: Duration = Duration::from_millis(50);

/// Exchanges workers with other hubs until the hub shuts down. The store of a single hub ignores the announcements.
pub(crate) async fn share_workers(hub: Hub) {
    let mut news = hub.store.notifications().subscribe_workers();
    let mut closing = hub.closing.subscribe();
    let mut next = Instant::now() + ANNOUNCE_INTERVAL;
    while !*closing.borrow() {
        let soon = Instant::now() + COALESCE_WINDOW;
        tokio::select! {
            biased;
            _ = closing.changed() => {}
            () = sleep_until(next) => {
                hub.store.announce_workers(&hub.workers.seen_here(hub.now()));
                next = Instant::now() + ANNOUNCE_INTERVAL;
            }
            () = hub.workers.news() => next = next.min(soon),
            received = news.recv() => match received {
                Ok(WorkerNews::Seen(workers)) => workers.into_iter().for_each(|worker| hub.workers.record_announced(worker)),
                // what was missed comes again
                Ok(WorkerNews::HubStarted) | Err(RecvError::Lagged(_)) => next = next.min(soon),
                Err(RecvError::Closed) => return,
            }
        }
    }
}
