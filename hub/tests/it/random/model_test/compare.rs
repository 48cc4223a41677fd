//! Comparing the hub with the model.

use std::collections::BTreeMap;

use bue_model::{JobId, RunState};

use super::ModelTest;
use crate::random::model::{Key, Status, Statuses};
use crate::random::plans::number_of;

impl ModelTest {
    /// Compares the run and its counts with the model, which must agree at any time.
    pub(in crate::random) async fn compare(&self) {
        let (view, statuses) = (self.world.view(self.run).await, self.model.statuses());
        assert_eq!(view.state, self.model.run_state(&statuses));
        assert_eq!(view.finished_at.is_some(), view.state != RunState::Running);
        let mut counts: BTreeMap<(u32, Status), u64> = BTreeMap::new();
        statuses.iter().for_each(|((node, _), status)| *counts.entry((*node, *status)).or_default() += 1);
        for step in &view.steps {
            let node = number_of(&step.name);
            let count = |status| counts.get(&(node, status)).copied().unwrap_or(0);
            let running = self.holdings.keys().filter(|key| key.0 == node).count() as u64;
            let found = [step.blocked, step.available, step.running, step.completed, step.failed, step.cancelled];
            let expected = [
                count(Status::Blocked) + count(Status::Stuck),
                count(Status::Open) - running,
                running,
                count(Status::Completed),
                count(Status::Failed),
                count(Status::Cancelled),
            ];
            assert_eq!(found, expected, "{}", step.name);
        }
    }

    /// Compares the view of a job, which has its status and what it is stuck behind.
    pub(super) async fn compare_job(&self, job: JobId, key: &Key, statuses: &Statuses) {
        let (view, status) = (self.world.job(job).await, statuses[key]);
        assert_eq!((number_of(&view.step), view.state), (key.0, status.as_job_state(self.holdings.contains_key(key))));
        let is_waiting = matches!(status, Status::Blocked | Status::Stuck);
        assert_eq!(view.waiting_for, if is_waiting { self.model.waits_for(key, statuses) } else { 0 }, "{key:?}");
        let behind = view.blocked_by.map(|by| self.model.failed.contains(&self.keys[&by]));
        assert_eq!(behind, (status == Status::Stuck).then_some(true), "{key:?}");
    }
}
