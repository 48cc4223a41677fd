//! Failures of steps that either process reports, in words for the person who wrote the step.

use core::time::Duration;

use bue_model::Failure;
pub(crate) use bue_model::words::sentence;

use crate::step::limits::{Limits, bytes_text, time_text};

/// A step ran out of time.
#[derive(Debug, thiserror::Error)]
#[error("the step ran longer than its time limit of {}; give it more with `!timeout`, or answer `pending` instead of waiting", time_text(*.0))]
pub(crate) struct TimeLimitExceeded(pub(crate) Duration);

/// The failure of a step that ran out of time.
pub(crate) fn timed_out(limits: &Limits) -> Failure {
    limit(TimeLimitExceeded(limits.time).to_string())
}

/// The message of the exception that is raised in a step when its soft limit is reached.
pub(crate) fn soft_limit_message(soft: Duration, time: Duration) -> String {
    format!("the soft limit of {} was reached; the step is stopped after {}", time_text(soft), time_text(time))
}

/// The failure of a step whose inputs are over the limit.
#[must_use]
pub fn too_much_input(bytes: u64, allowed: u64) -> Failure {
    let (bytes, allowed) = (bytes_text(bytes), bytes_text(allowed));
    limit(format!("the step's inputs are {bytes}, more than the input limit of {allowed}; pass less, or loop over it"))
}

/// The failure of a step whose result is over the limit.
pub(crate) fn too_much_result(bytes: u64, allowed: u64) -> Failure {
    let (bytes, allowed) = (bytes_text(bytes), bytes_text(allowed));
    limit(format!(
        "the step's result is {bytes}, more than its result limit of {allowed}; return less, or loop over it"
    ))
}

/// The failure of a step whose code is over the limit.
#[must_use]
pub fn too_much_code(bytes: u64, allowed: u64) -> Failure {
    let (bytes, allowed) = (bytes_text(bytes), bytes_text(allowed));
    limit(format!("the step's code and neighbours are {bytes}, more than the limit of {allowed}"))
}

/// The failure of a step that exceeded a limit.
pub(crate) fn limit(message: impl AsRef<str>) -> Failure {
    Failure::limit(message.as_ref())
}
