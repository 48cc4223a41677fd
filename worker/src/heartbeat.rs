//! Tells the hub, in one request for all jobs, that this worker lives; stops the jobs that are not its own any more.

use std::sync::Arc;
use std::time::Duration;

use bue_client::HubClient;
use bue_model::wire::Heartbeat;

use crate::held::{Held, Stop};

/// Sends heartbeats for ever, four in the life of a lease, so that two may get lost.
pub(crate) async fn run(worker: String, hub: Arc<HubClient>, held: Arc<Held>) {
    loop {
        tokio::time::sleep(Duration::from_millis(held.lease_ms() / 4)).await;
        let leases = held.leases();
        if leases.is_empty() {
            continue;
        }
        match hub.heartbeat(&Heartbeat { worker: worker.clone(), leases }).await {
            Ok(answer) => answer.lost.into_iter().for_each(|job| held.stop(job, Stop::Lost)),
            Err(error) => tracing::warn!(%error, "failed to send a heartbeat; trying again"),
        }
    }
}
