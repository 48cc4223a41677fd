//! The component's export: calls the function that the host names.

use core::time::Duration;

use crate::__private::{CallError, call_step};
use crate::bindings::bue::step::types::{Completed, FailureKind};
use crate::bindings::exports::bue::step::guest::{Call, Failure, Guest, Outcome};

struct Exports;

crate::bindings::export!(Exports with_types_in crate::bindings);

impl Guest for Exports {
    fn run(call: Call) -> Result<Outcome, Failure> {
        crate::host::set_env(call.env);
        call_step(&call.function, call.inputs).map(to_outcome).map_err(to_failure)
    }
}

fn to_outcome(outcome: crate::outcome::Outcome<Vec<u8>>) -> Outcome {
    use crate::outcome::Outcome as Returned;
    match outcome {
        Returned::Completed { value, priority, env } => {
            let env = env.map(|env| bue_model::cbor::encode(&env));
            Outcome::Completed(Completed { value, priority, env })
        }
        Returned::Pending(delay) => Outcome::Pending(delay.map(millis)),
        Returned::Reset(delay) => Outcome::Reset(delay.map(millis)),
        Returned::Cancelled => Outcome::Cancelled,
    }
}

fn to_failure(error: CallError) -> Failure {
    let (kind, message, retry_after) = match error {
        CallError::Raised(error) => (FailureKind::Raised, error.message, error.retry_after),
        CallError::BadInput(message) => (FailureKind::BadInput, message, None),
        CallError::BadResult(message) => (FailureKind::BadResult, message, None),
        CallError::BadCode(message) => (FailureKind::BadCode, message, None),
    };
    Failure { kind, message, trace: None, retry_after_ms: retry_after.map(millis) }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
