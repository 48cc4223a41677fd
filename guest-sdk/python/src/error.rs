//! Why a call returns no value.

use bue_model::{Failure, FailureKind};
use rustpython_vm::builtins::PyBaseExceptionRef;

pub(crate) enum CallError {
    /// Python code raised an exception.
    Raised(PyBaseExceptionRef),
    /// Calling the function raised an exception: its signature may not fit the inputs.
    CallRaised(PyBaseExceptionRef),
    /// The guest rejects the request or the result, for the reason in this message.
    Rejected(Failure),
}

impl From<PyBaseExceptionRef> for CallError {
    fn from(error: PyBaseExceptionRef) -> Self {
        Self::Raised(error)
    }
}

impl CallError {
    pub(crate) fn rejected(kind: FailureKind, message: impl Into<String>) -> Self {
        Self::Rejected(Failure::new(kind, message))
    }
}
