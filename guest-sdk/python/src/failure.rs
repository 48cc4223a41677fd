//! What goes wrong, as the host hears of it.

use bue_model::{Failure, FailureKind};
use rustpython_vm::builtins::{PyBaseExceptionRef, PyTuple};
use rustpython_vm::{AsObject, PyObject, PyObjectRef, PyResult, VirtualMachine};

use crate::interpreter::Guest;

/// Why a call gives no value.
pub(crate) enum Stop {
    /// Python raised.
    Raised(PyBaseExceptionRef),
    /// Calling the function raised: it may not take what it was given.
    Called(PyBaseExceptionRef),
    /// We refuse, with words of our own.
    Refused(Failure),
}

impl From<PyBaseExceptionRef> for Stop {
    fn from(error: PyBaseExceptionRef) -> Self {
        Self::Raised(error)
    }
}

impl Stop {
    pub(crate) fn refused(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::Refused(Failure::new(kind, message))
    }
}

/// A raised exception: its message, and a traceback of the user's frames. `inputs` is how many the step was given.
pub(crate) fn raised(
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
    let described = describe(guest, error, inputs, vm);
    let (message, trace, retry_after_ms) = described.unwrap_or_else(|_| describe_natively(error, vm));
    Failure { kind, message, trace, retry_after_ms }
}

/// The answer to a request that comes before `bue_init`.
pub(crate) fn not_started() -> Failure {
    Failure::new(FailureKind::Internal, "the guest is not started")
}

/// What a helper of `lib/_explain.py` says of a value; it must not add trouble of its own.
pub(crate) fn words(helper: &PyObject, value: &PyObject, vm: &VirtualMachine) -> String {
    let said = helper.call((value.to_owned(),), vm).and_then(|words| text(&words, vm));
    said.unwrap_or_else(|_| format!("is an instance of {}", value.class().name()))
}

/// A Python text as ours.
pub(crate) fn text(value: &PyObject, vm: &VirtualMachine) -> PyResult<String> {
    Ok(value.str(vm)?.to_string_lossy().into_owned())
}

/// Without any Python of ours: a step may have taken it apart.
fn describe_natively(error: &PyBaseExceptionRef, vm: &VirtualMachine) -> Description {
    const MOST_TRACE: usize = 16_000;
    const MOST_MESSAGE: usize = 4000;
    let mut trace = String::new();
    let written = vm.write_exception(&mut trace, error);
    debug_assert!(written.is_ok(), "a String takes everything");
    let message = trace.lines().next_back().unwrap_or("an exception that cannot be shown");
    let message = message.chars().take(MOST_MESSAGE).collect();
    (message, Some(trace.chars().take(MOST_TRACE).collect()), None)
}

type Description = (String, Option<String>, Option<u64>);

fn describe(
    guest: &Guest,
    error: &PyBaseExceptionRef,
    inputs: Option<usize>,
    vm: &VirtualMachine,
) -> PyResult<Description> {
    let inputs: PyObjectRef = inputs.map_or_else(|| vm.ctx.none(), |count| vm.ctx.new_int(count).into());
    let said = guest.helpers.describe.call((error.clone(), inputs), vm)?;
    let [message, trace, wait] = said.downcast_ref::<PyTuple>().map_or(&[][..], |parts| parts.as_slice()) else {
        return Err(vm.new_type_error("three parts"));
    };
    let trace = Some(text(trace, vm)?).filter(|trace| !trace.is_empty());
    Ok((text(message, vm)?, trace, wait.clone().try_into_value(vm)?))
}
