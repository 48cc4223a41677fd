//! Asks the hub for jobs whenever there is room, and starts a task for each.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bue_client::HubClient;
use bue_model::wire::{LeaseBatch, LeaseRequest};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::WorkerConfig;
use crate::admission::{Admission, Place};
use crate::job::JobRunner;

/// Milliseconds the hub may hold a request for jobs while there are none. Long enough to cost nothing, short enough for
/// proxies that cut silent connections after a minute.
const WAIT_MS: u64 = 30_000;

/// Between two tries to reach a hub that does not answer.
const HUB_AWAY: Duration = Duration::from_secs(1);

/// For an answer that is under way when the worker is to stop. A hub that has jobs answers sooner.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// Leases and starts jobs until `shutdown`.
pub(crate) async fn run(
    config: &WorkerConfig,
    hub: &HubClient,
    runner: &Arc<JobRunner>,
    admission: &Admission,
    jobs: &TaskTracker,
    shutdown: &CancellationToken,
) {
    loop {
        let room = tokio::select! {
            room = admission.room() => room,
            () = shutdown.cancelled() => return,
        };
        let Some(room) = room else { return };
        let request = request(config, room.len());
        let mut asked = pin!(hub.lease(&request));
        let answer = tokio::select! {
            answer = &mut asked => answer,
            () = shutdown.cancelled() => {
                // Jobs that the hub gave away a moment ago would wait for their leases to end.
                if let Ok(Ok(batch)) = timeout(LAST_ANSWER.min(config.drain), asked).await {
                    give_back(&batch, runner, room);
                }
                return;
            }
        };
        match answer {
            Ok(batch) => start(batch, room, runner, jobs),
            Err(error) => {
                tracing::warn!(%error, "failed to ask the hub for jobs; asking again");
                tokio::select! {
                    () = sleep(HUB_AWAY) => {}
                    () = shutdown.cancelled() => return,
                }
            }
        }
    }
}

fn request(config: &WorkerConfig, count: usize) -> LeaseRequest {
    LeaseRequest {
        worker: config.name.clone(),
        scopes: config.scopes.clone(),
        reverse: config.reverse,
        count: u32::try_from(count).unwrap_or(u32::MAX),
        wait_ms: WAIT_MS,
    }
}

/// Jobs that were not begun go back.
fn give_back(batch: &LeaseBatch, runner: &JobRunner, room: Vec<Place>) {
    for (lease, place) in batch.leases.iter().zip(room) {
        runner.give_back(lease, place.slot);
    }
}

fn start(batch: LeaseBatch, room: Vec<Place>, runner: &Arc<JobRunner>, jobs: &TaskTracker) {
    runner.held.set_lease_ms(batch.lease_ms);
    let steps: Vec<_> = batch.steps.into_iter().map(Arc::new).collect();
    for (lease, place) in batch.leases.into_iter().zip(room) {
        let Some(step) = steps.get(lease.step as usize).map(Arc::clone) else {
            tracing::error!(job = %lease.job, "the hub leased a job of a step it did not send; its lease will end");
            continue;
        };
        // Noted here and not in the task, so that a heartbeat sent before the task first runs includes it.
        let stopped = runner.held.take(lease.job, lease.token);
        jobs.spawn(Arc::clone(runner).run(lease, step, stopped, place));
    }
}
