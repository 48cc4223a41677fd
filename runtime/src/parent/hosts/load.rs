//! How many steps the cores have room for: estimated from the processor time that recent steps took.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use crate::step::task::Finished;

/// Processor time of the steps that each core holds in advance. How long a step takes is unknown before it has run, and a
/// core should not idle while the worker requests more from the hub.
const READ_AHEAD: Duration = Duration::from_millis(250);
/// Least number of running steps per core: a few endless ones must not hold up the others, with which they share the core.
const MIN_STEPS_PER_CORE: usize = 8;
/// Largest number of running steps per core.
const MAX_STEPS_PER_CORE: usize = 500;
/// Assumed processor time of a step before any has run: so long that a worker begins with [`MIN_STEPS_PER_CORE`].
const INITIAL_STEP_NS: u64 = 30_000_000;
/// The weight of one step in the moving average is one over this.
const AVERAGED_STEPS: u64 = 16;

/// A moving average of the processor time that a step takes.
#[derive(Debug)]
pub(crate) struct LoadEstimate {
    step_ns: AtomicU64,
}

impl Default for LoadEstimate {
    fn default() -> Self {
        Self { step_ns: AtomicU64::new(INITIAL_STEP_NS) }
    }
}

impl LoadEstimate {
    /// Returns how many steps may run at once on this many cores: about [`READ_AHEAD`] of work for each.
    pub(crate) fn max_running(&self, cores: usize) -> usize {
        let step_ns = u128::from(self.step_ns.load(Ordering::Relaxed).max(1));
        let steps = usize::try_from(READ_AHEAD.as_nanos() / step_ns).unwrap_or(usize::MAX);
        steps.clamp(MIN_STEPS_PER_CORE, MAX_STEPS_PER_CORE).saturating_mul(cores)
    }

    /// Adds a step to the average.
    pub(crate) fn record(&self, finished: &Finished) {
        let step = u64::try_from(finished.usage.cpu.as_nanos()).unwrap_or(u64::MAX);
        let average = self.step_ns.load(Ordering::Relaxed);
        // supervisors race here; losing one sample does not matter
        self.step_ns.store(average - average / AVERAGED_STEPS + step / AVERAGED_STEPS, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use bue_model::{Answer, Failure, FailureKind};
    use bytes::Bytes;

    use super::*;
    use crate::step::task::Usage;

    fn step(cpu: Duration) -> Finished {
        let answer = Answer::Failed(Failure::new(FailureKind::Raised, "x"));
        Finished { answer, log: Bytes::new(), usage: Usage { cpu, ..Usage::default() } }
    }

    #[test]
    fn more_short_steps_than_long_ones_may_run() {
        let load = LoadEstimate::default();
        assert_eq!(load.max_running(2), 2 * MIN_STEPS_PER_CORE);
        for _ in 0..200 {
            load.record(&step(Duration::from_millis(1)));
        }
        let short = load.max_running(1);
        assert!((200..=MAX_STEPS_PER_CORE).contains(&short), "{short}");
        for _ in 0..200 {
            load.record(&step(Duration::from_secs(10)));
        }
        assert_eq!(load.max_running(1), MIN_STEPS_PER_CORE);
    }
}
