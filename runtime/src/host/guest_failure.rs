//! Why a guest stopped, in words for the person who wrote the step.

use bue_model::{Answer, Failure, FailureKind};
use wasmtime::Trap;
use wasmtime_wasi::{I32Exit, ResourceTableError};

use crate::host::engine::WASM_STACK;
use crate::host::state::{StepState, Stop};
use crate::step::failure::{limit, sentence};
use crate::step::limits::{Limits, bytes_text};

/// The failure of a guest that did not answer. `out_of_stack`: the stack in its memory is used up.
pub(crate) fn of_error(error: &wasmtime::Error, state: &StepState, out_of_stack: bool) -> Failure {
    let log = &state.log;
    if let Some(exceeded) = log.exceeded() {
        return limit(exceeded.to_string());
    }
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return of_stop(stop);
    }
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return Failure::new(
            FailureKind::Trap,
            format!("The step ended its own process with code {code}; return a value instead"),
        );
    }
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return limit(format!(
            "the step has more open than its limit of {} files and things to wait for; close files that were read",
            state.handles
        ));
    }
    let Some(trap) = error.downcast_ref::<Trap>() else {
        // what a host function would not do
        return Failure::new(FailureKind::Trap, format!("The step's interpreter was stopped: {}", causes(error)));
    };
    if *trap == Trap::StackOverflow || (*trap == Trap::MemoryOutOfBounds && out_of_stack) {
        return limit(stack_text());
    }
    if state.memory_refused {
        return limit(memory_text(&state.limits));
    }
    let said = log.tail();
    // what Rust says when it is asked for more than there are addresses for
    if said.contains("capacity overflow") {
        return limit(memory_text(&state.limits));
    }
    Failure::new(FailureKind::Trap, trap_text(*trap, &said))
}

/// What a host function said, without the list of the guest's functions, which have no names.
fn causes(error: &wasmtime::Error) -> String {
    let texts = error.chain().map(ToString::to_string).filter(|text| !text.contains("wasm backtrace"));
    texts.collect::<Vec<_>>().join(": ")
}

fn of_stop(stop: &Stop) -> Failure {
    let kind = match stop {
        Stop::Time(_) | Stop::Cpu(_) | Stop::Batch(..) | Stop::Stream(_) => FailureKind::Limit,
        Stop::Request(..) | Stop::Tickets(_) => FailureKind::Limit,
        Stop::NobodyListens => FailureKind::Internal,
        Stop::Contract(_) => FailureKind::Trap,
    };
    Failure::new(kind, sentence(&stop.to_string()))
}

/// What does not even fit.
pub(crate) fn image_too_large(image_bytes: u64, limits: &Limits) -> Failure {
    let needs = bytes_text(image_bytes);
    limit(format!("{}: Python with the step's module alone needs {needs}", memory_text(limits)))
}

/// A `MemoryError` that comes from our limit is a failure of that limit. The guest may know by itself that it cannot be met.
pub(crate) fn name_memory_limit(answer: Answer, refused: bool, limits: &Limits) -> Answer {
    match answer {
        Answer::Failed(mut failure)
            if (refused || failure.kind == FailureKind::Limit) && failure.message.contains("MemoryError") =>
        {
            failure.kind = FailureKind::Limit;
            failure.message = format!("{} ({})", sentence(&memory_text(limits)), failure.message);
            Answer::Failed(failure)
        }
        answer => answer,
    }
}

fn memory_text(limits: &Limits) -> String {
    let limit = bytes_text(limits.memory_bytes);
    format!(
        "the step went over its memory limit of {limit}; give rows piece by piece (`yield`), or run it on a worker with a higher limit"
    )
}

fn stack_text() -> String {
    format!(
        "the step went over its stack limit of {}: it calls itself too deeply; use a loop",
        bytes_text(WASM_STACK as u64)
    )
}

fn trap_text(trap: Trap, tail: &str) -> String {
    match tail {
        "" => format!("The step's code stopped: {trap}"),
        tail => format!("The step's code stopped: {trap}. Its last words: {tail}"),
    }
}
