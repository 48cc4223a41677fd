//! Exceptions as failures.

use bue_model::{Failure, FailureKind};
use rustpython_vm::VirtualMachine;
use rustpython_vm::builtins::PyBaseExceptionRef;

/// What a raised exception is to the host.
pub(crate) fn raised(kind: FailureKind, error: &PyBaseExceptionRef, vm: &VirtualMachine) -> Failure {
    let mut trace = String::new();
    let _ = vm.write_exception(&mut trace, error);
    let message = trace.trim_end().lines().last().unwrap_or_default().to_owned();
    Failure { kind, message, trace: Some(trace), retry_after_ms: None }
}
