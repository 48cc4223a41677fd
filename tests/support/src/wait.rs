//! Waiting with a deadline: a test that waits for something that never happens fails with a message instead of hanging.
//!
//! The deadline is generous, because it only bounds how long a *failing* test takes. No test may assert that something
//! happens sooner.

use std::thread;
use std::time::{Duration, Instant};

use tokio::time;

/// How long a test waits for anything. Two loaded cores start a worker with its sandboxes in less than ten seconds.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// Between two checks of a condition: short beside what is waited for, long beside what a check costs.
const INTERVAL: Duration = Duration::from_millis(10);

/// Blocks until the condition holds.
///
/// # Panics
/// The condition does not hold within [`DEADLINE`]; the message contains `what`.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        thread::sleep(INTERVAL);
    }
}

/// Waits until the condition holds, without blocking the thread.
///
/// # Panics
/// The condition does not hold within [`DEADLINE`]; the message contains `what`.
pub async fn wait_until_async(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        time::sleep(INTERVAL).await;
    }
}

/// Awaits a future that must complete.
///
/// # Panics
/// It does not complete within [`DEADLINE`]; the message contains `what`.
pub async fn within_deadline<F: Future>(what: &str, future: F) -> F::Output {
    match time::timeout(DEADLINE, future).await {
        Ok(output) => output,
        Err(_) => panic!("waited more than {DEADLINE:?} for {what}"),
    }
}
