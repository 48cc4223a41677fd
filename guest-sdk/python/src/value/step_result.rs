//! The forms in which a step returns a status: `Result`, `StepStatus`, and tuples that begin with a `StepStatus`.

use bue_model::FailureKind;
use rustpython_vm::builtins::PyTuple;
use rustpython_vm::{AsObject, Py, PyObject, PyObjectRef, VirtualMachine};

use crate::error::CallError;
use crate::guest::Guest;
use crate::python::{explain, to_text};

/// The parts of a `Result(status, env, priority, velocity, data)`, of a tuple that means the same, or of a bare status.
pub(super) struct StepResult {
    pub(super) status: PyObjectRef,
    pub(super) env: PyObjectRef,
    pub(super) priority: PyObjectRef,
    pub(super) data: PyObjectRef,
    pub(super) delay: PyObjectRef,
    /// Where the job runs next if it is pending, or where those that depend on it run if it is done.
    pub(super) scope: PyObjectRef,
    /// Buelon's names for the first and for the second of these.
    pub(super) self_scope: PyObjectRef,
    pub(super) next_scope: PyObjectRef,
}

impl StepResult {
    /// A result of a form that has no other parts.
    fn plain(
        status: PyObjectRef,
        env: PyObjectRef,
        priority: PyObjectRef,
        data: PyObjectRef,
        vm: &VirtualMachine,
    ) -> Self {
        let none = || vm.ctx.none();
        Self { status, env, priority, data, delay: none(), scope: none(), self_scope: none(), next_scope: none() }
    }
}

/// Is it a `Result`, a `StepStatus`, or a tuple that begins with a `StepStatus`?
pub(super) fn is_answer(guest: &Guest, value: &PyObject) -> bool {
    let is_status = |value: &PyObject| value.fast_isinstance(&guest.types.status);
    let first = value.downcast_ref::<PyTuple>().and_then(|tuple| tuple.as_slice().first());
    value.fast_isinstance(&guest.types.result) || is_status(value) || first.is_some_and(|first| is_status(first))
}

/// The parts of a result that carries a status; `None` for a plain value.
pub(super) fn step_result(
    guest: &Guest,
    result: &PyObject,
    vm: &VirtualMachine,
) -> Result<Option<StepResult>, CallError> {
    let none = || vm.ctx.none();
    if result.fast_isinstance(&guest.types.result) {
        let get = |name: &'static str| result.get_attr(name, vm);
        return Ok(Some(StepResult {
            status: get("status")?,
            env: get("env")?,
            priority: get("priority")?,
            data: get("data")?,
            delay: get("delay")?,
            scope: get("scope")?,
            self_scope: get("self_scope")?,
            next_scope: get("next_scope")?,
        }));
    }
    if result.fast_isinstance(&guest.types.status) {
        return Ok(Some(StepResult::plain(result.to_owned(), none(), none(), none(), vm)));
    }
    let Some(parts) = result.downcast_ref::<PyTuple>().map(Py::as_slice) else { return Ok(None) };
    let Some(status) = parts.first().filter(|first| first.fast_isinstance(&guest.types.status)) else {
        return Ok(None);
    };
    let (env, priority, data) = match parts {
        [_] => (none(), none(), none()),
        [_, data] => (none(), none(), data.clone()),
        [_, env, data] => (env.clone(), none(), data.clone()),
        [_, env, priority, data] | [_, env, priority, _, data] => (env.clone(), priority.clone(), data.clone()),
        _ => return Err(CallError::rejected(FailureKind::BadResult, tuple_too_long(parts.len()))),
    };
    Ok(Some(StepResult::plain(status.clone(), env, priority, data, vm)))
}

fn tuple_too_long(count: usize) -> String {
    format!(
        "a tuple that begins with a StepStatus has at most 5 elements (status, env, priority, velocity, data); this one \
         has {count}. Return Result(status=…, data=…)"
    )
}

/// The name of the status. `None` means success; a number or a name is accepted in place of a `StepStatus`.
pub(super) fn status_name(guest: &Guest, status: &PyObject, vm: &VirtualMachine) -> Result<String, CallError> {
    if vm.is_none(status) {
        return Ok("success".to_owned());
    }
    let member = match status.fast_isinstance(&guest.types.status) {
        true => status.to_owned(),
        false => status_from_value(guest, status, vm)?,
    };
    Ok(to_text(&*member.get_attr("name", vm)?, vm)?)
}

fn status_from_value(guest: &Guest, status: &PyObject, vm: &VirtualMachine) -> Result<PyObjectRef, CallError> {
    let class = guest.types.status.as_object();
    let member = class.call((status.to_owned(),), vm).or_else(|_| class.get_item(status, vm));
    member.map_err(|_| {
        let repr = explain(&guest.helpers.short_repr, status, vm);
        CallError::rejected(FailureKind::BadResult, format!("{repr} is not a status; use one of bue.StepStatus"))
    })
}
