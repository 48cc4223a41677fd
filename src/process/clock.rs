//! The system clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bue_model::Timestamp;

/// Returns the current time.
pub(crate) fn now() -> Timestamp {
    timestamp(since_epoch())
}

/// Returns the time `age` ago, the epoch at the earliest.
pub(crate) fn time_ago(age: Duration) -> Timestamp {
    timestamp(since_epoch().saturating_sub(age))
}

#[expect(clippy::disallowed_methods, reason = "the edge of the process reads the clock")]
fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn timestamp(since_epoch: Duration) -> Timestamp {
    Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
