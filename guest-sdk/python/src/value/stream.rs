//! Results whose elements are sent one batch at a time.

use core::cell::RefCell;
use core::time::Duration;
use std::time::Instant;

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
/// … or, if the result still grows, after this time: the rounds of a loop wait for it.
const MAX_DELAY: Duration = Duration::from_millis(20);
/// Elements of a batch of which each looks at the clock …
const FEW_ITEMS: u32 = 8;
/// … and of the others, each of so many.
const CLOCK_INTERVAL: u32 = 32;

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

/// Send the elements of a result to the host while they are produced. Of a result that still grows (`early`), those that wait are also
/// sent when the step waits for something, and after a while.
pub(super) fn emit(
    guest: &Guest,
    elements: &mut Elements,
    request: &CallRequest,
    early: bool,
    vm: &VirtualMachine,
) -> Result<(), CallError> {
    let mut writer = ValueWriter::new(guest, request.max_result, vm);
    let mut batches = Batches::new(early);
    let max_items = request.batch_items.min(MAX_BATCH_ITEMS);
    loop {
        batches.lend(&mut writer);
        let next = elements.next(guest, vm);
        batches.take_back(&mut writer);
        let Some((index, element)) = next? else { break };
        let before = writer.len();
        writer.start_element();
        writer.write_root(&element, Root::Element(index))?;
        batches.count += 1;
        // an element that would make the batch too large starts the next one
        if before > 0 && writer.len() as u64 > request.max_result.min(2 * BATCH_BYTES as u64) {
            let last = writer.split_off(before);
            batches.count -= 1;
            batches.send(&mut writer);
            writer.restore(last);
            batches.count = 1;
        }
        if writer.len() >= BATCH_BYTES || batches.count >= max_items || batches.is_due() {
            batches.send(&mut writer);
        }
    }
    if batches.count > 0 {
        batches.send(&mut writer);
    }
    Ok(())
}

thread_local! {
    /// The elements that wait to be sent while the step produces the next one: their number, and their bytes.
    static WAITING: RefCell<(u32, Vec<u8>)> = const { RefCell::new((0, Vec::new())) };
}

/// Sends the elements that wait. Called before the step waits for something.
pub(crate) fn send_waiting() {
    let (count, bytes) = WAITING.take();
    if count > 0 {
        send_batch(count, bytes, true);
    }
}

/// The batches of a result.
struct Batches {
    early: bool,
    /// Elements of the next one.
    count: u32,
    last_sent: Instant,
}

impl Batches {
    fn new(early: bool) -> Self {
        Self { early, count: 0, last_sent: Instant::now() }
    }

    /// Lets the step, which produces the next element, send the elements before it if it waits.
    fn lend(&self, writer: &mut ValueWriter<'_>) {
        if self.early && self.count > 0 {
            WAITING.replace((self.count, writer.take()));
        }
    }

    fn take_back(&mut self, writer: &mut ValueWriter<'_>) {
        if self.early && self.count > 0 {
            let (count, bytes) = WAITING.take();
            self.count = count;
            writer.restore(bytes);
        }
    }

    /// Whether the first element has waited for long enough. The clock costs more than a small element, so it is not looked at for each
    /// one of many.
    fn is_due(&self) -> bool {
        let is_looked_at = self.early && (self.count <= FEW_ITEMS || self.count.is_multiple_of(CLOCK_INTERVAL));
        is_looked_at && self.last_sent.elapsed() >= MAX_DELAY
    }

    fn send(&mut self, writer: &mut ValueWriter<'_>) {
        send_batch(self.count, writer.take(), self.early);
        self.count = 0;
        if self.early {
            self.last_sent = Instant::now();
        }
    }
}

fn send_batch(count: u32, mut bytes: Vec<u8>, early: bool) {
    let mut items = array_head(u64::from(count));
    items.append(&mut bytes);
    let len = items.len();
    notify(&HostRequest::Emit { count, items: items.into(), early }, len);
}

/// The elements that a loop runs over, and whether the step still runs while they are produced: those of a list, a tuple, a set, or of
/// what [`Elements::from_result`] accepts.
pub(super) fn loop_elements(
    guest: &Guest,
    value: &PyObject,
    request: &CallRequest,
    vm: &VirtualMachine,
) -> Result<(Elements, bool), CallError> {
    if let Some(elements) = Elements::from_result(guest, value, vm)? {
        return Ok((elements, true));
    }
    let is_single_value = value.downcast_ref::<PyStr>().is_some()
        || value.downcast_ref::<PyBytes>().is_some()
        || value.downcast_ref::<PyByteArray>().is_some()
        || value.downcast_ref::<PyMemoryView>().is_some()
        || value.downcast_ref::<PyDict>().is_some();
    match is_single_value || !is_iterable(value, vm) {
        true => Err(CallError::rejected(FailureKind::BadResult, not_a_list(guest, value, request, vm))),
        false => Ok((Elements::from_iterable(value, vm)?, false)),
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
