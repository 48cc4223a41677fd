//! `bue_call`: executes one step.

use bue_model::guest::CallRequest;
use bue_model::{Answer, Failure, FailureKind};
use rustpython_vm::builtins::{PyCode, PyCoroutine, PyDict, PyList, PyModule};
use rustpython_vm::function::{FuncArgs, KwArgs};
use rustpython_vm::{AsObject, Py, PyObject, PyObjectRef, PyResult, VirtualMachine};

use crate::error::CallError;
use crate::failure::{from_exception, not_started};
use crate::guest::{Guest, LoadedModule};
use crate::interpreter::{enter, with_guest};
use crate::interrupt;
use crate::net::set_tcp_rules;
use crate::python::{explain, to_text};
use crate::rows;
use crate::stdio::flush;
use crate::value::answer::into_answer;
use crate::value::decode::{ListReader, decode, decode_some};

/// Elements of the input of a fused step that are objects at a time. Each batch costs a call from Python.
const MAX_BATCH_ITEMS: usize = 256;

/// Encoded bytes after which a batch gets no further element: the objects take about ten times as much memory.
const MAX_BATCH_BYTES: usize = 64 * 1024;

/// Nested wrappers (`functools.wraps`) that are searched for the parameter `mut`.
const MAX_WRAPPERS: usize = 16;

/// Execute a step and return its answer.
pub(crate) fn call(request: CallRequest) -> Answer {
    let inputs = request.inputs.len();
    let outcome = enter(|guest, vm| {
        let outcome = execute(guest, request, vm);
        // what follows is not the step's code
        interrupt::disarm();
        let outcome = outcome.map_err(|error| match error {
            CallError::Rejected(failure) => failure,
            CallError::Raised(error) => from_exception(guest, FailureKind::Raised, &error, None, vm),
            CallError::CallRaised(error) => from_exception(guest, FailureKind::Raised, &error, Some(inputs), vm),
        });
        flush(vm);
        outcome
    });
    outcome.unwrap_or_else(|| Err(not_started())).unwrap_or_else(Answer::Failed)
}

fn execute(guest: &Guest, mut request: CallRequest, vm: &VirtualMachine) -> Result<Answer, CallError> {
    let loaded = guest.module.get();
    let loaded = loaded.ok_or_else(|| CallError::rejected(FailureKind::Internal, "no module is loaded"))?;
    reseed(loaded, vm)?;
    let function = find_function(guest, loaded, &request.function, vm)?;
    fill_env(guest, &request, vm)?;
    set_variables(guest, &request, vm)?;
    set_tcp_rules(core::mem::take(&mut request.tcp));
    let mut inputs = match function.fast_isinstance(&guest.types.fused) {
        true => first_rows(guest, &mut request, vm)?.into_iter().collect(),
        false => Vec::<PyObjectRef>::new(),
    };
    let decoded = decode_inputs(guest, &mut request, inputs.len(), vm)?;
    inputs.extend(decoded);
    let mut keywords = decode_keywords(guest, &request, vm)?;
    if takes_mut(&function, vm) {
        keywords.insert("mut".into(), vm.ctx.new_dict().into());
    }
    set_soft_limit(guest, &request, vm)?;
    let returned = function.call_with_args(FuncArgs::new(inputs, keywords), vm).map_err(CallError::CallRaised)?;
    let result = await_coroutine(guest, returned, vm)?;
    let answer = into_answer(guest, &result, &request, vm)?;
    finish_threads(guest, vm)?;
    expect_closed_values(guest, vm)?;
    Ok(answer)
}

/// Fail if the step has not closed a value that it writes: it would be lost.
fn expect_closed_values(guest: &Guest, vm: &VirtualMachine) -> PyResult<()> {
    match is_empty_list(&guest.helpers.unclosed_values) {
        true => Ok(()),
        false => guest.helpers.refuse_unclosed_values.call((), vm).map(drop),
    }
}

