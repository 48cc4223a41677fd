//! Which seeds a random test runs: a few by default, many if the environment asks for them, or the one that failed.

use std::env;

/// Replays this seed alone.
const SEED: &str = "BUE_SEED";

/// Returns the number in an environment variable, if it is set.
fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Returns how many seeds a test runs: `usual`, or as many as the variable says.
pub(crate) fn tries(variable: &str, usual: u64) -> u64 {
    number(variable).unwrap_or(usual)
}

/// Returns the one seed to replay, if the environment names one.
pub(crate) fn replayed() -> Option<u64> {
    number(SEED)
}

/// Returns how to replay a failure.
pub(crate) fn replay(seed: u64) -> String {
    format!("{SEED}={seed}")
}
