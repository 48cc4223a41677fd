//! The clocks that guests see.

use core::time::Duration;
use std::sync::LazyLock;
use std::time::Instant;

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

use crate::step::timestamp::{now, simulated_now};

/// The resolution of guests' clocks. A finer clock would let a guest measure what other steps do.
const RESOLUTION: Duration = Duration::from_millis(1);

/// The wall clock of guests.
pub(crate) struct CoarseWallClock;

impl HostWallClock for CoarseWallClock {
    fn resolution(&self) -> Duration {
        RESOLUTION
    }

    fn now(&self) -> Duration {
        let now = now();
        Duration::new(now.as_secs(), now.subsec_millis() * 1_000_000)
    }
}

/// The monotonic clock of guests. All instances of a process share its origin, so that times recorded while a module was
/// loaded into its image are in the past of every instance. Simulated time is its own origin.
pub(crate) struct CoarseMonotonicClock;

static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What the clock shows at its origin. Zero would be a legal reading, but Go's runtime takes it for a broken clock and ends
/// the program with "nanotime returning zero".
const AT_ORIGIN: Duration = Duration::from_secs(1);

impl HostMonotonicClock for CoarseMonotonicClock {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        let now = simulated_now().unwrap_or_else(|| AT_ORIGIN.saturating_add(ORIGIN.elapsed()));
        // overflows after 584 years
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_mul(1_000_000)
    }
}
