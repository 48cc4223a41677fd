//! Results whose elements come one after the other.

use bue_model::FailureKind;
use bue_model::cbor::array_head;
use bue_model::guest::{CallRequest, HostRequest};
use rustpython_vm::builtins::{PyAsyncGen, PyByteArray, PyBytes, PyDict, PyGenerator, PyStr};
use rustpython_vm::protocol::{PyIter, PyIterReturn};
use rustpython_vm::{PyObject, PyObjectRef, PyResult, VirtualMachine};

use crate::abi::tell_host;
use crate::encode::Writer;
use crate::failure::{Stop, words};
use crate::interpreter::Guest;
use crate::refusal::Place;

/// A batch is sent when it has this many bytes …
const BATCH_BYTES: usize = 48 * 1024;
/// … or this many elements.
const BATCH_ITEMS: u32 = 1000;

/// The iterator of a generator or an async generator; nothing else is taken for a list where nobody asked for one.
pub(crate) fn generator(guest: &Guest, value: &PyObject, vm: &VirtualMachine) -> PyResult<Option<PyIter>> {
    if value.downcast_ref::<PyAsyncGen>().is_some() {
        return guest.helpers.iterate.call((value.to_owned(),), vm)?.get_iter(vm).map(Some);
    }
    match value.downcast_ref::<PyGenerator>() {
        Some(_) => value.get_iter(vm).map(Some),
        None => Ok(None),
    }
}

/// All elements as one CBOR array.
pub(crate) fn collect(guest: &Guest, items: &PyIter, max: u64, vm: &VirtualMachine) -> Result<Vec<u8>, Stop> {
    let mut writer = Writer::new(guest, max, vm);
    let mut count: u64 = 0;
    while let PyIterReturn::Return(item) = items.next(vm)? {
        writer.put_at(&item, Place::Element(count))?;
        count += 1;
    }
    let mut array = array_head(count);
    array.append(&mut writer.take());
    Ok(array)
}

/// Send the elements of a result to the host while they come.
pub(crate) fn emit(guest: &Guest, value: &PyObject, request: &CallRequest, vm: &VirtualMachine) -> Result<(), Stop> {
    let items = elements(guest, value, request, vm)?;
    let mut writer = Writer::new(guest, request.max_result, vm);
    let (mut index, mut count): (u64, u32) = (0, 0);
    while let PyIterReturn::Return(item) = items.next(vm)? {
        let before = writer.len();
        writer.begin();
        writer.put_at(&item, Place::Element(index))?;
        (index, count) = (index + 1, count + 1);
        // an element too many for one batch begins the next
        if before > 0 && writer.len() as u64 > request.max_result.min(2 * BATCH_BYTES as u64) {
            let last = writer.split_off(before);
            send(&mut writer, count - 1);
            writer.put_back(last);
            count = 1;
        }
        if writer.len() >= BATCH_BYTES || count == BATCH_ITEMS {
            send(&mut writer, count);
            count = 0;
        }
    }
    if count > 0 {
        send(&mut writer, count);
    }
    Ok(())
}

fn send(writer: &mut Writer<'_>, count: u32) {
    let mut items = array_head(u64::from(count));
    items.append(&mut writer.take());
    tell_host(&HostRequest::Emit { count, items: items.into() });
}

/// Anything a list may be made of, but what has elements and is one thing all the same.
fn elements(guest: &Guest, value: &PyObject, request: &CallRequest, vm: &VirtualMachine) -> Result<PyIter, Stop> {
    if let Some(items) = generator(guest, value, vm)? {
        return Ok(items);
    }
    let one_thing = value.downcast_ref::<PyStr>().is_some()
        || value.downcast_ref::<PyBytes>().is_some()
        || value.downcast_ref::<PyByteArray>().is_some()
        || value.downcast_ref::<PyDict>().is_some();
    if one_thing || !is_iterable(value, vm) {
        return Err(Stop::refused(FailureKind::BadResult, no_list(guest, value, request, vm)));
    }
    Ok(value.get_iter(vm)?)
}

fn is_iterable(value: &PyObject, vm: &VirtualMachine) -> bool {
    let class: PyObjectRef = value.class().to_owned().into();
    [vm.ctx.intern_str("__iter__"), vm.ctx.intern_str("__getitem__")]
        .into_iter()
        .any(|name| class.get_attr(name, vm).is_ok_and(|method| !vm.is_none(&method)))
}

/// `` `for account in accounts() (line 12)` needs a list; `accounts` returned a text: 'abc…'. Return a list, or yield.``
fn no_list(guest: &Guest, value: &PyObject, request: &CallRequest, vm: &VirtualMachine) -> String {
    let for_loop = request.loop_text.as_ref().map_or_else(|| "the loop".to_owned(), |text| format!("`{text}`"));
    let kind = words(&guest.helpers.kind, value, vm);
    let shown = match vm.is_none(value) {
        true => String::new(),
        false => format!(": {}", words(&guest.helpers.short, value, vm)),
    };
    format!("{for_loop} needs a list; `{}` returned {kind}{shown}. Return a list, or yield", request.function)
}
