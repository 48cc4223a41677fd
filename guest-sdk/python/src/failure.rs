//! Exceptions as the [`Failure`] that the host reports.

use bue_model::{Failure, FailureKind};
use rustpython_vm::builtins::{PyBaseExceptionRef, PyTuple};
use rustpython_vm::{AsObject, PyObjectRef, PyResult, VirtualMachine};

use crate::guest::Guest;
use crate::python::to_text;

/// A raised exception: its message, and a traceback of the user's frames. `inputs` is the number of inputs the function
/// was called with, where the exception may be about them.
pub(crate) fn from_exception(
    guest: &Guest,
    kind: FailureKind,
    error: &PyBaseExceptionRef,
    inputs: Option<usize>,
    vm: &VirtualMachine,
) -> Failure {
    let kind = match error.fast_isinstance(vm.ctx.exceptions.memory_error) {
        true => FailureKind::Limit,
        false => kind,
    };
    let description = describe(guest, error, inputs, vm).unwrap_or_else(|_| describe_natively(error, vm));
    Failure { kind, message: description.message, trace: description.trace, retry_after_ms: description.retry_after_ms }
}

/// The answer to a request that comes before `bue_init`.
pub(crate) fn not_started() -> Failure {
    Failure::new(FailureKind::Internal, "the guest is not started")
}

struct Description {
    message: String,
    trace: Option<String>,
    retry_after_ms: Option<u64>,
}

/// As `describe` in `lib/_traceback.py` puts it.
fn describe(
    guest: &Guest,
    error: &PyBaseExceptionRef,
    inputs: Option<usize>,
    vm: &VirtualMachine,
) -> PyResult<Description> {
    let inputs: PyObjectRef = inputs.map_or_else(|| vm.ctx.none(), |count| vm.ctx.new_int(count).into());
    let description = guest.helpers.describe.call((error.clone(), inputs), vm)?;
    let parts = description.downcast_ref::<PyTuple>().map_or(&[][..], |parts| parts.as_slice());
    let [message, trace, retry_after_ms] = parts else {
        return Err(vm.new_type_error("a description has three parts"));
    };
    Ok(Description {
        message: to_text(message, vm)?,
        trace: Some(to_text(trace, vm)?).filter(|trace| !trace.is_empty()),
        retry_after_ms: retry_after_ms.clone().try_into_value(vm)?,
    })
}

/// Without our Python files: the step may have broken them.
fn describe_natively(error: &PyBaseExceptionRef, vm: &VirtualMachine) -> Description {
    const MAX_TRACE_CHARS: usize = 16_000;
    const MAX_MESSAGE_CHARS: usize = 4000;
    let mut trace = String::new();
    let written = vm.write_exception(&mut trace, error);
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
    let message = trace.lines().next_back().unwrap_or("an exception that cannot be shown");
    let message = message.chars().take(MAX_MESSAGE_CHARS).collect();
    let trace = Some(trace.chars().take(MAX_TRACE_CHARS).collect());
    Description { message, trace, retry_after_ms: None }
}
