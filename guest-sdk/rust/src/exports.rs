//! The component's export: calls the function that the host names.

use core::time::Duration;

use crate::__private::{Failed, run};
use crate::bindings::bue::step::types::{Completed, FailureKind};
use crate::bindings::exports::bue::step::guest::{Call, Failure, Guest, Outcome};

struct Exports;

crate::bindings::export!(Exports with_types_in crate::bindings);

impl Guest for Exports {
    fn run(call: Call) -> Result<Outcome, Failure> {
        crate::host::set_env(call.env);
        run(&call.function, call.inputs).map(outcome).map_err(failure)
    }
}

fn outcome(said: crate::outcome::Outcome<Vec<u8>>) -> Outcome {
    use crate::outcome::Outcome as Said;
    match said {
        Said::Completed { value, priority, env } => {
            let env = env.map(|env| bue_model::cbor::encode(&env));
            Outcome::Completed(Completed { value, priority, env })
        }
        Said::Pending(time) => Outcome::Pending(time.map(millis)),
        Said::Reset(time) => Outcome::Reset(time.map(millis)),
        Said::Cancelled => Outcome::Cancelled,
    }
}

fn failure(failed: Failed) -> Failure {
    let (kind, message, retry) = match failed {
        Failed::Raised(error) => (FailureKind::Raised, error.message, error.retry_after),
        Failed::BadInput(message) => (FailureKind::BadInput, message, None),
        Failed::BadResult(message) => (FailureKind::BadResult, message, None),
        Failed::BadCode(message) => (FailureKind::BadCode, message, None),
    };
    Failure { kind, message, trace: None, retry_after_ms: retry.map(millis) }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
