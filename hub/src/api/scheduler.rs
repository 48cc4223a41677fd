//! The scheduler: starts the runs that are due.
//!
//! Every hub has one. It sleeps until the next schedule has its turn, or until a schedule was changed, here or by another hub,
//! and calls [`JobStore::fire_schedules`](crate::store::JobStore::fire_schedules), which carries out turns in one transaction. The
//! state of schedules is in the store alone, so it makes no difference which hub takes a turn, or where one was killed.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::api::hub::Hub;

/// Pause after the store failed.
const ERROR_BACKOFF: Duration = Duration::from_secs(1);
/// The longest sleep: after that, a clock that was set forward or a lost notification is noticed.
const MAX_SLEEP: Duration = Duration::from_secs(10);
/// The shortest sleep while another hub takes the turns that are due.
const MIN_SLEEP: Duration = Duration::from_millis(100);

/// Starts due runs until the hub shuts down.
pub(crate) async fn fire_due_schedules(hub: Hub) {
    let mut changes = hub.store.notifications().subscribe_schedules();
    let mut closing = hub.closing.subscribe();
    while !*closing.borrow() {
        changes.mark_unchanged();
        let next = match hub.store.fire_schedules(hub.now()).await {
            // there may be more that are due; other requests have had their turns in between
            Ok(fired) if fired.turns > 0 => {
                hub.metrics.record_scheduled(fired.started);
                continue;
            }
            Ok(fired) => {
                let longest = Instant::now() + MAX_SLEEP;
                let next = fired.next_at.map_or(longest, |at| hub.instant_of(at).min(longest));
                next.max(Instant::now() + MIN_SLEEP)
            }
            Err(error) => {
                tracing::error!(%error, "failed to look for due schedules");
                sleep(ERROR_BACKOFF).await;
                continue;
            }
        };
        tokio::select! {
            biased;
            _ = closing.changed() => {}
            _ = changes.changed() => {}
            () = sleep_until(next) => {}
        }
    }
}