fn is_empty_list(object: &PyObject) -> bool {
    object.downcast_ref::<PyList>().is_none_or(|list| list.borrow_vec().is_empty())
}

/// Run the threads that the step has started and not waited for. Most steps start none.
fn finish_threads(guest: &Guest, vm: &VirtualMachine) -> PyResult<()> {
    match is_empty_list(&guest.helpers.queued_threads) {
        true => Ok(()),
        false => guest.helpers.finish_threads.call((), vm).map(drop),
    }
}

/// Seed the random generators: their state in the image is the same for every instance.
fn reseed(loaded: &LoadedModule, vm: &VirtualMachine) -> PyResult<()> {
    let Some(unseeded) = &loaded.unseeded else { return Ok(()) };
    // RustPython seeds from this generator, whose state is in the image too
    rand::rng().reseed().map_err(|error| vm.new_os_error(format!("no random numbers: {error}")))?;
    for generator in unseeded {
        vm.call_method(generator, "seed", ())?;
    }
    Ok(())
}

fn find_function(
    guest: &Guest,
    loaded: &LoadedModule,
    name: &str,
    vm: &VirtualMachine,
) -> Result<PyObjectRef, CallError> {
    let module = loaded.module.downcast_ref::<PyModule>();
    let direct = module.and_then(|module| module.dict().get_item_opt(name, vm).ok()?);
    let object = match direct {
        Some(function) => function,
        None => guest.helpers.find.call((loaded.module.clone(), name.to_owned()), vm)?,
    };
    if object.is_callable() {
        return Ok(object);
    }
    let message = guest.helpers.explain_missing.call((loaded.module.clone(), name.to_owned(), object), vm)?;
    Err(CallError::rejected(FailureKind::BadCode, to_text(&message, vm)?))
}

fn fill_env(guest: &Guest, request: &CallRequest, vm: &VirtualMachine) -> Result<(), CallError> {
    let Some(bytes) = &request.env else { return Ok(()) };
    let entries = decode(guest, bytes, vm)?;
    let (Some(env), Some(entries)) = (guest.helpers.env.downcast_ref::<PyDict>(), entries.downcast_ref::<PyDict>())
    else {
        return Err(CallError::rejected(FailureKind::Internal, "the env is not a map"));
    };
    for (key, value) in entries.items_vec() {
        env.set_item(key.as_object(), value, vm)?;
    }
    Ok(())
}

/// Set the environment variables. Most steps have none.
fn set_variables(guest: &Guest, request: &CallRequest, vm: &VirtualMachine) -> PyResult<()> {
    if request.environment.is_empty() {
        return Ok(());
    }
    let variables = vm.ctx.new_dict();
    for (name, value) in &request.environment {
        variables.set_item(name.as_str(), vm.ctx.new_str(value.as_str()).into(), vm)?;
    }
    guest.helpers.set_variables.call((variables,), vm).map(drop)
}

/// From now on, the step may be interrupted. Most steps have no soft limit.
fn set_soft_limit(guest: &Guest, request: &CallRequest, vm: &VirtualMachine) -> PyResult<()> {
    let Some(message) = &request.soft_limit else { return Ok(()) };
    guest.helpers.set_soft_limit.call((message.clone(),), vm)?;
    interrupt::arm(deliver_soft_limit);
    Ok(())
}

fn deliver_soft_limit(vm: &VirtualMachine) -> PyResult<()> {
    let delivered = with_guest(|guest| guest.helpers.deliver_soft_limit.call((), vm));
    delivered.map_or(Ok(()), |result| result.map(drop))
}

/// The inputs as objects. The bytes of each input are freed before the next is decoded: they may be most of the memory.
/// `before` is the number of inputs that are decoded elsewhere.
fn decode_inputs(
    guest: &Guest,
    request: &mut CallRequest,
    before: usize,
    vm: &VirtualMachine,
) -> Result<Vec<PyObjectRef>, CallError> {
    let inputs = core::mem::take(&mut request.inputs).into_iter().enumerate();
    inputs
        .map(|(index, bytes)| {
            decode(guest, &bytes, vm).map_err(|error| name_input(error, before + index, &request.function))
        })
        .collect()
}

