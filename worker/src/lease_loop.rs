//! Leases jobs whenever some can be admitted, and starts a task for each.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bue_client::{Backoff, ClientError, HubClient};
use bue_model::wire::{LeaseBatch, LeaseRequest};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::{Admission, Permit};
use crate::config::WorkerConfig;
use crate::job::JobRunner;

/// The milliseconds that the hub may hold a request while there are no jobs. Long enough to cost nothing, short enough for proxies that
/// close silent connections after a minute.
const LONG_POLL_MS: u64 = 30_000;

/// The time for an answer that is in flight when the worker shuts down. A hub that has jobs answers sooner.
const LAST_ANSWER_TIMEOUT: Duration = Duration::from_secs(1);

/// Leases jobs of a hub.
pub(crate) struct LeaseLoop<'a> {
    pub(crate) config: &'a WorkerConfig,
    pub(crate) hub: &'a HubClient,
    pub(crate) runner: &'a Arc<JobRunner>,
    pub(crate) admission: &'a Admission,
    /// The tasks of running jobs.
    pub(crate) jobs: &'a TaskTracker,
    pub(crate) shutdown: &'a CancellationToken,
}

impl LeaseLoop<'_> {
    /// Leases and starts jobs until `shutdown`, or until the worker's slots are closed.
    pub(crate) async fn run(&self) {
        let mut backoff = Backoff::default();
        while let Some(Some(permits)) = self.shutdown.run_until_cancelled(self.admission.acquire()).await {
            let request = self.request(permits.len());
            let mut answer = pin!(self.hub.lease(&request));
            match self.shutdown.run_until_cancelled(answer.as_mut()).await {
                None => return self.release_last_answer(answer, permits).await,
                Some(Ok(batch)) => {
                    backoff.reset();
                    self.start(batch, permits);
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "failed to lease jobs from the hub; trying again");
                    self.shutdown.run_until_cancelled(backoff.wait()).await;
                }
            }
        }
    }

    fn request(&self, count: usize) -> LeaseRequest {
        LeaseRequest {
            worker: self.config.name.clone(),
            scopes: self.config.scopes.clone(),
            reverse: self.config.reverse,
            count: u32::try_from(count).unwrap_or(u32::MAX),
            wait_ms: LONG_POLL_MS,
            anti_starvation_interval: self.config.anti_starvation_interval,
            abilities: self.config.abilities.clone(),
        }
    }

    fn start(&self, batch: LeaseBatch, permits: Vec<Permit>) {
        self.runner.held_leases.set_lease_ms(batch.lease_ms);
        self.runner.live_logs.set_watches(batch.log_watches);
        let steps: Vec<_> = batch.steps.into_iter().map(Arc::new).collect();
        for (lease, permit) in batch.leases.into_iter().zip(permits) {
            let Some(step) = steps.get(lease.step as usize).map(Arc::clone) else {
                tracing::error!(job = %lease.job, "the hub leased a job without its step; the lease will end");
                continue;
            };
            // Added here and not in the task, so that a heartbeat sent before the task first runs includes it.
            let cancelled = self.runner.held_leases.add(lease.job, lease.token);
            self.jobs.spawn(Arc::clone(self.runner).run(lease, step, cancelled, permit));
        }
    }

    /// Releases the jobs of a request that was in flight at shutdown. Otherwise they would wait until their leases end.
    async fn release_last_answer(
        &self,
        answer: Pin<&mut impl Future<Output = Result<LeaseBatch, ClientError>>>,
        permits: Vec<Permit>,
    ) {
        let Ok(Ok(batch)) = timeout(LAST_ANSWER_TIMEOUT.min(self.config.drain), answer).await else { return };
        for (lease, permit) in batch.leases.iter().zip(permits) {
            self.runner.release(lease, permit.slot);
        }
    }
}
