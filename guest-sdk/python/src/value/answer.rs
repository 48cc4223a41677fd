//! Turns what a step returned into its answer.

use core::time::Duration;

use bue_model::guest::CallRequest;
use bue_model::job::Hints;
use bue_model::{Answer, FailureKind};
use rustpython_vm::builtins::{PyFloat, PyInt, PyTuple};
use rustpython_vm::{AsObject, Py, PyObject, PyObjectRef, VirtualMachine};

use super::encode::{encode, encode_env};
use super::stream;
use crate::error::CallError;
use crate::guest::Guest;
use crate::python::{explain, to_text};

/// The longest delay a step may ask for, in seconds: a hundred years.
const MAX_DELAY_SECONDS: f64 = 100.0 * 365.0 * 86_400.0;

/// The parts of a `Result(status, env, priority, velocity, data)`, of a tuple that means the same, or of a bare status.
struct StepResult {
    status: PyObjectRef,
    env: PyObjectRef,
    priority: PyObjectRef,
    data: PyObjectRef,
    delay: PyObjectRef,
}

/// Returns the answer that a result means.
pub(crate) fn into_answer(
    guest: &Guest,
    result: &PyObject,
    request: &CallRequest,
    vm: &VirtualMachine,
) -> Result<Answer, CallError> {
    let Some(parts) = step_result(guest, result, vm)? else {
        return completed(guest, result, Hints::default(), request, vm);
    };
    match status_name(guest, &parts.status, vm)?.as_str() {
        "success" => {
            let hints = hints(guest, &parts, vm)?;
            completed(guest, &parts.data, hints, request, vm)
        }
        "pending" => Ok(Answer::Pending { delay_ms: delay(guest, &parts.delay, vm)? }),
        "reset" => Ok(Answer::Reset { delay_ms: delay(guest, &parts.delay, vm)? }),
        "cancel" => Ok(Answer::Cancelled),
        "error" => Err(CallError::rejected(FailureKind::Raised, error_message(&parts.data, vm))),
        other => Err(CallError::rejected(
            FailureKind::BadResult,
            format!("`{other}` is not an answer of a step; return success, pending, reset, cancel or error"),
        )),
    }
}

/// The parts of a result that carries a status; `None` for a plain value.
fn step_result(guest: &Guest, result: &PyObject, vm: &VirtualMachine) -> Result<Option<StepResult>, CallError> {
    let none = || vm.ctx.none();
    if result.fast_isinstance(&guest.types.result) {
        let get = |name: &'static str| result.get_attr(name, vm);
        let (status, env, priority) = (get("status")?, get("env")?, get("priority")?);
        return Ok(Some(StepResult { status, env, priority, data: get("data")?, delay: get("delay")? }));
    }
    if result.fast_isinstance(&guest.types.status) {
        let status = result.to_owned();
        return Ok(Some(StepResult { status, env: none(), priority: none(), data: none(), delay: none() }));
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
    Ok(Some(StepResult { status: status.clone(), env, priority, data, delay: none() }))
}

fn tuple_too_long(count: usize) -> String {
    format!(
        "a tuple that begins with a StepStatus has at most 5 elements (status, env, priority, velocity, data); this one \
         has {count}. Return Result(status=…, data=…)"
    )
}

/// The name of the status. `None` means success; a number or a name is accepted in place of a `StepStatus`.
fn status_name(guest: &Guest, status: &PyObject, vm: &VirtualMachine) -> Result<String, CallError> {
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

fn hints(guest: &Guest, parts: &StepResult, vm: &VirtualMachine) -> Result<Hints, CallError> {
    Ok(Hints { priority: priority(guest, &parts.priority, vm)?, env: encode_env(guest, &parts.env, vm)? })
}

fn priority(guest: &Guest, value: &PyObject, vm: &VirtualMachine) -> Result<Option<i64>, CallError> {
    if vm.is_none(value) {
        return Ok(None);
    }
    let number = value.downcast_ref::<PyInt>().and_then(|number| i64::try_from(number.as_bigint()).ok());
    number.map(Some).ok_or_else(|| {
        let repr = explain(&guest.helpers.short_repr, value, vm);
        CallError::rejected(FailureKind::BadResult, format!("a priority is a 64-bit integer, not {repr}"))
    })
}

/// A delay in seconds or as a `timedelta`, converted to milliseconds.
fn delay(guest: &Guest, value: &PyObject, vm: &VirtualMachine) -> Result<Option<u64>, CallError> {
    if vm.is_none(value) {
        return Ok(None);
    }
    let seconds = if let Some(seconds) = value.downcast_ref::<PyFloat>() {
        Some(seconds.to_f64())
    } else if value.downcast_ref::<PyInt>().is_some() {
        value.try_float(vm).ok().map(|seconds| seconds.to_f64())
    } else {
        let total = vm.call_method(value, "total_seconds", ()).ok();
        total.and_then(|total| total.downcast_ref::<PyFloat>().map(Py::to_f64))
    };
    match seconds {
        Some(seconds) if (0.0..=MAX_DELAY_SECONDS).contains(&seconds) => {
            Ok(u64::try_from(Duration::from_secs_f64(seconds).as_millis()).ok())
        }
        _ => {
            let repr = explain(&guest.helpers.short_repr, value, vm);
            Err(CallError::rejected(
                FailureKind::BadResult,
                format!("a delay is a number of seconds from 0 to {MAX_DELAY_SECONDS}, not {repr}"),
            ))
        }
    }
}

fn error_message(data: &PyObject, vm: &VirtualMachine) -> String {
    const MAX_CHARS: usize = 4000;
    match vm.is_none(data) {
        true => "the step returned error without a message (data=…)".to_owned(),
        false => {
            to_text(data, vm).unwrap_or_else(|_| "the step returned error".to_owned()).chars().take(MAX_CHARS).collect()
        }
    }
}

fn completed(
    guest: &Guest,
    data: &PyObject,
    hints: Hints,
    request: &CallRequest,
    vm: &VirtualMachine,
) -> Result<Answer, CallError> {
    if request.stream {
        stream::emit(guest, data, request, vm)?;
        return Ok(Answer::Completed { value: bytes(Vec::new()), streamed: true, hints });
    }
    let value = match stream::generator(guest, data, vm)? {
        Some(items) => stream::collect(guest, &items, request.max_result, vm)?,
        None => encode(guest, data, request.max_result, vm)?,
    };
    Ok(Answer::Completed { value: bytes(value), streamed: false, hints })
}

fn bytes(value: Vec<u8>) -> bytes::Bytes {
    value.into()
}
