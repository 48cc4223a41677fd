//! The one place of this crate where the time is read. Servers read it here and hand it in.

use std::time::{SystemTime, UNIX_EPOCH};

use bue_model::Timestamp;

/// Now, by this machine's clock.
#[expect(clippy::disallowed_methods, reason = "the rim of the process: everything behind it is handed the time")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(0).plus_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
