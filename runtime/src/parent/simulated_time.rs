//! [`SimulatedTime`]: a clock for tests. It stands still while a step computes or a server answers, and its owner advances it when
//! everything waits for a later time.
//!
//! A step that sleeps is a *sleeper* here. The steps of all sandbox hosts see the same time, because it advances only while all of
//! them sleep.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bue_model::Timestamp;
use tokio::sync::watch;

/// A simulated clock. Clones share it.
#[derive(Clone, Debug)]
pub struct SimulatedTime(Arc<Clock>);

#[derive(Debug)]
struct Clock {
    state: Mutex<State>,
    /// Its value does not matter: changed when a step falls asleep or no longer exists, and when time advances.
    changes: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    last_sleeper: u64,
    sleepers: BTreeMap<u64, Sleeper>,
}

#[derive(Debug)]
struct Sleeper {
    job: u64,
    until: Timestamp,
}

impl SimulatedTime {
    /// Creates a clock that shows this time.
    #[must_use]
    pub fn starting_at(now: Timestamp) -> Self {
        let state = State { now, last_sleeper: 0, sleepers: BTreeMap::new() };
        Self(Arc::new(Clock { state: Mutex::new(state), changes: watch::Sender::new(()) }))
    }

    /// Returns the time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.state().now
    }

    /// Returns the jobs whose steps sleep.
    #[must_use]
    pub fn sleeping_jobs(&self) -> BTreeSet<u64> {
        self.state().sleepers.values().map(|sleeper| sleeper.job).collect()
    }

    /// Returns the earliest time at which a step wakes up.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.state().sleepers.values().map(|sleeper| sleeper.until).min()
    }

    /// Sets the time, if it is later than now. Steps that have slept until then do not sleep any more when this returns.
    pub fn advance_to(&self, time: Timestamp) {
        let mut state = self.state();
        state.now = state.now.max(time);
        let now = state.now;
        state.sleepers.retain(|_, sleeper| sleeper.until > now);
        drop(state);
        self.0.changes.send_replace(());
    }

    /// Returns a receiver that is notified when a step falls asleep or no longer exists, and when time advances.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.0.changes.subscribe()
    }

    /// Sleeps until this time, from this call on. Dropping the future ends the sleep.
    pub(crate) fn sleep(&self, job: u64, until: Timestamp) -> impl Future<Output = ()> + Send + use<> {
        let mut changes = self.subscribe();
        let asleep = Asleep::new(self.clone(), job, until);
        async move { while asleep.is_asleep() && changes.changed().await.is_ok() {} }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a step in the list of sleepers until it is woken up, or this is dropped.
struct Asleep {
    time: SimulatedTime,
    number: u64,
}

impl Asleep {
    fn new(time: SimulatedTime, job: u64, until: Timestamp) -> Self {
        let mut state = time.state();
        state.last_sleeper += 1;
        let number = state.last_sleeper;
        if until > state.now {
            state.sleepers.insert(number, Sleeper { job, until });
        }
        drop(state);
        time.0.changes.send_replace(());
        Self { time, number }
    }

    fn is_asleep(&self) -> bool {
        self.time.state().sleepers.contains_key(&self.number)
    }
}

impl Drop for Asleep {
    fn drop(&mut self) {
        if self.time.state().sleepers.remove(&self.number).is_some() {
            self.time.0.changes.send_replace(());
        }
    }
}

#[cfg(test)]
mod tests {
    use bue_test_support::wait::within_deadline;

    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_time_has_come() {
        let time = SimulatedTime::starting_at(Timestamp(1_000));
        let (one, two) = (time.sleep(7, Timestamp(1_500)), time.sleep(8, Timestamp(3_000)));
        assert_eq!((time.sleeping_jobs(), time.next_wake()), ([7, 8].into(), Some(Timestamp(1_500))));
        time.advance_to(Timestamp(1_500));
        assert_eq!((time.sleeping_jobs(), time.next_wake()), ([8].into(), Some(Timestamp(3_000))));
        within_deadline("the first wakes", one).await;
        time.advance_to(Timestamp(500));
        assert_eq!(time.now(), Timestamp(1_500), "time does not go back");
        drop(two);
        assert_eq!((time.sleeping_jobs(), time.next_wake()), ([].into(), None));
        within_deadline("a time that has passed", time.sleep(9, Timestamp(1_500))).await;
    }
}
