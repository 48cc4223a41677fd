//! Jobs are given away, kept and lost.

use bue_model::JobId;

use super::{Game, Holding, LEASE, nth};
use crate::random::model::{Key, Status};
use crate::random::plans::number_of;
use crate::world::{Held, World, completed};

impl Game {
    /// Every job that is given away is open, not in anybody's hands, and has its parents' values.
    pub(super) async fn lease(&mut self, count: u32) -> usize {
        let leased = self.world.lease(count).await;
        let (number, statuses) = (leased.len(), self.model.statuses());
        for held in leased {
            let key = self.key_of(&held);
            assert_eq!(statuses.get(&key), Some(&Status::Open), "{key:?}");
            assert_eq!(held.arguments(), self.model.arguments(&key), "{key:?}");
            assert_eq!(held.lease.attempt, self.model.attempt(&key), "{key:?}");
            self.learn_ids(held.job(), &key);
            let end = self.world.now + LEASE;
            let other = self.holdings.insert(key.clone(), Holding { held, end });
            assert!(other.is_none(), "{key:?} is given away twice");
        }
        number
    }

    /// The node by the step's name, the rounds by the first argument, which begins with them, or is an element of a list
    /// that does.
    fn key_of(&self, held: &Held) -> Key {
        let node = number_of(held.name());
        if self.model.neighbours(0).contains(&node) {
            return (node, Vec::new());
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

    /// The ids of jobs that were made together follow each other, as people see them. No id is ever another job's.
    fn learn_ids(&mut self, job: JobId, key: &Key) {
        let nodes = self.model.neighbours(key.0);
        let at = nodes.iter().position(|node| *node == key.0).expect("itself");
        let first = job.0 - at as u64;
        for (node, id) in nodes.into_iter().zip(first..).filter(|(node, _)| self.model.is_job(*node)) {
            let key = (node, key.1.clone());
            assert_eq!(*self.keys.entry(JobId(id)).or_insert_with(|| key.clone()), key, "one id for two jobs");
        }
    }

    pub(super) async fn heartbeat(&mut self, which: usize) {
        let Some(key) = nth(self.holdings.keys(), which).cloned() else { return };
        let holding = self.holdings.get_mut(&key).expect("it is held");
        assert_eq!(self.world.heartbeat(&[&holding.held]).await, []);
        holding.end = self.world.now + LEASE;
    }

    /// Exactly the leases that were not extended in time end.
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
            self.lose(&key);
            self.model.released(key);
        }
    }

    /// The lease is over, and what is said under it comes too late.
    pub(super) fn lose(&mut self, key: &Key) {
        if let Some(Holding { held, .. }) = self.holdings.remove(key) {
            self.past.push((held, completed("late"), false));
        }
    }

    /// Another hub on the same database. Workers tell it what they hold; it has forgotten what it was told before.
    pub(super) async fn restart(&mut self) {
        let (nothing, now) = (World::sqlite(), self.world.now);
        drop(std::mem::replace(&mut self.world, nothing));
        self.world = World { now, ..World::new((self.open)().await) };
        let held: Vec<&Held> = self.holdings.values().map(|holding| &holding.held).collect();
        assert_eq!(self.world.heartbeat(&held).await, []);
        self.holdings.values_mut().for_each(|holding| holding.end = now + LEASE);
    }
}

fn number(text: &str) -> u32 {
    text.parse().expect("a number")
}
