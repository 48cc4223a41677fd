//! Leases jobs whenever some can be admitted, and starts a task for each.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bue_client::{Backoff, ClientError, HubClient};
use bue_model::wire::{LeaseBatch, LeaseRequest};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::{Admission, Permit};
use crate::config::{EndConditions, WorkerConfig};
use crate::job::JobRunner;
use crate::status::StatusSource;

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
    pub(crate) status: &'a StatusSource,
    pub(crate) shutdown: &'a CancellationToken,
}

impl LeaseLoop<'_> {
    /// Leases and starts jobs until `shutdown`, until the worker's slots are closed, or until it ends by itself.
    pub(crate) async fn run(&self) {
        let mut backoff = Backoff::default();
        let mut remaining = Remaining::new(self.config.end);
        while !remaining.is_over()
            && let Some(Some(permits)) = self.shutdown.run_until_cancelled(self.admission.acquire()).await
        {
            remaining.before_request(self.runner.held_leases.is_empty());
            let request = self.request(remaining.limit(permits.len()), remaining.wait_ms());
            let mut answer = pin!(self.hub.lease(&request));
            match self.shutdown.run_until_cancelled(answer.as_mut()).await {
                None => return self.release_last_answer(answer, permits).await,
                Some(Ok(batch)) => {
                    backoff.reset();
                    remaining.after_answer(batch.leases.len());
                    self.start(batch, permits);
                }
                Some(Err(error)) => {
                    tracing::warn!(%error, "failed to lease jobs from the hub; trying again");
                    remaining.after_error();
                    self.shutdown.run_until_cancelled(backoff.wait()).await;
                }
            }
        }
    }

    fn request(&self, count: usize, wait_ms: u64) -> LeaseRequest {
        LeaseRequest {
            worker: self.config.name.clone(),
            scopes: self.config.scopes.clone(),
            reverse: self.config.reverse,
            count: u32::try_from(count).unwrap_or(u32::MAX),
            wait_ms,
            anti_starvation_interval: self.config.anti_starvation_interval,
            abilities: self.config.abilities.clone(),
            status: self.status.status(),
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

/// What is left until the worker ends by itself.
struct Remaining {
    end: EndConditions,
    /// When the first of the requests was sent that found nothing, while the worker held no job.
    idle_since: Option<Instant>,
}

impl Remaining {
    fn new(end: EndConditions) -> Self {
        Self { end, idle_since: None }
    }

    fn is_over(&self) -> bool {
        let idle = self.idle_since.map(|since| since.elapsed());
        self.end.jobs == Some(0) || self.end.idle.is_some_and(|limit| idle >= Some(limit))
    }

    /// Returns how many of so many jobs it may still lease.
    fn limit(&self, jobs: usize) -> usize {
        self.end.jobs.map_or(jobs, |left| usize::try_from(left).unwrap_or(usize::MAX).min(jobs))
    }

    /// Returns how long the hub may hold the next request: not longer than until the worker has been idle for long enough.
    fn wait_ms(&self) -> u64 {
        let Some(limit) = self.end.idle else { return LONG_POLL_MS };
        let left = limit.saturating_sub(self.idle_since.map_or(Duration::ZERO, |since| since.elapsed()));
        // not 0, which would be a request that does not wait
        u64::try_from(left.as_millis()).unwrap_or(u64::MAX).clamp(1, LONG_POLL_MS)
    }

    /// A request is about to be sent.
    fn before_request(&mut self, is_idle: bool) {
        if is_idle {
            self.idle_since.get_or_insert_with(Instant::now);
        } else {
            self.idle_since = None;
        }
    }

    /// The hub leased so many jobs.
    fn after_answer(&mut self, jobs: usize) {
        if jobs > 0 {
            self.idle_since = None;
        }
        if let Some(left) = &mut self.end.jobs {
            *left = left.saturating_sub(jobs as u64);
        }
    }

    /// The hub did not answer: nobody knows whether it has jobs.
    fn after_error(&mut self) {
        self.idle_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle(seconds: u64) -> Remaining {
        Remaining::new(EndConditions { idle: Some(Duration::from_secs(seconds)), jobs: None })
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_is_idle_while_it_holds_no_job_and_the_hub_has_none() {
        let mut remaining = idle(30);
        assert_eq!(remaining.wait_ms(), 30_000);
        remaining.before_request(true);
        tokio::time::advance(Duration::from_secs(20)).await;
        remaining.after_answer(0);
        assert!(!remaining.is_over());
        remaining.before_request(true);
        assert_eq!(remaining.wait_ms(), 10_000);
        tokio::time::advance(Duration::from_secs(10)).await;
        assert!(remaining.is_over());
        // a job, an unknown answer, or a job that is still held begins the time anew
        remaining.after_answer(1);
        assert!(!remaining.is_over());
        for interrupt in [Remaining::after_error, |remaining: &mut Remaining| remaining.before_request(false)] {
            remaining.before_request(true);
            tokio::time::advance(Duration::from_secs(29)).await;
            interrupt(&mut remaining);
            remaining.before_request(true);
            tokio::time::advance(Duration::from_secs(29)).await;
            assert!(!remaining.is_over());
            remaining.after_answer(1);
        }
    }

    #[test]
    fn a_worker_leases_no_more_jobs_than_it_is_to_run() {
        let mut remaining = Remaining::new(EndConditions { idle: None, jobs: Some(5) });
        assert_eq!((remaining.limit(3), remaining.limit(9), remaining.wait_ms()), (3, 5, LONG_POLL_MS));
        remaining.after_answer(3);
        assert_eq!((remaining.limit(9), remaining.is_over()), (2, false));
        remaining.after_answer(2);
        assert!(remaining.is_over());
        assert!(!Remaining::new(EndConditions::default()).is_over());
    }
}
