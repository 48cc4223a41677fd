//! The only place in this crate that reads the time, or lets a simulation tell it. Servers read it here and pass it on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bue_model::{JobId, Timestamp};
use futures_util::future::BoxFuture;

/// A source of the current time. Tests and simulations supply one that stops, jumps or is wrong.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A clock that a hub advances, and the steps that sleep by it.
pub trait Simulation: Send + Sync {
    /// Returns the time.
    fn now(&self) -> Timestamp;

    /// Returns the jobs whose steps sleep.
    fn sleeping_jobs(&self) -> BTreeSet<JobId>;

    /// Returns when the next of them wakes up.
    fn next_wake(&self) -> Option<Timestamp>;

    /// Sets the time, which is later than now. May refuse to: then time stands still from now on.
    fn advance_to(&self, time: Timestamp);

    /// Returns when a step falls asleep, or no longer exists, after this call.
    fn changed(&self) -> BoxFuture<'static, ()>;
}

/// The simulation of a hub whose time is not real.
pub(crate) type SharedSimulation = Arc<dyn Simulation>;

/// The current time by this machine's clock.
pub(crate) fn system_clock() -> Clock {
    Arc::new(now)
}

#[expect(clippy::disallowed_methods, reason = "the edge of the process: everything behind it is given the time")]
fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(0).plus_ms(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
