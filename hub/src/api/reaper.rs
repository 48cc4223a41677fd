//! The reaper: what happens when a worker dies.
//!
//! 1. A worker holds each job under a lease, which expires [`lease_ms`](crate::store::JobStore::lease_ms) after it was granted.
//!    While the worker lives, its heartbeats extend all of its leases, several times per lease. A worker that shuts down in
//!    order returns its leases itself, with `Outcome::Released`, and nothing here is needed.
//! 2. If the worker crashes, loses power or is cut off, its heartbeats stop. No connection is watched: an expired lease is the
//!    only sign of death, so it makes no difference how the worker died.
//! 3. [`reap_expired_leases`] sleeps until the earliest lease expires and calls [`JobStore::reap`](crate::store::JobStore::reap). In one transaction, the
//!    store makes every job whose lease has expired available again at once. Nothing of the attempt is counted as the job's
//!    failure: `attempts` stays, `releases` grows by one.
//! 4. Waiting workers are notified, and one of them leases the job under a new, larger token (a fencing token).
//! 5. If the first worker was only cut off, its report arrives late and carries the old token. The store changes nothing and
//!    answers `Verdict::LeaseLost`; the worker's next heartbeat lists the job as lost, and it stops the job. So a job may run
//!    more than once, but exactly one outcome is recorded.
//! 6. A job that is released three times in a row is leased alone from then on, because a neighbour may have been the cause. A
//!    job that is released [`MAX_RELEASES`](crate::store::MAX_RELEASES) times in a row, the last two times alone, fails: it seems
//!    to kill its workers.
//!
//! If the hub dies, no lease is lost: leases are in the database. Extensions may be in memory only, so after a start the reaper
//! waits for one lease period, in which living workers send a heartbeat. Several hubs on one database may all reap: the store
//! checks each row again under a lock.
//!
//! The rule for a row is in `jobs/changes/release.rs`; `docs/reliability.md` names the tests.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::api::hub::Hub;

/// Pause after the store failed.
const ERROR_BACKOFF: Duration = Duration::from_secs(1);

/// Makes jobs available again whose leases have expired, until the hub shuts down.
///
/// Sleeps until the next lease expires. A new lease never expires before the known ones do, so only a hub without any lease
/// waits for the notification that one was granted.
pub(crate) async fn reap_expired_leases(hub: Hub) {
    let mut leases = hub.store.notifications().subscribe_leases();
    let mut closing = hub.closing.subscribe();
    let mut next_expiry = Some(Instant::now() + Duration::from_millis(hub.store.lease_ms()));
    while !*closing.borrow() {
        tokio::select! {
            biased;
            () = sleep_until(next_expiry.unwrap_or_else(Instant::now)), if next_expiry.is_some() => {}
            _ = leases.changed(), if next_expiry.is_none() => {}
            _ = closing.changed() => continue,
        }
        leases.mark_unchanged();
        match hub.store.reap(hub.now()).await {
            Ok(reaped) => {
                hub.metrics.record_reaped(reaped.jobs.len());
                if !reaped.jobs.is_empty() {
                    tracing::warn!(jobs = reaped.jobs.len(), "requeued jobs whose leases expired");
                }
                next_expiry = reaped.next_at.map(|at| hub.instant_of(at));
            }
            Err(error) => {
                tracing::error!(%error, "failed to look for expired leases");
                sleep(ERROR_BACKOFF).await;
            }
        }
    }
}
