//! [`SimulatedLimit`]: the time limit of a step in simulated time, in which only sleeping takes time.

use core::time::Duration;

use crate::step::failure::TimeLimitExceeded;
use crate::step::timestamp::simulated_now;

/// When the time limit of a step is over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SimulatedLimit {
    /// Since 1970.
    deadline: Duration,
    limit: Duration,
}

impl SimulatedLimit {
    /// The limit of a step that starts now; `None` if the time of this process is real.
    pub(crate) fn starting_now(limit: Duration) -> Option<Self> {
        simulated_now().map(|now| Self { deadline: now.saturating_add(limit), limit })
    }

    /// Returns when a sleep that begins now ends, since 1970, and whether the step may go on then.
    pub(crate) fn sleep(self, millis: u64) -> (Duration, Result<(), TimeLimitExceeded>) {
        let end = simulated_now().unwrap_or_default().saturating_add(Duration::from_millis(millis));
        match end < self.deadline {
            true => (end, Ok(())),
            false => (self.deadline, Err(TimeLimitExceeded(self.limit))),
        }
    }
}
