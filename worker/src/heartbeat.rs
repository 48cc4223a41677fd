//! Sends heartbeats, one request for all jobs, and cancels the jobs whose leases are lost.

use std::sync::Arc;
use std::time::Duration;

use bue_client::HubClient;
use bue_model::wire::Heartbeat;

use crate::held_leases::{CancelReason, HeldLeases};
use crate::live_log::LiveLogs;

/// Heartbeats in the life of a lease: two may get lost without losing it.
const HEARTBEATS_PER_LEASE: u64 = 4;

/// Sends heartbeats forever.
pub(crate) async fn run(worker: String, hub: Arc<HubClient>, held_leases: Arc<HeldLeases>, live_logs: LiveLogs) {
    loop {
        tokio::time::sleep(Duration::from_millis(held_leases.lease_ms() / HEARTBEATS_PER_LEASE)).await;
        let leases = held_leases.leases();
        if leases.is_empty() {
            continue;
        }
        match hub.heartbeat(&Heartbeat { worker: worker.clone(), leases }).await {
            Ok(answer) => {
                answer.lost.into_iter().for_each(|job| held_leases.cancel(job, CancelReason::LeaseLost));
                live_logs.set_watches(answer.log_watches);
            }
            Err(error) => tracing::warn!(%error, "failed to send a heartbeat; trying again"),
        }
    }
}
