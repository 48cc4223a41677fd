//! Results whose elements are sent one batch at a time.

use bue_guest_contract::host::notify;
use bue_model::FailureKind;
use bue_model::cbor::array_head;
use bue_model::guest::{CallRequest, HostRequest};
use rustpython_vm::builtins::{PyByteArray, PyBytes, PyDict, PyMemoryView, PyStr};
use rustpython_vm::{PyObject, VirtualMachine};

use super::elements::{Elements, is_iterable};
use super::encode::ValueWriter;
use super::encode_error::Root;
use crate::error::CallError;
use crate::guest::Guest;
use crate::python::explain;

/// A batch is sent when it has at least this many bytes …
const BATCH_BYTES: usize = 48 * 1024;
/// … or this many elements.
const MAX_BATCH_ITEMS: u32 = 1000;

/// Encode all elements as one CBOR array.
pub(super) fn collect(
    guest: &Guest,
    elements: &mut Elements,
    max: u64,
    vm: &VirtualMachine,
) -> Result<Vec<u8>, CallError> {
    let mut writer = ValueWriter::new(guest, max, vm);
    while let Some((index, element)) = elements.next(guest, vm)? {
        writer.write_root(&element, Root::Element(index))?;
    }
    let mut array = array_head(elements.count());
    array.append(&mut writer.take());
    Ok(array)
}

/// Send the elements of a result to the host while they are produced.
pub(super) fn emit(
    guest: &Guest,
    elements: &mut Elements,
    request: &CallRequest,
    vm: &VirtualMachine,
) -> Result<(), CallError> {
    let mut writer = ValueWriter::new(guest, request.max_result, vm);
    let mut count: u32 = 0;
    while let Some((index, element)) = elements.next(guest, vm)? {
        let before = writer.len();
        writer.start_element();
        writer.write_root(&element, Root::Element(index))?;
        count += 1;
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
    let len = items.len();
    notify(&HostRequest::Emit { count, items: items.into() }, len);
}

/// The elements that a loop runs over: those of a list, a tuple, a set, or of what [`Elements::from_result`] accepts.
pub(super) fn loop_elements(
    guest: &Guest,
    value: &PyObject,
    request: &CallRequest,
    vm: &VirtualMachine,
) -> Result<Elements, CallError> {
    if let Some(elements) = Elements::from_result(guest, value, vm)? {
        return Ok(elements);
    }
    let is_single_value = value.downcast_ref::<PyStr>().is_some()
        || value.downcast_ref::<PyBytes>().is_some()
        || value.downcast_ref::<PyByteArray>().is_some()
        || value.downcast_ref::<PyMemoryView>().is_some()
        || value.downcast_ref::<PyDict>().is_some();
    match is_single_value || !is_iterable(value, vm) {
        true => Err(CallError::rejected(FailureKind::BadResult, not_a_list(guest, value, request, vm))),
        false => Ok(Elements::from_iterable(value, vm)?),
    }
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
