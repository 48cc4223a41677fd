//! One compiled step and its outcome.

use bue_model::{Answer, Failure};

use crate::host::engine::WASM_STACK;
use crate::host::guest_failure::{self, Stacks};
use crate::host::state::StepState;
use crate::host::step_context::StepContext;
use crate::step::compiled_step::CompiledStep;
use crate::step::task::Task;

/// One compiled step.
#[derive(Clone, Copy)]
pub(crate) struct WasmStep<'a> {
    pub(crate) task: &'a Task,
    pub(crate) context: StepContext<'a>,
    pub(crate) code: &'a CompiledStep,
    pub(crate) function: &'a str,
}

/// The answer of a program, and the bytes of memory it had at its end.
pub(crate) struct ProgramRun {
    pub(crate) answer: Result<Answer, Failure>,
    pub(crate) memory_bytes: u64,
}

/// The failure of a step that trapped or was aborted.
pub(crate) fn abort_failure(error: &wasmtime::Error, state: &StepState) -> Failure {
    guest_failure::from_error(error, state, Stacks { native: WASM_STACK, is_exhausted: false })
}
