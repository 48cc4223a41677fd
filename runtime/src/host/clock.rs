//! The clocks that guests see.

use core::time::Duration;
use std::sync::LazyLock;
use std::time::Instant;

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

use crate::step::timestamp::now;

/// Guests see clocks no finer than this: a fine clock measures what neighbours do.
const RESOLUTION: Duration = Duration::from_millis(1);

/// The time of day for guests.
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

/// A clock for measuring. All instances of a process share its origin, so that what a module noted while it was loaded
/// into its image lies in the past of every instance.
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
        let now = AT_ORIGIN.saturating_add(ORIGIN.elapsed());
        // the guest's clock would stand still after 584 years
        u64::try_from(now.as_millis()).unwrap_or(u64::MAX).saturating_mul(1_000_000)
    }
}
