//! Users cancel and reset jobs.

use bue_hub::HubError;
use bue_model::wire::Changed;
use bue_model::{JobId, RunState};

use super::{ModelTest, nth};
use crate::random::events::Answer;
use crate::random::model::{Key, Status, Unrestorable};

impl ModelTest {
    /// Returns a job that exists, in any state.
    async fn any_job(&self, which: usize, wanted: impl Fn(&Key) -> bool) -> Option<(JobId, Key, Status)> {
        let wanted = self.keys.iter().filter(|(_, key)| wanted(key));
        let (job, key) = nth(wanted, which).or_else(|| nth(self.keys.iter(), which))?;
        let statuses = self.model.statuses();
        self.compare_job(*job, key, &statuses).await;
        Some((*job, key.clone(), statuses[key]))
    }

    /// Cancels the remaining jobs of a call, and all that depends on them.
    pub(super) async fn cancel_job(&mut self, which: usize) {
        let Some((job, key, status)) = self.any_job(which, |_| true).await else { return };
        let changed = self.world.store.cancel_job(self.world.time(), job).await;
        if matches!(status, Status::Completed | Status::Failed) {
            let state = status.as_job_state(false);
            assert!(
                matches!(changed, Err(HubError::JobEnded { state: reported, .. }) if reported == state),
                "{changed:?}"
            );
            return;
        }
        let before = self.cancelled_jobs();
        if status != Status::Cancelled {
            let front = self.model.front(&key);
            self.lose(&front);
            self.cancel_source(front);
        }
        self.expect_cancelled(changed, before);
        self.model.settle();
    }

    /// Cancels a job, and with it the rounds that it has started.
    pub(super) fn cancel_source(&mut self, key: Key) {
        for inner in self.model.unfinished_in_rounds(&key) {
            self.lose(&inner);
        }
        self.model.cancel(key);
    }

    /// Checks the number of jobs that were not cancelled before. Those that do not exist yet may not be counted.
    fn expect_cancelled(&self, changed: Result<Changed, HubError>, before: u64) {
        let (changed, jobs) = (changed.expect("cancelled").jobs, self.cancelled_jobs() - before);
        assert!(changed == jobs || self.is_long && changed < jobs, "{changed} of {jobs}");
    }

    fn cancelled_jobs(&self) -> u64 {
        let statuses = self.model.statuses();
        let jobs = statuses.iter().filter(|((node, _), _)| self.model.is_job(*node));
        jobs.filter(|(_, status)| **status == Status::Cancelled).count() as u64
    }

    pub(super) async fn reset_job(&mut self, which: usize) {
        let Some((job, key, status)) = self.any_job(which, |key| self.model.failed.contains(key)).await else { return };
        let changed = self.world.store.reset_job(self.world.time(), job).await;
        match status {
            Status::Failed => self.reset_failed_job(&key, changed),
            Status::Cancelled if !self.model.is_handler(key.0) => self.reset_cancelled_job(&key, changed),
            _ => assert!(matches!(changed, Err(HubError::JobNotFailed { .. })), "{changed:?}"),
        }
    }

    fn reset_failed_job(&mut self, key: &Key, changed: Result<Changed, HubError>) {
        let is_inside = self.model.is_in_finally(key.0);
        if self.model.was_cancelled() && !is_inside {
            assert!(matches!(changed, Err(HubError::RunCancelled(_))), "{changed:?}");
        } else if self.model.is_around_lost(key) {
            assert!(matches!(changed, Err(HubError::LoopEnded { .. })), "{changed:?}");
        } else if !is_inside && self.model.is_ending(&self.model.statuses()) {
            assert!(matches!(changed, Err(HubError::RunEnding(_))), "{changed:?}");
        } else {
            if !is_inside {
                self.model.reopen();
            }
            assert_eq!(changed.expect("reset"), Changed { jobs: 1 });
            self.requeue(key);
        }
    }

    /// Resets a cancelled job with the rest of its call and what depends on it.
    fn reset_cancelled_job(&mut self, key: &Key, changed: Result<Changed, HubError>) {
        let is_ending = !self.model.is_in_finally(key.0) && self.model.is_ending(&self.model.statuses());
        match self.model.restorable(key) {
            Err(Unrestorable::Behind) => assert!(matches!(changed, Err(HubError::BehindEnded { .. })), "{changed:?}"),
            Err(Unrestorable::LoopEnded) => assert!(matches!(changed, Err(HubError::LoopEnded { .. })), "{changed:?}"),
            _ if is_ending => assert!(matches!(changed, Err(HubError::RunEnding(_))), "{changed:?}"),
            Err(Unrestorable::Rounds) => assert!(matches!(changed, Err(HubError::LoopEnded { .. })), "{changed:?}"),
            Ok(restored) => {
                let jobs = restored.iter().filter(|key| self.model.is_job(key.0)).count() as u64;
                assert_eq!(changed.expect("reset"), Changed { jobs });
                self.model.reset_cancelled_job(key, &restored);
                self.model.settle();
            }
        }
    }

    pub(in crate::random) async fn reset_run(&mut self) {
        let changed = self.world.store.reset_run(self.world.time(), self.run).await;
        let is_outside = |key: &Key| !self.model.is_in_finally(key.0);
        let is_ending = self.model.is_ending(&self.model.statuses());
        let mut restored = 0;
        if self.model.was_cancelled() && is_ending {
            assert!(matches!(changed, Err(HubError::RunEnding(_))), "{changed:?}");
            return;
        } else if self.model.was_cancelled() {
            restored = self.model.cancelled_with_run().iter().filter(|key| self.model.is_job(key.0)).count() as u64;
            self.model.reset_cancelled_run();
        } else if self.model.resettable().iter().any(is_outside) {
            if is_ending {
                assert!(matches!(changed, Err(HubError::RunEnding(_))), "{changed:?}");
                return;
            }
            self.model.reopen();
        }
        let failed = self.model.resettable();
        assert_eq!(changed.expect("reset").jobs, restored + failed.len() as u64);
        failed.iter().for_each(|key| self.requeue(key));
    }

    /// A handler that runs meanwhile is lost.
    fn requeue(&mut self, key: &Key) {
        if let Some(handler) = self.model.handler(key) {
            self.lose(&handler);
        }
        self.model.requeue(key);
    }

    /// Cancels all that has not ended. What has stays as it is.
    pub(in crate::random) async fn cancel_run(&mut self) {
        // what is cancelled at another time does not come back with the run
        self.world.now += 1;
        let (before, state) = (self.cancelled_jobs(), self.model.run_state(&self.model.statuses()));
        let changed = self.world.store.cancel_run(self.world.time(), self.run).await;
        if state == RunState::Running {
            self.model.cancel_run();
        }
        if self.model.was_cancelled() {
            let held: Vec<Key> = self.holdings.keys().cloned().collect();
            held.iter().for_each(|key| self.lose(key));
            self.expect_cancelled(changed, before);
            self.world.now += 1;
            let late: Vec<_> = (0..self.reported.len()).map(|which| (which, Answer::Again)).collect();
            self.report(&late).await;
        }
    }
}
