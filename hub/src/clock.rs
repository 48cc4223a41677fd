//! The only place in this crate that reads the time. Servers read it here and pass it on.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bue_model::Timestamp;

/// A source of the current time. Tests and simulations supply one that stops, jumps or is wrong.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The current time by this machine's clock.
pub(crate) fn system_clock() -> Clock {
    Arc::new(now)
}

#[expect(clippy::disallowed_methods, reason = "the edge of the process: everything behind it is given the time")]
fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(0).plus_ms(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
}
