//! Fails jobs that have not started although their `!expires` has passed, also when no worker asks for jobs.
//!
//! Apart from the reaper, because that one waits after a start of the hub, and an expiry need not wait for anything. Several hubs on
//! one database may all do this: the store checks each row again under a lock. The rule for a row is in
//! `jobs/changes/expire.rs`.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::api::hub::Hub;

/// Pause after the store failed.
const ERROR_BACKOFF: Duration = Duration::from_secs(1);

/// Fails jobs when they expire, until the hub shuts down.
///
/// Sleeps until the next available job expires, or until the store has further jobs that may expire: they may do so earlier.
pub(crate) async fn fail_expired_jobs(hub: Hub) {
    let mut expiries = hub.store.notifications().subscribe_expiries();
    let mut closing = hub.closing.subscribe();
    let mut next_expiry = Some(Instant::now());
    while !*closing.borrow() {
        tokio::select! {
            biased;
            _ = closing.changed() => continue,
            () = sleep_until(next_expiry.unwrap_or_else(Instant::now)), if next_expiry.is_some() => {}
            _ = expiries.changed() => {}
        }
        expiries.mark_unchanged();
        match hub.store.expire(hub.now()).await {
            Ok(expired) => {
                if !expired.jobs.is_empty() {
                    tracing::warn!(jobs = expired.jobs.len(), "failed jobs that had not started before they expired");
                }
                next_expiry = expired.next_at.map(|at| hub.instant_of(at));
            }
            Err(error) => {
                tracing::error!(%error, "failed to look for expired jobs");
                next_expiry = Some(Instant::now());
                sleep(ERROR_BACKOFF).await;
            }
        }
    }
}
