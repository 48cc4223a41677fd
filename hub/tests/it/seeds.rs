//! Which seeds a random test runs: a few as a rule, many where the environment asks for them, or the one that failed.

use std::env;

/// Replays this seed alone.
const SEED: &str = "BUE_SEED";

/// The number in a variable of the environment, if it is set.
fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// How many times a test is to try: `usual` times, or as many as the variable says.
pub(crate) fn tries(variable: &str, usual: u64) -> u64 {
    number(variable).unwrap_or(usual)
}

/// The one seed that is to be replayed, if the environment names one.
pub(crate) fn replayed() -> Option<u64> {
    number(SEED)
}

/// How to see a failure again.
pub(crate) fn replay(seed: u64) -> String {
    format!("{SEED}={seed}")
}
