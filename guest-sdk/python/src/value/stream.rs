//! Results whose elements are sent one batch at a time.

use bue_model::FailureKind;
use bue_model::cbor::array_head;
use bue_model::guest::{CallRequest, HostRequest};
use rustpython_vm::builtins::{PyAsyncGen, PyByteArray, PyBytes, PyDict, PyGenerator, PyStr};
use rustpython_vm::protocol::{PyIter, PyIterReturn};
use rustpython_vm::{PyObject, PyObjectRef, PyResult, VirtualMachine};

use super::encode::ValueWriter;
use super::encode_error::Root;
use crate::error::CallError;
use crate::guest::Guest;
use crate::host::notify;
use crate::python::explain;

/// A batch is sent when it has at least this many bytes …
const BATCH_BYTES: usize = 48 * 1024;
/// … or this many elements.
const MAX_BATCH_ITEMS: u32 = 1000;

/// The iterator of a generator or an async generator. Other iterables do not become lists unless a loop asks for one.
pub(super) fn generator(guest: &Guest, value: &PyObject, vm: &VirtualMachine) -> PyResult<Option<PyIter>> {
    if value.downcast_ref::<PyAsyncGen>().is_some() {
        return guest.helpers.iterate.call((value.to_owned(),), vm)?.get_iter(vm).map(Some);
    }
    match value.downcast_ref::<PyGenerator>() {
        Some(_) => value.get_iter(vm).map(Some),
        None => Ok(None),
    }
}

/// Encode all elements as one CBOR array.
pub(super) fn collect(guest: &Guest, items: &PyIter, max: u64, vm: &VirtualMachine) -> Result<Vec<u8>, CallError> {
    let mut writer = ValueWriter::new(guest, max, vm);
    let mut count: u64 = 0;
    while let PyIterReturn::Return(item) = items.next(vm)? {
        writer.write_root(&item, Root::Element(count))?;
        count += 1;
    }
    let mut array = array_head(count);
    array.append(&mut writer.take());
    Ok(array)
}

/// Send the elements of a result to the host while they are produced.
pub(super) fn emit(
    guest: &Guest,
    value: &PyObject,
    request: &CallRequest,
    vm: &VirtualMachine,
) -> Result<(), CallError> {
    let items = elements(guest, value, request, vm)?;
    let mut writer = ValueWriter::new(guest, request.max_result, vm);
    let (mut index, mut count): (u64, u32) = (0, 0);
    while let PyIterReturn::Return(item) = items.next(vm)? {
        let before = writer.len();
        writer.start_element();
        writer.write_root(&item, Root::Element(index))?;
        (index, count) = (index + 1, count + 1);
        // an element that would make the batch too large starts the next one
        if before > 0 && writer.len() as u64 > request.max_result.min(2 * BATCH_BYTES as u64) {
            let last = writer.split_off(before);
            send_batch(&mut writer, count - 1);
            writer.restore(last);
            count = 1;
        }
        if writer.len() >= BATCH_BYTES || count == MAX_BATCH_ITEMS {
            send_batch(&mut writer, count);
            count = 0;
        }
    }
    if count > 0 {
        send_batch(&mut writer, count);
    }
    Ok(())
}

fn send_batch(writer: &mut ValueWriter<'_>, count: u32) {
    let mut items = array_head(u64::from(count));
    items.append(&mut writer.take());
    notify(&HostRequest::Emit { count, items: items.into() });
}

/// An iterator over any iterable, except strings, bytes and dicts, which are single values for a loop.
fn elements(guest: &Guest, value: &PyObject, request: &CallRequest, vm: &VirtualMachine) -> Result<PyIter, CallError> {
    if let Some(items) = generator(guest, value, vm)? {
        return Ok(items);
    }
    let is_single_value = value.downcast_ref::<PyStr>().is_some()
        || value.downcast_ref::<PyBytes>().is_some()
        || value.downcast_ref::<PyByteArray>().is_some()
        || value.downcast_ref::<PyDict>().is_some();
    if is_single_value || !is_iterable(value, vm) {
        return Err(CallError::rejected(FailureKind::BadResult, not_a_list(guest, value, request, vm)));
    }
    Ok(value.get_iter(vm)?)
}

fn is_iterable(value: &PyObject, vm: &VirtualMachine) -> bool {
    let class: PyObjectRef = value.class().to_owned().into();
    [vm.ctx.intern_str("__iter__"), vm.ctx.intern_str("__getitem__")]
        .into_iter()
        .any(|name| class.get_attr(name, vm).is_ok_and(|method| !vm.is_none(&method)))
}

/// `` `for account in accounts() (line 12)` needs a list; `accounts` returned a string: 'abc…'. Return a list, or yield.``
fn not_a_list(guest: &Guest, value: &PyObject, request: &CallRequest, vm: &VirtualMachine) -> String {
    let for_loop = request.loop_text.as_ref().map_or_else(|| "the loop".to_owned(), |text| format!("`{text}`"));
    let kind = explain(&guest.helpers.kind, value, vm);
    let repr = match vm.is_none(value) {
        true => String::new(),
        false => format!(": {}", explain(&guest.helpers.short_repr, value, vm)),
    };
    format!("{for_loop} needs a list; `{}` returned {kind}{repr}. Return a list, or yield", request.function)
}
