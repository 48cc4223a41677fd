//! Events that decide the status of jobs.

use bue_hub::{ISOLATION_MS, MAX_RELEASES, MAX_RESETS, SUSPECT_RELEASES};

use super::{Key, Model};
use crate::random::plans::retries;

impl Model {
    pub(in crate::random) fn attempt(&self, key: &Key) -> u32 {
        self.attempts.get(key).copied().unwrap_or(0) + 1
    }

    pub(in crate::random) fn attempt_failed(&mut self, key: Key) {
        let attempt = self.attempt(&key);
        self.releases.remove(&key);
        self.attempts.insert(key.clone(), attempt);
        if attempt > retries(key.0) {
            self.failed.insert(key);
        }
    }

    /// It reported an outcome, so its releases are counted from 0 again.
    pub(in crate::random) fn pending(&mut self, key: &Key) {
        self.releases.remove(key);
    }

    /// Its lease ended without an outcome. Only a job that was alone in its worker is released more often than a suspect.
    pub(in crate::random) fn released(&mut self, key: Key, alone: bool, now: i64) {
        self.released_at.insert(key.clone(), now);
        let releases = self.releases.entry(key.clone()).or_default();
        if alone || *releases < SUSPECT_RELEASES {
            *releases += 1;
        }
        if *releases >= MAX_RELEASES {
            self.failed.insert(key);
        }
    }

    /// Returns whether a worker without jobs gets this one alone.
    pub(in crate::random) fn is_fresh_suspect(&self, key: &Key, now: i64) -> bool {
        self.releases.get(key).is_some_and(|releases| *releases >= SUSPECT_RELEASES)
            && self.released_at.get(key).is_some_and(|at| now - at < ISOLATION_MS as i64)
    }

    /// The call starts over, unless it has too often.
    pub(in crate::random) fn reset(&mut self, key: Key) {
        let chain = self.chain(&key);
        let resets = self.resets.entry(chain[0].clone()).or_default();
        if *resets >= MAX_RESETS {
            self.failed.insert(key);
            return;
        }
        *resets += 1;
        for job in chain.into_iter().filter(|(node, _)| *node <= key.0) {
            self.completed.remove(&job);
            self.forget_attempts(&job);
        }
    }

    pub(in crate::random) fn cancel(&mut self, key: Key) {
        self.cancelled.insert(key);
    }

    /// Returns the jobs of a call.
    fn chain(&self, key: &Key) -> Vec<Key> {
        let call = self.jobs[&key.0].call;
        self.jobs.values().filter(|job| job.call == call).map(|job| (job.id.0, key.1.clone())).collect()
    }

    /// Returns the first job of a call that has not ended; cancelling it cancels all after it.
    pub(in crate::random) fn front(&self, key: &Key) -> Key {
        let is_over = |job: &Key| self.completed.contains_key(job) || self.failed.contains(job);
        self.chain(key).into_iter().find(|job| !is_over(job)).expect("it is not over itself")
    }

    pub(in crate::random) fn requeue(&mut self, key: &Key) {
        self.failed.remove(key);
        self.forget_attempts(key);
    }

    fn forget_attempts(&mut self, key: &Key) {
        self.attempts.remove(key);
        self.releases.remove(key);
    }
}
