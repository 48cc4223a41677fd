//! Events that decide the status of jobs.

use bue_hub::{ISOLATION_MS, MAX_RELEASES, MAX_RESETS, SUSPECT_RELEASES};

use bue_model::RunState;

use super::{Key, Model, Status, as_run_state};
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
            self.fail(key);
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
            self.fail(key);
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
            self.fail(key);
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

    /// The run ends, if nothing outside `finally` can happen any more.
    pub(in crate::random) fn settle(&mut self) {
        let outside = self.outside(&self.statuses());
        if self.finally.is_some() && self.ending.is_none() && outside != Status::Blocked {
            self.end(as_run_state(outside));
        }
    }

    fn end(&mut self, state: RunState) {
        self.ending = Some(state);
        self.ends += 1;
    }

    /// Something outside `finally` is reset, so that the run ends once more. What failed of `finally` is cancelled.
    pub(in crate::random) fn reopen(&mut self) {
        if self.ending.take().is_none() {
            return;
        }
        for (key, status) in self.statuses() {
            if self.is_in_finally(key.0) && matches!(status, Status::Failed | Status::Stuck) {
                self.failed.remove(&key);
                self.cancelled.insert(key);
            }
        }
    }

    /// Everything that has not ended is cancelled, also `finally` if that runs already.
    pub(in crate::random) fn cancel_run(&mut self) {
        self.is_cancelled = true;
        if self.ending.is_some() {
            self.is_finally_cancelled = true;
        } else if self.finally.is_some() {
            self.end(RunState::Cancelled);
        }
    }

    /// Returns whether a cancelled run stays so.
    pub(in crate::random) fn was_cancelled(&self) -> bool {
        self.is_cancelled
    }

    /// It failed for good, so its handler is called, as if it had never been called before.
    fn fail(&mut self, key: Key) {
        if let Some(handler) = self.handler(&key) {
            self.completed.remove(&handler);
            self.cancelled.remove(&handler);
            self.forget_attempts(&handler);
            self.resets.remove(&handler);
            self.called.insert(handler);
        }
        self.failed.insert(key);
    }

    /// Returns the handler of a job.
    pub(in crate::random) fn handler(&self, key: &Key) -> Option<Key> {
        self.handlers.get(&key.0).map(|handler| (*handler, key.1.clone()))
    }

    /// It is reset, so its failure is not final any more, and the call of its handler is withdrawn.
    pub(in crate::random) fn requeue(&mut self, key: &Key) {
        self.failed.remove(key);
        self.forget_attempts(key);
        let handler = self.handler(key).filter(|handler| !self.completed.contains_key(handler));
        if let Some(handler) = handler {
            self.failed.remove(&handler);
            self.cancelled.insert(handler);
        }
    }

    fn forget_attempts(&mut self, key: &Key) {
        self.attempts.remove(key);
        self.releases.remove(key);
    }
}
