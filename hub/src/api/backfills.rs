//! [`Backfills`]: the backfills that this hub carries on by itself (see `backfill_task`), because they were started in a browser. Kept
//! in memory: a backfill has no state but its runs, so after a restart the same request goes on where it was.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bue_model::Timestamp;
use bue_model::schedule::BackfillProgress;
use tokio::sync::Notify;

use crate::schedules::backfill::Backfill;

/// Backfills that are carried on at a time. Each holds one long poll.
const MAX_ACTIVE: usize = 50;
/// Backfills that are remembered, those that have ended included.
const MAX_KNOWN: usize = 200;

/// The latest backfill of each schedule. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backfills(Arc<Mutex<HashMap<String, BackfillStatus>>>);

/// Whether the hub carries a backfill on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BackfillState {
    /// It starts further runs.
    Active,
    /// Every due time has a run that has ended.
    Done,
    /// A user stopped it. Its runs go on.
    Stopped,
    /// It cannot go on.
    Failed(String),
}

/// A backfill, and how far it is.
#[derive(Clone, Debug)]
pub(crate) struct BackfillStatus {
    /// The request, as the user sent it.
    pub(crate) request: Backfill,
    pub(crate) started_at: Timestamp,
    pub(crate) state: BackfillState,
    /// Of the parts of the range so far, each of up to a thousand due times.
    pub(crate) progress: BackfillProgress,
    /// Wakes the task that carries it on, so that it starts nothing more.
    stop: Arc<Notify>,
}

/// A backfill cannot be carried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occupied {
    /// The schedule has one that is active.
    BySchedule,
    /// There are too many.
    ByOthers,
}

impl Backfills {
    /// Returns the latest backfill of a schedule that this hub knows of.
    pub(crate) fn of(&self, schedule: &str) -> Option<BackfillStatus> {
        self.lock().get(schedule).cloned()
    }

    /// Returns whether a schedule has a backfill that is not over.
    pub(crate) fn is_active(&self, schedule: &str) -> bool {
        self.lock().get(schedule).is_some_and(|one| one.state == BackfillState::Active)
    }

    /// Ends a backfill. Returns whether it was active.
    pub(crate) fn stop(&self, schedule: &str) -> bool {
        let mut known = self.lock();
        let active = known.get_mut(schedule).filter(|one| one.state == BackfillState::Active);
        active.is_some_and(|one| {
            one.state = BackfillState::Stopped;
            one.stop.notify_one();
            true
        })
    }

    /// Adds a backfill. Returns what wakes when it is stopped.
    pub(super) fn begin(&self, schedule: &str, request: Backfill, now: Timestamp) -> Result<Arc<Notify>, Occupied> {
        let mut known = self.lock();
        let is_active = |one: &BackfillStatus| one.state == BackfillState::Active;
        if known.get(schedule).is_some_and(is_active) {
            return Err(Occupied::BySchedule);
        }
        if known.values().filter(|one| is_active(one)).count() >= MAX_ACTIVE {
            return Err(Occupied::ByOthers);
        }
        if known.len() >= MAX_KNOWN {
            known.retain(|_, one| is_active(one));
        }
        let (state, progress, stop) = (BackfillState::Active, BackfillProgress::default(), Arc::default());
        let status = BackfillStatus { request, started_at: now, state, progress, stop: Arc::clone(&stop) };
        known.insert(schedule.to_owned(), status);
        Ok(stop)
    }

    /// Changes a backfill that is active. `stop` is what [`begin`](Self::begin) returned: after the backfill was stopped, its schedule
    /// may have another one. Returns whether it still is active.
    pub(super) fn update(&self, schedule: &str, stop: &Arc<Notify>, change: impl FnOnce(&mut BackfillStatus)) -> bool {
        let mut known = self.lock();
        let is_this = |one: &&mut BackfillStatus| Arc::ptr_eq(&one.stop, stop) && one.state == BackfillState::Active;
        let active = known.get_mut(schedule).filter(is_this);
        active.is_some_and(|one| {
            change(one);
            one.state == BackfillState::Active
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, BackfillStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Backfill {
        Backfill { from: "2026-10-01".into(), to: "2026-10-02".into(), at_most: 1 }
    }

    #[test]
    fn a_schedule_has_one_backfill_at_a_time_and_the_hub_a_limited_number() {
        let backfills = Backfills::default();
        let begin = |name: &str| backfills.begin(name, request(), Timestamp(0)).map(drop);
        let stopped = backfills.begin("a", request(), Timestamp(0)).expect("the first one");
        assert_eq!(begin("a"), Err(Occupied::BySchedule));
        assert!(backfills.update("a", &stopped, |_| {}));
        assert!(backfills.stop("a") && !backfills.stop("a") && !backfills.stop("b"));
        assert!(!backfills.update("a", &stopped, |_| panic!("it was stopped")));
        assert_eq!(begin("a"), Ok(()));
        assert!(!backfills.update("a", &stopped, |_| panic!("it is another one")));
        assert!(backfills.stop("a"));
        for number in 0..MAX_KNOWN {
            let expected = if number < MAX_ACTIVE { Ok(()) } else { Err(Occupied::ByOthers) };
            assert_eq!(begin(&format!("s{number}")), expected);
        }
        assert_eq!(begin("a"), Err(Occupied::ByOthers));
        assert!(backfills.is_active("s0") && !backfills.is_active("a"));
        for round in 0..10 {
            for number in 0..MAX_ACTIVE {
                backfills.stop(&format!("s{}", round * MAX_ACTIVE + number));
                assert_eq!(begin(&format!("s{}", (round + 1) * MAX_ACTIVE + number)), Ok(()));
            }
        }
        assert!(backfills.lock().len() <= MAX_KNOWN);
    }
}
