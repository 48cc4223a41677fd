//! What a returned value means.

use core::time::Duration;

use bue_model::guest::CallRequest;
use bue_model::job::Hints;
use bue_model::{Answer, FailureKind};
use rustpython_vm::builtins::{PyFloat, PyInt, PyTuple};
use rustpython_vm::{AsObject, Py, PyObject, PyObjectRef, VirtualMachine};

use crate::encode::{encode, encode_env};
use crate::failure::{Stop, text, words};
use crate::interpreter::Guest;
use crate::stream;

/// Seconds a step may ask to wait: a hundred years.
const LONGEST_DELAY: f64 = 100.0 * 365.0 * 86_400.0;

/// What a step said: `Result(status, env, priority, velocity, data)`, one of the tuples that mean the same, or a value.
struct Said {
    status: PyObjectRef,
    env: PyObjectRef,
    priority: PyObjectRef,
    data: PyObjectRef,
    delay: PyObjectRef,
}

/// The answer a result stands for.
pub(crate) fn answer(
    guest: &Guest,
    result: &PyObject,
    request: &CallRequest,
    vm: &VirtualMachine,
) -> Result<Answer, Stop> {
    let Some(said) = said(guest, result, vm)? else {
        return completed(guest, result, Hints::default(), request, vm);
    };
    match status_name(guest, &said.status, vm)?.as_str() {
        "success" => {
            let hints = hints(guest, &said, vm)?;
            completed(guest, &said.data, hints, request, vm)
        }
        "pending" => Ok(Answer::Pending { delay_ms: delay(guest, &said.delay, vm)? }),
        "reset" => Ok(Answer::Reset { delay_ms: delay(guest, &said.delay, vm)? }),
        "cancel" => Ok(Answer::Cancelled),
        "error" => Err(Stop::refused(FailureKind::Raised, error_message(&said.data, vm))),
        other => Err(Stop::refused(
            FailureKind::BadResult,
            format!("`{other}` is no answer of a step; return success, pending, reset, cancel or error"),
        )),
    }
}

fn said(guest: &Guest, result: &PyObject, vm: &VirtualMachine) -> Result<Option<Said>, Stop> {
    let none = || vm.ctx.none();
    if result.fast_isinstance(&guest.types.result) {
        let get = |name: &'static str| result.get_attr(name, vm);
        let (status, env, priority) = (get("status")?, get("env")?, get("priority")?);
        return Ok(Some(Said { status, env, priority, data: get("data")?, delay: get("delay")? }));
    }
    if result.fast_isinstance(&guest.types.status) {
        let status = result.to_owned();
        return Ok(Some(Said { status, env: none(), priority: none(), data: none(), delay: none() }));
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
        _ => return Err(Stop::refused(FailureKind::BadResult, long_tuple(parts.len()))),
    };
    Ok(Some(Said { status: status.clone(), env, priority, data, delay: none() }))
}

fn long_tuple(count: usize) -> String {
    format!(
        "a tuple that begins with a StepStatus has at most 5 elements (status, env, priority, velocity, data); this one \
         has {count}. Return Result(status=…, data=…)"
    )
}

/// The status as its name. `None` is success; the number or the name does as well as the `StepStatus` itself.
fn status_name(guest: &Guest, status: &PyObject, vm: &VirtualMachine) -> Result<String, Stop> {
    if vm.is_none(status) {
        return Ok("success".to_owned());
    }
    let member = match status.fast_isinstance(&guest.types.status) {
        true => status.to_owned(),
        false => by_value(guest, status, vm)?,
    };
    Ok(text(&*member.get_attr("name", vm)?, vm)?)
}

fn by_value(guest: &Guest, status: &PyObject, vm: &VirtualMachine) -> Result<PyObjectRef, Stop> {
    let class = guest.types.status.as_object();
    let found = class.call((status.to_owned(),), vm).or_else(|_| class.get_item(status, vm));
    found.map_err(|_| {
        let shown = words(&guest.helpers.short, status, vm);
        Stop::refused(FailureKind::BadResult, format!("{shown} is no status; take one of bue.StepStatus"))
    })
}

fn hints(guest: &Guest, said: &Said, vm: &VirtualMachine) -> Result<Hints, Stop> {
    Ok(Hints { priority: priority(guest, &said.priority, vm)?, env: encode_env(guest, &said.env, vm)? })
}

fn priority(guest: &Guest, value: &PyObject, vm: &VirtualMachine) -> Result<Option<i64>, Stop> {
    if vm.is_none(value) {
        return Ok(None);
    }
    let number = value.downcast_ref::<PyInt>().and_then(|number| i64::try_from(number.as_bigint()).ok());
    number.map(Some).ok_or_else(|| {
        let shown = words(&guest.helpers.short, value, vm);
        Stop::refused(FailureKind::BadResult, format!("a priority is an integer of 64 bits, not {shown}"))
    })
}

/// Seconds as milliseconds.
fn delay(guest: &Guest, value: &PyObject, vm: &VirtualMachine) -> Result<Option<u64>, Stop> {
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
        Some(seconds) if (0.0..=LONGEST_DELAY).contains(&seconds) => {
            Ok(u64::try_from(Duration::from_secs_f64(seconds).as_millis()).ok())
        }
        _ => {
            let shown = words(&guest.helpers.short, value, vm);
            Err(Stop::refused(
                FailureKind::BadResult,
                format!("a delay is a number of seconds from 0 to {LONGEST_DELAY}, not {shown}"),
            ))
        }
    }
}

fn error_message(data: &PyObject, vm: &VirtualMachine) -> String {
    const MOST: usize = 4000;
    match vm.is_none(data) {
        true => "the step said error, without a message (data=…)".to_owned(),
        false => text(data, vm).unwrap_or_else(|_| "the step said error".to_owned()).chars().take(MOST).collect(),
    }
}

fn completed(
    guest: &Guest,
    data: &PyObject,
    hints: Hints,
    request: &CallRequest,
    vm: &VirtualMachine,
) -> Result<Answer, Stop> {
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
