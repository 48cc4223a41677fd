//! `bue_call`: one step.

use bue_model::guest::CallRequest;
use bue_model::{Answer, Failure, FailureKind};
use rustpython_vm::builtins::{PyCode, PyCoroutine, PyDict, PyModule};
use rustpython_vm::function::FuncArgs;
use rustpython_vm::{AsObject, PyObject, PyObjectRef, PyResult, VirtualMachine};

use crate::answer::answer;
use crate::decode::decode;
use crate::failure::{Stop, not_started, raised, text};
use crate::interpreter::{Guest, Loaded, enter};
use crate::python::with_keyword;

/// Wrappers a function may stand in (`functools.wraps`) and still be seen to want `mut`.
const MOST_WRAPPERS: usize = 16;

/// Run a step and say what came of it.
pub(crate) fn call(request: CallRequest) -> Answer {
    let inputs = request.inputs.len();
    let answered = enter(|guest, vm| {
        let answered = run(guest, request, vm).map_err(|stop| match stop {
            Stop::Refused(failure) => failure,
            Stop::Raised(error) => raised(guest, FailureKind::Raised, &error, None, vm),
            Stop::Called(error) => raised(guest, FailureKind::Raised, &error, Some(inputs), vm),
        });
        flush(vm);
        answered
    });
    answered.unwrap_or_else(|| Err(not_started())).unwrap_or_else(Answer::Failed)
}

/// What was printed without a newline is the host's now.
pub(crate) fn flush(vm: &VirtualMachine) {
    for name in ["stdout", "stderr"] {
        // a step may have closed them, or put something else in their place
        let _ = vm.sys_module.get_attr(name, vm).and_then(|stream| vm.call_method(&stream, "flush", ()));
    }
}

fn run(guest: &Guest, mut request: CallRequest, vm: &VirtualMachine) -> Result<Answer, Stop> {
    let loaded = guest.loaded.get().ok_or_else(|| Stop::refused(FailureKind::Internal, "no module is loaded"))?;
    refresh(loaded, vm)?;
    let function = find(guest, loaded, &request.function, vm)?;
    fill_env(guest, &request, vm)?;
    let inputs = decode_inputs(guest, &mut request, vm)?;
    let arguments = match wants_mut(&function, vm) {
        true => with_keyword(inputs, "mut", vm.ctx.new_dict().into()),
        false => FuncArgs::from(inputs),
    };
    let returned = function.call_with_args(arguments, vm).map_err(Stop::Called)?;
    let result = awaited(guest, returned, vm)?;
    answer(guest, &result, &request, vm)
}

/// Give this instance chance of its own: what the image holds of it, every instance holds.
fn refresh(loaded: &Loaded, vm: &VirtualMachine) -> PyResult<()> {
    let Some(unseeded) = &loaded.unseeded else { return Ok(()) };
    // RustPython seeds from this generator, whose state lies in the image
    rand::rng().reseed().map_err(|error| vm.new_os_error(format!("no random numbers: {error}")))?;
    for generator in unseeded {
        vm.call_method(generator, "seed", ())?;
    }
    Ok(())
}

fn find(guest: &Guest, loaded: &Loaded, name: &str, vm: &VirtualMachine) -> Result<PyObjectRef, Stop> {
    let direct =
        loaded.module.downcast_ref::<PyModule>().and_then(|module| module.dict().get_item_opt(name, vm).ok()?);
    let found = match direct {
        Some(function) => function,
        None => guest.helpers.find.call((loaded.module.clone(), name.to_owned()), vm)?,
    };
    if found.is_callable() {
        return Ok(found);
    }
    let words = guest.helpers.missing.call((loaded.module.clone(), name.to_owned(), found), vm)?;
    Err(Stop::Refused(Failure::new(FailureKind::BadCode, text(&words, vm)?)))
}

fn fill_env(guest: &Guest, request: &CallRequest, vm: &VirtualMachine) -> Result<(), Stop> {
    let Some(bytes) = &request.env else { return Ok(()) };
    let given = decode(guest, bytes, vm)?;
    let (Some(env), Some(given)) = (guest.helpers.env.downcast_ref::<PyDict>(), given.downcast_ref::<PyDict>()) else {
        return Err(Stop::refused(FailureKind::Internal, "the env is no map"));
    };
    for (key, value) in given.items_vec() {
        env.set_item(key.as_object(), value, vm)?;
    }
    Ok(())
}

/// The inputs as objects. The bytes of each are given back before the next: they may be most of the memory.
fn decode_inputs(guest: &Guest, request: &mut CallRequest, vm: &VirtualMachine) -> Result<Vec<PyObjectRef>, Stop> {
    let inputs = core::mem::take(&mut request.inputs).into_iter().enumerate();
    inputs
        .map(|(index, bytes)| decode(guest, &bytes, vm).map_err(|stop| bad_input(stop, index, &request.function)))
        .collect()
}

fn bad_input(stop: Stop, index: usize, function: &str) -> Stop {
    match stop {
        Stop::Refused(failure) => {
            let message = format!("input {} of `{function}` cannot be read: {}", index + 1, failure.message);
            Stop::Refused(Failure { message, ..failure })
        }
        raised => raised,
    }
}

/// Is one of its parameters called `mut`?
fn wants_mut(function: &PyObject, vm: &VirtualMachine) -> bool {
    let mut function = function.to_owned();
    for _ in 0..MOST_WRAPPERS {
        let code = function.get_attr("__code__", vm).ok();
        if code.is_some_and(|code| code.downcast_ref::<PyCode>().is_some_and(has_mut)) {
            return true;
        }
        match function.get_attr("__wrapped__", vm).or_else(|_| function.get_attr("__func__", vm)) {
            Ok(inner) => function = inner,
            Err(_) => return false,
        }
    }
    false
}

fn has_mut(code: &rustpython_vm::Py<PyCode>) -> bool {
    let parameters = code.arg_count + code.kwonlyarg_count;
    code.varnames.iter().take(parameters as usize).any(|name| name.as_str() == "mut")
}

/// What an `async def` gives in the end; anything else is what it is.
fn awaited(guest: &Guest, result: PyObjectRef, vm: &VirtualMachine) -> PyResult {
    match result.downcast_ref::<PyCoroutine>() {
        Some(_) => guest.helpers.run.call((result,), vm),
        None => Ok(result),
    }
}
