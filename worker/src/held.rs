//! The leases this worker holds right now, and how to stop their jobs.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bue_model::wire::LEASE_MS;
use bue_model::{JobId, Token};
use tokio::sync::watch;

/// Why a job is stopped from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Its lease is lost: say nothing about it.
    Lost,
    /// The worker drains: give it back.
    GiveBack,
}

/// The token of each job's lease, and the way to stop it.
type Jobs = HashMap<JobId, (Token, watch::Sender<Option<Stop>>)>;

/// All held leases.
#[derive(Debug)]
pub(crate) struct Held {
    jobs: Mutex<Jobs>,
    lease_ms: AtomicU64,
}

impl Default for Held {
    fn default() -> Self {
        Self { jobs: Mutex::default(), lease_ms: AtomicU64::new(LEASE_MS) }
    }
}

impl Held {
    /// Notes a lease; the receiver tells when to stop.
    pub(crate) fn take(&self, job: JobId, token: Token) -> watch::Receiver<Option<Stop>> {
        let (stop, stopped) = watch::channel(None);
        self.lock().insert(job, (token, stop));
        stopped
    }

    /// Forgets a lease, unless the job has been leased again under another token meanwhile.
    pub(crate) fn let_go(&self, job: JobId, token: Token) {
        let mut jobs = self.lock();
        if jobs.get(&job).is_some_and(|(held, _)| *held == token) {
            jobs.remove(&job);
        }
    }

    /// What a heartbeat says.
    pub(crate) fn leases(&self) -> Vec<(JobId, Token)> {
        self.lock().iter().map(|(job, (token, _))| (*job, *token)).collect()
    }

    /// Stops one job.
    pub(crate) fn stop(&self, job: JobId, why: Stop) {
        if let Some((_, stop)) = self.lock().get(&job) {
            stop.send_replace(Some(why));
        }
    }

    /// Stops every job.
    pub(crate) fn stop_all(&self, why: Stop) {
        for (_, stop) in self.lock().values() {
            stop.send_replace(Some(why));
        }
    }

    /// What the hub said of the length of leases.
    pub(crate) fn set_lease_ms(&self, lease_ms: u64) {
        self.lease_ms.store(lease_ms.max(1), Ordering::Relaxed);
    }

    /// Milliseconds a lease lasts.
    pub(crate) fn lease_ms(&self) -> u64 {
        self.lease_ms.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Jobs> {
        // No code panics while it holds this lock; if it did, the map is still whole.
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_lease_does_not_let_go_of_a_new_one() {
        let held = Held::default();
        let _first = held.take(JobId(1), Token(1));
        let _second = held.take(JobId(1), Token(2));
        held.let_go(JobId(1), Token(1));
        assert_eq!(held.leases(), [(JobId(1), Token(2))]);
        held.let_go(JobId(1), Token(2));
        assert!(held.leases().is_empty());
    }

    #[tokio::test]
    async fn a_stopped_job_hears_why() {
        let held = Held::default();
        let mut stopped = held.take(JobId(1), Token(1));
        held.stop(JobId(1), Stop::Lost);
        stopped.changed().await.expect("the sender lives");
        assert_eq!(*stopped.borrow(), Some(Stop::Lost));
    }
}
