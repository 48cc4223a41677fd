//! Failures of guests that did not return an answer, worded for the author of the step.

use bue_model::{Answer, Failure, FailureKind};
use wasmtime::Trap;
use wasmtime_wasi::{I32Exit, ResourceTableError};

use crate::host::abort::GuestAbort;
use crate::host::state::StepState;
use crate::step::failure::{limit, sentence};
use crate::step::limits::{Limits, bytes_text};

/// The stacks of a guest or a step that ended with an error.
#[derive(Clone, Copy)]
pub(crate) struct Stacks {
    /// Bytes of native stack that it might use.
    pub(crate) native: usize,
    /// The stack in its memory is exhausted.
    pub(crate) is_exhausted: bool,
}

/// The failure of a guest that trapped or was aborted.
pub(crate) fn from_error(error: &wasmtime::Error, state: &StepState, stacks: Stacks) -> Failure {
    let log = &state.log;
    if let Some(exceeded) = log.exceeded() {
        return limit(exceeded.to_string());
    }
    if let Some(abort) = error.downcast_ref::<GuestAbort>() {
        return from_abort(abort, state);
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
            state.max_handles
        ));
    }
    let Some(trap) = error.downcast_ref::<Trap>() else {
        // a host function returned an error
        return Failure::new(FailureKind::Trap, format!("The step was stopped: {}", causes(error)));
    };
    if *trap == Trap::StackOverflow || (*trap == Trap::MemoryOutOfBounds && stacks.is_exhausted) {
        return limit(stack_message(stacks.native, state.is_sql));
    }
    if state.memory_refused {
        return limit(memory_message(state));
    }
    let output = log.tail();
    // the panic message of Rust for an allocation that exceeds the address space
    if output.contains("capacity overflow") {
        return limit(memory_message(state));
    }
    Failure::new(FailureKind::Trap, trap_message(*trap, &output))
}

/// The error of a host function and its causes, without the backtrace: the guest's functions have no names.
fn causes(error: &wasmtime::Error) -> String {
    let texts = error.chain().map(ToString::to_string).filter(|text| !text.contains("wasm backtrace"));
    texts.collect::<Vec<_>>().join(": ")
}

fn from_abort(abort: &GuestAbort, state: &StepState) -> Failure {
    let kind = match abort {
        GuestAbort::Memory => return limit(memory_message(state)),
        GuestAbort::Time(_) | GuestAbort::Cpu(_) => FailureKind::Limit,
        GuestAbort::Batch { .. } | GuestAbort::Stream { .. } | GuestAbort::Request { .. } | GuestAbort::Tickets(_) => {
            FailureKind::Limit
        }
        GuestAbort::ReceiverGone => FailureKind::Internal,
        GuestAbort::Contract(_) => FailureKind::Trap,
    };
    Failure::new(kind, sentence(&abort.to_string()))
}

/// The failure of a step whose limit is smaller than its image, which has this content.
pub(crate) fn image_too_large(image_bytes: u64, content: &str, limits: &Limits) -> Failure {
    let needs = bytes_text(image_bytes);
    limit(format!("{}: {content} alone needs {needs}", step_memory_message(limits)))
}

/// Turns a `MemoryError` that our limit caused into a failure of that limit. The guest may raise it without asking the host
/// first.
pub(crate) fn name_memory_limit(answer: Answer, refused: bool, limits: &Limits) -> Answer {
    match answer {
        Answer::Failed(mut failure)
            if (refused || failure.kind == FailureKind::Limit) && failure.message.contains("MemoryError") =>
        {
            failure.kind = FailureKind::Limit;
            failure.message = format!("{} ({})", sentence(&step_memory_message(limits)), failure.message);
            Answer::Failed(failure)
        }
        answer => answer,
    }
}

/// What a step is told that asked for more memory than its limit.
fn memory_message(state: &StepState) -> String {
    match state.is_sql {
        true => bue_sql::sqlite::memory_message(state.limits.memory_bytes),
        false => step_memory_message(&state.limits),
    }
}

fn step_memory_message(limits: &Limits) -> String {
    let limit = bytes_text(limits.memory_bytes);
    format!(
        "the step went over its memory limit of {limit}; give rows piece by piece (`yield`), or run it on a worker with a higher limit"
    )
}

fn stack_message(stack: usize, is_sql: bool) -> String {
    let allowed = bytes_text(stack as u64);
    match is_sql {
        true => format!("the SQL went over its stack limit of {allowed}: it is nested too deeply"),
        false => {
            format!("the step went over its stack limit of {allowed}: it calls itself too deeply; use a loop")
        }
    }
}

fn trap_message(trap: Trap, tail: &str) -> String {
    match tail {
        "" => format!("The step's code stopped: {trap}"),
        tail => format!("The step's code stopped: {trap}. It printed last: {tail}"),
    }
}