/// An iterator over the elements of the first input, which is taken out of the request. It is decoded while it is iterated over.
fn first_rows(guest: &Guest, request: &mut CallRequest, vm: &VirtualMachine) -> Result<Option<PyObjectRef>, CallError> {
    if request.inputs.is_empty() {
        return Ok(None);
    }
    let input = request.inputs.remove(0);
    if let Some(mut reader) = ListReader::new(&input).map_err(|error| name_input(error, 0, &request.function))? {
        rows::set(Box::new(move |vm| {
            with_guest(|guest| next_rows(guest, &input, &mut reader, vm)).unwrap_or_else(|| Ok(Vec::new()))
        }));
        return Ok(Some(guest.helpers.rows.call((), vm)?));
    }
    let value = decode(guest, &input, vm).map_err(|error| name_input(error, 0, &request.function))?;
    let kind = explain(&guest.helpers.kind, &value, vm);
    let message = format!(
        "`{}` iterates over its first input, which is {kind}; the step before it returns a list, or yields the elements",
        request.function
    );
    Err(CallError::rejected(FailureKind::BadInput, message))
}

fn next_rows(guest: &Guest, input: &[u8], reader: &mut ListReader, vm: &VirtualMachine) -> PyResult<Vec<PyObjectRef>> {
    decode_some(guest, input, reader, (MAX_BATCH_ITEMS, MAX_BATCH_BYTES), vm).map_err(|error| match error {
        CallError::Raised(error) | CallError::CallRaised(error) => error,
        CallError::Rejected(failure) => vm.new_value_error(format!("the input cannot be read: {}", failure.message)),
    })
}

/// The keyword arguments that the script sets.
fn decode_keywords(guest: &Guest, request: &CallRequest, vm: &VirtualMachine) -> Result<KwArgs, CallError> {
    let mut keywords = KwArgs::default();
    let Some(bytes) = &request.keywords else { return Ok(keywords) };
    let entries = decode(guest, bytes, vm)?;
    let Some(entries) = entries.downcast_ref::<PyDict>() else {
        return Err(CallError::rejected(FailureKind::Internal, "the keyword arguments are not a map"));
    };
    for (name, value) in entries.items_vec() {
        keywords.insert(to_text(&name, vm)?.into(), value);
    }
    Ok(keywords)
}

/// Say in the message which input cannot be read.
fn name_input(error: CallError, index: usize, function: &str) -> CallError {
    match error {
        CallError::Rejected(failure) => {
            let message = format!("input {} of `{function}` cannot be read: {}", index + 1, failure.message);
            CallError::Rejected(Failure { message, ..failure })
        }
        raised => raised,
    }
}

/// Does the function have a parameter called `mut`?
fn takes_mut(function: &PyObject, vm: &VirtualMachine) -> bool {
    let mut function = function.to_owned();
    for _ in 0..MAX_WRAPPERS {
        let code = function.get_attr("__code__", vm).ok();
        if code.is_some_and(|code| code.downcast_ref::<PyCode>().is_some_and(has_mut_parameter)) {
            return true;
        }
        match function.get_attr("__wrapped__", vm).or_else(|_| function.get_attr("__func__", vm)) {
            Ok(inner) => function = inner,
            Err(_) => return false,
        }
    }
    false
}

fn has_mut_parameter(code: &Py<PyCode>) -> bool {
    let count = code.arg_count + code.kwonlyarg_count;
    code.varnames.iter().take(count as usize).any(|name| name.as_str() == "mut")
}

/// Run the coroutine of an `async def` to its result; return anything else unchanged.
fn await_coroutine(guest: &Guest, result: PyObjectRef, vm: &VirtualMachine) -> PyResult {
    match result.downcast_ref::<PyCoroutine>() {
        Some(_) => guest.helpers.run.call((result,), vm),
        None => Ok(result),
    }
}
