//! Retries of requests that failed for a reason that goes away by itself.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use tokio_postgres::error::SqlState;

use crate::error::HubError;

/// The first wait between attempts. All waits together take some three seconds, longer than a restart of the server does;
/// clients retry for longer.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
/// The longest wait between attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// Attempts after the first one.
const MAX_RETRIES: usize = 9;

/// Returns whether the next attempt may succeed: the connection broke before the commit, or two transactions collided.
pub(in crate::postgres) fn is_transient(error: &HubError) -> bool {
    match error {
        HubError::Unreachable(_) => true,
        HubError::Postgres(error) => match error.code() {
            Some(code) => {
                let transient = [
                    SqlState::T_R_DEADLOCK_DETECTED,
                    SqlState::T_R_SERIALIZATION_FAILURE,
                    SqlState::ADMIN_SHUTDOWN,
                    SqlState::CRASH_SHUTDOWN,
                    SqlState::CANNOT_CONNECT_NOW,
                    SqlState::TOO_MANY_CONNECTIONS,
                    SqlState::LOCK_NOT_AVAILABLE,
                ];
                transient.contains(code)
            }
            None => true,
        },
        _ => false,
    }
}

/// Returns the waits between attempts: each twice as long as the one before, with jitter, so that requests that collided do
/// not collide again.
pub(in crate::postgres) fn backoff() -> impl Iterator<Item = Duration> + Send {
    let backoff = ExponentialBuilder::default().with_min_delay(FIRST_BACKOFF).with_max_delay(MAX_BACKOFF);
    backoff.with_max_times(MAX_RETRIES).with_jitter().build()
}

/// Awaits an attempt, and further ones while they fail with a transient error and the backoff lasts.
macro_rules! retry_transient {
    ($attempt:expr) => {{
        let mut backoff = $crate::postgres::connection::retry::backoff();
        loop {
            match $attempt.await {
                Err(error) if $crate::postgres::connection::retry::is_transient(&error) => match backoff.next() {
                    Some(wait) => tokio::time::sleep(wait).await,
                    None => break Err(error),
                },
                result => break result,
            }
        }
    }};
}
pub(in crate::postgres) use retry_transient;
