//! [`FairPlaces`]: a number of places that groups of tasks share.
//!
//! A group may have as many places as are free at that moment, and waits if it has as many already. One greedy group thus gets half of
//! them, two get a third each, and the next group always finds some. Groups that wait are served in turn, one place each. With a single
//! place, that is turns of one.

use core::fmt;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// A group, as its user numbers it.
pub(crate) type Group = u128;

/// Places. Clones share them.
#[derive(Clone)]
pub(crate) struct FairPlaces(Arc<Shared>);

struct Shared {
    max: LazyLock<usize, Box<dyn FnOnce() -> usize + Send>>,
    places: Mutex<Places>,
}

#[derive(Debug, Default)]
struct Places {
    taken: usize,
    /// Places by group. Groups without places are not in it.
    by_group: HashMap<Group, usize>,
    /// What waits, by group, and the groups in the order in which they are served.
    waiting: HashMap<Group, VecDeque<oneshot::Sender<Place>>>,
    turns: VecDeque<Group>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: FairPlaces,
    group: Group,
}

impl fmt::Debug for FairPlaces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FairPlaces").field("places", &*self.lock()).finish_non_exhaustive()
    }
}

impl FairPlaces {
    /// As many places as `max` returns when the first one is taken.
    pub(crate) fn new(max: impl FnOnce() -> usize + Send + 'static) -> Self {
        Self(Arc::new(Shared { max: LazyLock::new(Box::new(max)), places: Mutex::default() }))
    }

    /// Returns the number of places.
    pub(crate) fn max(&self) -> usize {
        *self.0.max
    }

    /// Waits for a place. Cancel safe. Never returns `None` while this exists.
    pub(crate) async fn take(&self, group: Group) -> Option<Place> {
        let max = self.max();
        let receiver = {
            let mut places = self.lock();
            if places.take(group, max) {
                return Some(self.place(group));
            }
            places.wait(group)
        };
        receiver.await.ok()
    }

    fn place(&self, group: Group) -> Place {
        Place { places: self.clone(), group }
    }

    fn lock(&self) -> MutexGuard<'_, Places> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn release(&self, group: Group) {
        let max = self.max();
        let mut places = self.lock();
        places.give_back(group);
        let granted = places.serve(max);
        drop(places);
        for (group, waiting) in granted {
            // a receiver that is gone gives the place back
            let _ = waiting.send(self.place(group));
        }
    }
}

impl Places {
    /// Takes a place for a group if it may have one.
    fn take(&mut self, group: Group, max: usize) -> bool {
        let may_take = self.may_take(group, max);
        if may_take {
            self.count(group);
        }
        may_take
    }

    fn may_take(&self, group: Group, max: usize) -> bool {
        let free = max.saturating_sub(self.taken);
        self.by_group.get(&group).copied().unwrap_or(0) < free
    }

    fn count(&mut self, group: Group) {
        self.taken += 1;
        *self.by_group.entry(group).or_default() += 1;
    }

    fn give_back(&mut self, group: Group) {
        self.taken = self.taken.saturating_sub(1);
        if let Some(own) = self.by_group.get_mut(&group) {
            *own -= 1;
            if *own == 0 {
                self.by_group.remove(&group);
            }
        }
    }

    /// Takes places for groups that wait, in turn. Returns whom to tell.
    fn serve(&mut self, max: usize) -> Vec<(Group, oneshot::Sender<Place>)> {
        let mut granted = Vec::new();
        for _ in 0..self.turns.len() {
            if self.taken >= max {
                break;
            }
            let Some(group) = self.turns.pop_front() else { break };
            let may_take = self.may_take(group, max);
            let Some(queue) = self.waiting.get_mut(&group) else { continue };
            // Those that gave up do not count. Others behind the first are looked at when they are the first: a queue may be long.
            while queue.front().is_some_and(oneshot::Sender::is_closed) {
                queue.pop_front();
            }
            let first = queue.pop_front_if(|_| may_take);
            match queue.is_empty() {
                true => drop(self.waiting.remove(&group)),
                false => self.turns.push_back(group),
            }
            if let Some(first) = first {
                self.count(group);
                granted.push((group, first));
            }
        }
        granted
    }

    fn wait(&mut self, group: Group) -> oneshot::Receiver<Place> {
        let (sender, receiver) = oneshot::channel();
        let queue = self.waiting.entry(group).or_default();
        if queue.is_empty() {
            self.turns.push_back(group);
        }
        queue.push_back(sender);
        receiver
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.release(self.group);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Takes places until none is free for this group.
    fn take_all(places: &FairPlaces, group: Group) -> Vec<Place> {
        core::iter::from_fn(|| places.take(group).now_or_never().flatten()).collect()
    }

    #[test]
    fn each_group_gets_a_share_and_the_next_one_finds_some() {
        let places = FairPlaces::new(|| 64);
        let taken: Vec<Vec<Place>> = (0..3).map(|group| take_all(&places, group)).collect();
        assert_eq!(taken.iter().map(Vec::len).collect::<Vec<_>>(), [32, 16, 8]);
        assert!(!take_all(&places, 3).is_empty());
    }

    #[tokio::test]
    async fn groups_that_wait_are_served_in_turn() {
        let places = FairPlaces::new(|| 2);
        let mut taken = vec![places.take(1).await.expect("a place"), places.take(2).await.expect("a place")];
        let mut second = Box::pin(places.take(2));
        let mut third = Box::pin(places.take(3));
        assert!(second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none());
        // the second group has as many places as would be free, so the third one is served although it came later
        drop(taken.remove(0));
        let place = third.await.expect("a place");
        assert!(second.as_mut().now_or_never().is_none());
        drop((taken, place));
        second.await.expect("a place");
    }

    #[tokio::test]
    async fn a_single_place_goes_from_group_to_group() {
        let places = FairPlaces::new(|| 1);
        let mut current = places.take(1).await.expect("a place");
        let mut waiting: Vec<_> = [1, 1, 1, 2, 3].map(|group| Box::pin(places.take(group))).into();
        assert!(waiting.iter_mut().all(|waiting| waiting.as_mut().now_or_never().is_none()));
        let mut order = Vec::new();
        while !waiting.is_empty() {
            drop(current);
            let ready = waiting
                .iter_mut()
                .enumerate()
                .find_map(|(at, waiting)| waiting.as_mut().now_or_never().map(|place| (at, place.expect("a place"))));
            let (at, place) = ready.expect("one is served");
            drop(waiting.remove(at));
            order.push(place.group);
            current = place;
        }
        assert_eq!(order, [1, 2, 3, 1, 1]);
    }

    #[tokio::test]
    async fn a_wait_that_was_given_up_takes_no_place() {
        let places = FairPlaces::new(|| 1);
        let taken = places.take(1).await.expect("a place");
        let mut given_up = Box::pin(places.take(2));
        assert!(given_up.as_mut().now_or_never().is_none());
        drop(given_up);
        drop(taken);
        assert!(places.take(3).await.is_some());
        let left = places.lock();
        assert!(left.taken == 0 && left.by_group.is_empty(), "{left:?}");
    }
}
