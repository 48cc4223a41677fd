//! [`HeldLeases`]: the leases that this worker holds, and the means to cancel their jobs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bue_model::wire::LEASE_MS;
use bue_model::{JobId, Token};
use tokio::sync::watch;

/// Why a running job is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CancelReason {
    /// Its lease is lost: nothing is reported.
    LeaseLost,
    /// The worker is draining: the lease is released.
    Draining,
}

/// A lease, and the channel that cancels its job.
#[derive(Debug)]
struct HeldLease {
    token: Token,
    cancel: watch::Sender<Option<CancelReason>>,
}

/// All leases that this worker holds.
#[derive(Debug)]
pub(crate) struct HeldLeases {
    jobs: Mutex<HashMap<JobId, HeldLease>>,
    lease_ms: AtomicU64,
}

impl Default for HeldLeases {
    /// No leases, and [`LEASE_MS`] until the hub has sent its own value.
    fn default() -> Self {
        Self { jobs: Mutex::default(), lease_ms: AtomicU64::new(LEASE_MS) }
    }
}

impl HeldLeases {
    /// Adds a lease. The receiver gets the reason when its job is cancelled.
    pub(crate) fn add(&self, job: JobId, token: Token) -> watch::Receiver<Option<CancelReason>> {
        let (cancel, cancelled) = watch::channel(None);
        self.lock().insert(job, HeldLease { token, cancel });
        cancelled
    }

    /// Removes a lease, unless the job has been leased again under another token.
    pub(crate) fn remove(&self, job: JobId, token: Token) {
        let mut jobs = self.lock();
        if jobs.get(&job).is_some_and(|lease| lease.token == token) {
            jobs.remove(&job);
        }
    }

    /// Returns the leases, for a heartbeat.
    pub(crate) fn leases(&self) -> Vec<(JobId, Token)> {
        self.lock().iter().map(|(job, lease)| (*job, lease.token)).collect()
    }

    /// Returns whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Returns the number of leases.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Cancels a job, if it is here.
    pub(crate) fn cancel(&self, job: JobId, reason: CancelReason) {
        if let Some(lease) = self.lock().get(&job) {
            lease.cancel.send_replace(Some(reason));
        }
    }

    /// Cancels all jobs.
    pub(crate) fn cancel_all(&self, reason: CancelReason) {
        for lease in self.lock().values() {
            lease.cancel.send_replace(Some(reason));
        }
    }

    /// Sets how long leases last, as the hub has sent it.
    pub(crate) fn set_lease_ms(&self, lease_ms: u64) {
        self.lease_ms.store(lease_ms.max(1), Ordering::Relaxed);
    }

    /// Returns how long a lease lasts, in milliseconds.
    pub(crate) fn lease_ms(&self) -> u64 {
        self.lease_ms.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, HeldLease>> {
        // No code panics while it holds this lock; even if some did, the map would be intact.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_lease_does_not_remove_a_new_one() {
        let leases = HeldLeases::default();
        let _first = leases.add(JobId(1), Token::unsealed(1));
        let _second = leases.add(JobId(1), Token::unsealed(2));
        leases.remove(JobId(1), Token::unsealed(1));
        assert_eq!(leases.leases(), [(JobId(1), Token::unsealed(2))]);
        leases.remove(JobId(1), Token::unsealed(2));
        assert!(leases.leases().is_empty());
    }

    #[tokio::test]
    async fn a_cancelled_job_gets_the_reason() {
        let leases = HeldLeases::default();
        let mut cancelled = leases.add(JobId(1), Token::unsealed(1));
        leases.cancel(JobId(1), CancelReason::LeaseLost);
        cancelled.changed().await.expect("the sender lives");
        assert_eq!(*cancelled.borrow(), Some(CancelReason::LeaseLost));
    }
}
