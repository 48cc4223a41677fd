//! One run of a compiled step: what it gets, and how it ended.

use std::time::Instant;

use bue_model::{Answer, Failure};

use crate::host::guest_failure;
use crate::host::state::StepState;
use crate::step::compiled_step::CompiledStep;
use crate::step::log::Log;
use crate::step::task::Task;

/// One step as its parts see it.
#[derive(Clone, Copy)]
pub(crate) struct WasmStep<'a> {
    pub(crate) task: &'a Task,
    pub(crate) step: &'a CompiledStep,
    pub(crate) function: &'a str,
    pub(crate) log: &'a Log,
    pub(crate) deadline: Instant,
}

/// What a run left: its answer, and how much memory it had.
pub(crate) struct Ended {
    pub(crate) answer: Result<Answer, Failure>,
    pub(crate) memory_bytes: u64,
}

/// The failure of a step that did not answer.
pub(crate) fn stopped(error: &wasmtime::Error, state: &StepState) -> Failure {
    guest_failure::of_error(error, state, false)
}
