//! Turns what a step returned into its answer.

use core::time::Duration;

use bue_model::guest::CallRequest;
use bue_model::job::Hints;
use bue_model::{Answer, FailureKind};
use rustpython_vm::builtins::{PyFloat, PyInt, PyStr};
use rustpython_vm::{Py, PyObject, PyObjectRef, VirtualMachine};

use super::elements::Elements;
use super::encode::{encode, encode_env};
use super::step_result::{StepResult, status_name, step_result};
use super::stream;
use crate::error::CallError;
use crate::guest::Guest;
use crate::python::{explain, to_text};

/// The longest delay a step may ask for, in seconds: a hundred years.
const MAX_DELAY_SECONDS: f64 = 100.0 * 365.0 * 86_400.0;

/// Returns the answer that a result means, whether the function returned it or a generator ended with it.
pub(crate) fn into_answer(
    guest: &Guest,
    result: &PyObject,
    request: &CallRequest,
    vm: &VirtualMachine,
) -> Result<Answer, CallError> {
    let (mut result, mut hints, mut list) = (result.to_owned(), None, None::<Written>);
    loop {
        let parts = step_result(guest, &result, vm)?;
        if parts.is_some() && hints.is_some() {
            return Err(bad_result(
                "the data of a Result is a generator that ends with an answer too; return one answer",
            ));
        }
        let mut data = Some(result);
        if let Some(parts) = parts {
            if let Some(answer) = unsuccessful(guest, &parts, vm)? {
                return Ok(answer);
            }
            hints = Some(hints_of(guest, &parts, vm)?);
            // after the elements of a generator, they are the data
            data = Some(parts.data).filter(|data| list.is_none() || !vm.is_none(data));
        }
        let written = match (list, data) {
            (Some(list), None) => list,
            (Some(list), Some(data)) if list.count > 0 => return Err(two_results(guest, list.count, &data, vm)),
            (_, data) => write(guest, &data.unwrap_or_else(|| vm.ctx.none()), request, hints.is_none(), vm)?,
        };
        let Written { value, end, count } = written;
        let Some(end) = end else {
            let hints = hints.unwrap_or_default();
            return Ok(Answer::Completed { value: value.into(), streamed: request.stream, hints });
        };
        (result, list) = (end, Some(Written { value, end: None, count }));
    }
}

/// A result that is encoded, or whose elements were sent.
struct Written {
    value: Vec<u8>,
    /// What a generator ended with.
    end: Option<PyObjectRef>,
    /// The number of elements that a generator yielded before.
    count: u64,
}

/// The host may have elements before the step ends only if nothing is set for the jobs that depend on them (`is_plain`).
fn write(
    guest: &Guest,
    data: &PyObject,
    request: &CallRequest,
    is_plain: bool,
    vm: &VirtualMachine,
) -> Result<Written, CallError> {
    let (value, elements) = if request.stream {
        let (mut elements, is_growing) = stream::loop_elements(guest, data, request, vm)?;
        stream::emit(guest, &mut elements, request, is_growing && is_plain, vm)?;
        (Vec::new(), elements)
    } else if let Some(mut elements) = Elements::from_result(guest, data, vm)? {
        (stream::collect(guest, &mut elements, request.max_result, vm)?, elements)
    } else {
        return Ok(Written { value: encode(guest, data, request.max_result, vm)?, end: None, count: 0 });
    };
    Ok(Written { value, count: elements.count(), end: elements.into_end() })
}

/// The answer of every status but success.
fn unsuccessful(guest: &Guest, parts: &StepResult, vm: &VirtualMachine) -> Result<Option<Answer>, CallError> {
    match status_name(guest, &parts.status, vm)?.as_str() {
        "success" => Ok(None),
        "pending" => Ok(Some(Answer::Pending {
            delay_ms: delay(guest, &parts.delay, vm)?,
            scope: scope(guest, &parts.scope, &parts.self_scope, vm)?,
        })),
        "reset" => Ok(Some(Answer::Reset { delay_ms: delay(guest, &parts.delay, vm)? })),
        "cancel" => Ok(Some(Answer::Cancelled)),
        "error" => Err(CallError::rejected(FailureKind::Raised, error_message(&parts.data, vm))),
        other => Err(bad_result(&format!(
            "`{other}` is not an answer of a step; return success, pending, reset, cancel or error"
        ))),
    }
}

fn two_results(guest: &Guest, count: u64, data: &PyObject, vm: &VirtualMachine) -> CallError {
    let data = explain(&guest.helpers.short_repr, data, vm);
    let elements = if count == 1 { "1 element".to_owned() } else { format!("{count} elements") };
    bad_result(&format!(
        "the generator yielded {elements} and then returned {data} as well: which is the result? Yield everything, and return \
         nothing, or a Result without data"
    ))
}

fn bad_result(message: &str) -> CallError {
    CallError::rejected(FailureKind::BadResult, message)
}

fn hints_of(guest: &Guest, parts: &StepResult, vm: &VirtualMachine) -> Result<Hints, CallError> {
    Ok(Hints {
        priority: priority(guest, &parts.priority, vm)?,
        env: encode_env(guest, &parts.env, vm)?,
        scope: scope(guest, &parts.scope, &parts.next_scope, vm)?,
    })
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

/// The name of a scope, under bue's name for it or under Buelon's.
fn scope(
    guest: &Guest,
    value: &PyObject,
    of_buelon: &PyObject,
    vm: &VirtualMachine,
) -> Result<Option<String>, CallError> {
    let value = if vm.is_none(value) { of_buelon } else { value };
    if vm.is_none(value) {
        return Ok(None);
    }
    let text = value.downcast_ref::<PyStr>().and_then(|text| text.to_str()).map(str::trim);
    text.filter(|text| !text.is_empty()).map(|text| Some(text.to_owned())).ok_or_else(|| {
        let repr = explain(&guest.helpers.short_repr, value, vm);
        CallError::rejected(FailureKind::BadResult, format!("a scope is a text, such as `scope=\"gpu\"`, not {repr}"))
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
