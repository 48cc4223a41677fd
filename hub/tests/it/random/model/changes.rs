//! Events that decide the status of jobs.

use bue_hub::{ISOLATION_MS, MAX_RELEASES, MAX_RESETS, SUSPECT_RELEASES};

use bue_model::{Input, JobNode, RunState};

use super::{Key, Model, Status, Unrestorable, as_run_state};
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

    /// What is in the rounds that a source has started is cancelled with it, also what failed.
    pub(in crate::random) fn cancel(&mut self, key: Key) {
        for inner in self.unfinished_in_rounds(&key) {
            self.failed.remove(&inner);
            self.cancelled.insert(inner);
        }
        self.cancelled.insert(key);
    }

    /// Returns the jobs in the rounds of a source that were started while it ran, apart from those that have completed.
    pub(in crate::random) fn unfinished_in_rounds(&self, source: &Key) -> Vec<Key> {
        if self.elements_streamed(source) == 0 {
            return Vec::new();
        }
        let owners: Vec<u32> =
            self.loops.values().filter(|each| each.over.0 == source.0).map(|each| each.id.0).collect();
        let is_inside = |(node, path): &Key| {
            path.starts_with(&source.1)
                && self.around[node].get(source.1.len()).is_some_and(|owner| owners.contains(owner))
        };
        let all = self.statuses().into_iter().filter(|(key, status)| {
            self.is_job(key.0) && is_inside(key) && !matches!(status, Status::Completed | Status::Cancelled)
        });
        all.map(|(key, _)| key).collect()
    }

    /// Elements of a list were reported before its job ended.
    pub(in crate::random) fn stream(&mut self, key: &Key, count: u32, name: String) {
        let first = self.elements_streamed(key);
        self.streamed.entry(key.clone()).or_default().push((first, count, name));
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
        let is_open = |status: &Status| matches!(status, Status::Blocked | Status::Open | Status::Stuck);
        let open = self.statuses().into_iter().filter(|(_, status)| is_open(status));
        self.ended.extend(open.map(|(key, _)| key));
        self.is_cancelled = true;
        if self.ending.is_some() {
            self.is_finally_cancelled = true;
        } else if self.finally.is_some() {
            self.end(RunState::Cancelled);
        }
    }

    /// Returns whether the run was cancelled, and not reset since.
    pub(in crate::random) fn was_cancelled(&self) -> bool {
        self.is_cancelled
    }

    /// Returns what a reset of a cancelled run brings back: the jobs and loops outside of `finally` that were cancelled with it, or if
    /// there are none and nothing failed there, those inside. Handlers are called again when their jobs fail again.
    pub(in crate::random) fn cancelled_with_run(&self) -> Vec<Key> {
        let back = self.ended.iter().filter(|key| !self.is_handler(key.0)).cloned();
        let (inside, outside): (Vec<Key>, Vec<Key>) = back.partition(|key| self.is_in_finally(key.0));
        if self.ends_again() { outside } else { inside }
    }

    /// Returns whether a reset of the cancelled run lets something outside of `finally` go on.
    fn ends_again(&self) -> bool {
        let is_back = |key: &&Key| !self.is_in_finally(key.0) && !self.is_handler(key.0);
        self.ended.iter().any(|key| is_back(&key)) || self.resettable().iter().any(|key| !self.is_in_finally(key.0))
    }

    /// A cancelled run goes on.
    pub(in crate::random) fn reset_cancelled_run(&mut self) {
        let restored = self.cancelled_with_run();
        if self.ends_again() {
            self.reopen();
        }
        self.go_on(&restored);
    }

    /// The run is not cancelled any more; what is not restored stays as it is.
    fn go_on(&mut self, restored: &[Key]) {
        (self.is_cancelled, self.is_finally_cancelled) = (false, false);
        let ended = std::mem::take(&mut self.ended);
        self.lost.extend(ended);
        self.restore(restored);
    }

    fn restore(&mut self, restored: &[Key]) {
        for key in restored {
            self.cancelled.remove(key);
            self.lost.remove(key);
            self.forget_attempts(key);
        }
    }

    /// Returns the failed jobs that a reset of the run requeues, unless they are cancelled by that of another one.
    pub(in crate::random) fn resettable(&self) -> Vec<Key> {
        self.failed.iter().filter(|key| !self.is_handler(key.0) && !self.is_around_lost(key)).cloned().collect()
    }

    /// Returns whether a failed job is in a loop that was cancelled with the run and does not go on.
    pub(in crate::random) fn is_around_lost(&self, key: &Key) -> bool {
        let owner = self.around[&key.0].last().map(|owner| (*owner, key.1[..key.1.len() - 1].to_vec()));
        owner.is_some_and(|owner| self.lost.contains(&owner))
            || (self.is_finally_cancelled && self.is_in_finally(key.0))
    }

    /// Returns what a reset of a cancelled job brings back: the rest of its call, and what depends on it and on nothing else that is
    /// cancelled.
    pub(in crate::random) fn restorable(&self, key: &Key) -> Result<Vec<Key>, Unrestorable> {
        let statuses = self.statuses();
        let is_cancelled = |key: &Key| statuses.get(key) == Some(&Status::Cancelled);
        let start = self.chain(key).into_iter().find(is_cancelled).expect("it is cancelled itself");
        if let Some(owner) = self.around[&start.0].last() {
            let around = (*owner, start.1[..start.1.len() - 1].to_vec());
            let is_open = match self.finally.as_ref().is_some_and(|finally| finally.id.0 == *owner) {
                true => self.ending.is_some() && start.1[0] + 1 == self.ends && self.is_finally_open(&statuses),
                false => matches!(statuses[&around], Status::Blocked | Status::Stuck),
            };
            if !is_open {
                return Err(Unrestorable::LoopEnded);
            }
        }
        let is_lost = |parent: Key| matches!(statuses[&parent], Status::Cancelled | Status::Failed | Status::Stuck);
        if self.parents(&start).any(is_lost) {
            return Err(Unrestorable::Behind);
        }
        let mut restored = vec![start];
        let mut at = 0;
        while let Some(from) = restored.get(at).cloned() {
            at += 1;
            for child in self.block_of(from.0) {
                let child = (child, from.1.clone());
                let inner = self.loops.get(&child.0);
                let depends = match inner {
                    Some(each) => each.over.0 == from.0,
                    None => {
                        self.is_job(child.0) && !self.is_handler(child.0) && self.parents(&child).any(|one| one == from)
                    }
                };
                let stays = |parent: &Key| is_cancelled(parent) && !restored.contains(parent);
                let has_other = match inner {
                    Some(each) => stays(&(each.over.0, child.1.clone())),
                    None => depends && self.parents(&child).any(|parent| stays(&parent)),
                };
                if depends && is_cancelled(&child) && !has_other && !restored.contains(&child) {
                    restored.push(child);
                }
            }
            // the rounds that it started while it ran are gone
            let is_over = |each: &&bue_model::ForEach| each.over.0 == from.0 && !each.body.is_empty();
            if self.loops.values().any(|each| is_over(&each)) && self.elements_streamed(&from) > 0 {
                return Err(Unrestorable::Rounds);
            }
            // no loop of the block may have started in which something uses it
            let is_used = |job: &JobNode| {
                let uses = |input: &Input| matches!(input, Input::Node(used) | Input::Gather(used) if used.0 == from.0);
                job.inputs.iter().any(uses)
            };
            let users = self.jobs.values().filter(|job| is_used(job));
            let around = users.filter_map(|job| self.loops.get(self.around[&job.id.0].get(from.1.len())?));
            if around.into_iter().any(|each| self.rounds(&(each.over.0, from.1.clone())) > 0) {
                return Err(Unrestorable::Rounds);
            }
        }
        Ok(restored)
    }

    /// A cancelled job is reset, so a cancelled run goes on.
    pub(in crate::random) fn reset_cancelled_job(&mut self, key: &Key, restored: &[Key]) {
        if self.is_in_finally(key.0) {
            self.restore(restored);
        } else {
            self.reopen();
            self.go_on(restored);
        }
    }

    /// Returns whether `finally` runs, or has failed.
    fn is_finally_open(&self, statuses: &super::Statuses) -> bool {
        !self.is_finally_cancelled && matches!(self.last_end(statuses), Status::Blocked | Status::Stuck)
    }

    /// It failed for good, so its handler is called, as if it had never been called before.
    fn fail(&mut self, key: Key) {
        if let Some(handler) = self.handler(&key) {
            self.completed.remove(&handler);
            self.cancelled.remove(&handler);
            self.lost.remove(&handler);
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
