//! Jobs are leased, extended and lost.

use bue_model::JobId;

use super::{Holding, LEASE, ModelTest, nth};
use crate::contract::handlers::input_of;
use crate::random::model::{ANY, Key, Status};
use crate::random::plans::number_of;
use crate::world::{LeasedJob, World, completed};

impl ModelTest {
    /// Every leased job is open, has no other lease, and has its parents' values.
    pub(super) async fn lease(&mut self, count: u32) -> usize {
        let holds_nothing = self.holdings.is_empty();
        let leased = self.world.lease(count).await;
        let may_be_isolated = holds_nothing && leased.len() == 1;
        let (number, statuses) = (leased.len(), self.model.statuses());
        for held in leased {
            let key = self.key_of(&held);
            assert_eq!(statuses.get(&key), Some(&Status::Open), "{key:?}");
            if !self.model.is_handler(key.0) {
                let (given, expected) = (held.arguments(), self.model.arguments(&key));
                let is_equal = |(given, expected): (&String, &String)| given == expected || expected == ANY;
                let are_equal = given.len() == expected.len() && given.iter().zip(&expected).all(is_equal);
                assert!(are_equal, "{key:?}: {given:?}, expected {expected:?}");
            }
            assert_eq!(held.lease.attempt, self.model.attempt(&key), "{key:?}");
            self.learn_ids(held.job(), &key);
            let end = self.world.now + LEASE;
            let isolated = may_be_isolated && self.model.is_fresh_suspect(&key, self.world.now);
            let other = self.holdings.insert(key.clone(), Holding { held, end, isolated });
            assert!(other.is_none(), "{key:?} is leased twice");
        }
        number
    }

    /// Finds the node by the step's name, and the rounds by the first argument, which begins with them, or is an element of
    /// a list that does.
    fn key_of(&self, held: &LeasedJob) -> Key {
        let node = number_of(held.name());
        if self.model.block_of(0).contains(&node) {
            return (node, Vec::new());
        }
        if self.model.is_top_of_finally(node) {
            return (node, vec![self.model.ends - 1]);
        }
        if self.model.is_handler(node) {
            let failed = failed_job(held);
            return (node, self.keys[&failed].1.clone());
        }
        let argument = &held.arguments()[0];
        let text = argument.split('/').nth(1).and_then(|rest| rest.split('#').next()).expect("rounds");
        let mut path: Vec<u32> = text.split('.').filter(|round| !round.is_empty()).map(number).collect();
        if let Some((_, element)) = argument.split_once('+') {
            let (first, index) = element.trim_end_matches(']').split_once('[').expect("an element");
            path.push(number(first) + number(index));
        }
        (node, path)
    }

    /// The ids of jobs that were instantiated together are consecutive. No id is ever reused.
    fn learn_ids(&mut self, job: JobId, key: &Key) {
        let nodes = self.model.block_of(key.0);
        let at = nodes.iter().position(|node| *node == key.0).expect("itself");
        let first = job.0 - at as u64;
        let known: Vec<_> = nodes.into_iter().zip(first..).filter(|(node, _)| self.exists(*node, key)).collect();
        for (node, id) in known {
            let key = (node, key.1.clone());
            assert_eq!(*self.keys.entry(JobId(id)).or_insert_with(|| key.clone()), key, "one id for two jobs");
        }
    }

    /// Returns whether a node of the same block is a job that exists. A handler does once it was called.
    fn exists(&self, node: u32, key: &Key) -> bool {
        self.model.is_job(node) && (node == key.0 || !self.model.is_handler(node))
    }

    pub(super) async fn heartbeat(&mut self, which: usize) {
        let Some(key) = nth(self.holdings.keys(), which).cloned() else { return };
        let holding = self.holdings.get_mut(&key).expect("it is held");
        assert_eq!(self.world.heartbeat(&[&holding.held]).await, []);
        holding.end = self.world.now + LEASE;
    }

    /// Exactly the leases that were not extended in time expire.
    pub(super) async fn reap(&mut self) {
        let now = self.world.now;
        let ended: Vec<Key> =
            self.holdings.iter().filter(|(_, holding)| holding.end <= now).map(|(key, _)| key.clone()).collect();
        let mut expected: Vec<JobId> = ended.iter().map(|key| self.holdings[key].held.job()).collect();
        let mut reaped = self.world.reap().await;
        expected.sort();
        reaped.sort();
        assert_eq!(reaped, expected);
        for key in ended {
            let isolated = self.holdings[&key].isolated;
            self.lose(&key);
            self.model.released(key, isolated, now);
        }
        self.model.settle();
    }

    /// The lease has ended, and reports under it are stale.
    pub(super) fn lose(&mut self, key: &Key) {
        if let Some(Holding { held, .. }) = self.holdings.remove(key) {
            self.reported.push((held, completed("late"), false));
        }
    }

    /// Restarts the hub on the same database. It has forgotten earlier heartbeats, and workers send new ones.
    pub(super) async fn restart(&mut self) {
        let (nothing, now) = (World::sqlite(), self.world.now);
        drop(std::mem::replace(&mut self.world, nothing));
        self.world = World { now, ..World::new((self.open)().await) };
        let held: Vec<&LeasedJob> = self.holdings.values().map(|holding| &holding.held).collect();
        assert_eq!(self.world.heartbeat(&held).await, []);
        self.holdings.values_mut().for_each(|holding| holding.end = now + LEASE);
    }
}

/// Returns the job for whose failure a handler was called.
fn failed_job(held: &LeasedJob) -> JobId {
    let failure: serde_json::Value = serde_json::from_str(&input_of(held)).expect("JSON");
    JobId(failure["job"].as_u64().expect("a number"))
}

fn number(text: &str) -> u32 {
    text.parse().expect("a number")
}
