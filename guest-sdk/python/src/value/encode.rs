//! Encodes Python objects as CBOR, without an intermediate tree.

use bue_model::FailureKind;
use bue_model::cbor::{
    MAX_DEPTH, TAG_DATE, TAG_DATETIME, TAG_DECIMAL, TAG_LOCAL_DATETIME, TAG_NEGATIVE, TAG_POSITIVE, TAG_SET, TAG_TIME,
    TAG_TUPLE, TAG_UUID, datetime_tag,
};
use bue_model::job::INLINE_LIMIT;
use bytes::Bytes;
use malachite_bigint::{BigInt, Sign};
use minicbor::data::Tag;
use minicbor::encode::Encoder;
use rustpython_vm::builtins::{
    PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PyMemoryView, PySet, PyStr, PyTuple,
};
use rustpython_vm::{AsObject, Py, PyObject, PyObjectRef, PyResult, VirtualMachine};

use super::encode_error::{CHANGED_WHILE_READ, EncodeResult, Reason, Root, Segment, fail, or_raised};
use crate::error::CallError;
use crate::guest::Guest;
use crate::python::{Temporal, explain, to_text};

/// Encode a whole result. A tuple becomes a list here; only inside other values it stays a tuple.
pub(super) fn encode(guest: &Guest, value: &PyObject, max: u64, vm: &VirtualMachine) -> Result<Vec<u8>, CallError> {
    let mut writer = ValueWriter::new(guest, max, vm);
    writer.write_root(value, Root::Result)?;
    Ok(writer.take())
}

/// Encode `Result(env=…)`: a dict small enough to be stored in the row of every dependent job. `None` if it is empty.
pub(super) fn encode_env(guest: &Guest, env: &PyObject, vm: &VirtualMachine) -> Result<Option<Bytes>, CallError> {
    if vm.is_none(env) {
        return Ok(None);
    }
    let Some(dict) = env.downcast_ref::<PyDict>() else {
        let kind = explain(&guest.helpers.kind, env, vm);
        return Err(CallError::rejected(FailureKind::BadResult, format!("the env of a Result is a dict, not {kind}")));
    };
    if dict.is_empty() {
        return Ok(None);
    }
    let mut writer = ValueWriter::new(guest, INLINE_LIMIT as u64, vm);
    writer.write_root(env, Root::Env)?;
    Ok(Some(writer.take().into()))
}

/// Writes values one after the other.
pub(super) struct ValueWriter<'a> {
    guest: &'a Guest,
    vm: &'a VirtualMachine,
    bytes: Vec<u8>,
    /// The limit in bytes, for one result or one element.
    max: u64,
    /// The length of `bytes` at which the limit is reached.
    end: u64,
    /// The ids of the containers around the value being written, the outermost first.
    containers: Vec<usize>,
    /// Levels of CBOR around it, counted as decoders count them.
    depth: usize,
}

impl<'a> ValueWriter<'a> {
    /// A writer for values of at most `max` bytes in total.
    pub(super) fn new(guest: &'a Guest, max: u64, vm: &'a VirtualMachine) -> Self {
        Self { guest, vm, bytes: Vec::new(), max, end: max, containers: Vec::new(), depth: 0 }
    }

    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Start an element that may have `max` bytes, regardless of what is written already.
    pub(super) const fn start_element(&mut self) {
        self.end = self.max.saturating_add(self.bytes.len() as u64);
    }

    /// Take the written bytes and leave the writer empty.
    pub(super) fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.bytes)
    }

    pub(super) fn split_off(&mut self, at: usize) -> Vec<u8> {
        self.bytes.split_off(at)
    }

    pub(super) fn restore(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes;
    }

    /// Write a whole value. The error says where and why it cannot be encoded.
    pub(super) fn write_root(&mut self, value: &PyObject, root: Root) -> Result<(), CallError> {
        let written = match value.downcast_ref::<PyTuple>() {
            Some(tuple) if matches!(root, Root::Result) => self.write_items(value, None, tuple.as_slice()),
            _ => self.write_value(value),
        };
        // each value checks the limit before it is written, so the last one still has to be checked
        let written = written.and_then(|()| self.check_room(0));
        written.map_err(|error| error.into_call_error(root, self.max, self.guest, self.vm))
    }

    fn write_value(&mut self, value: &PyObject) -> EncodeResult {
        if self.bytes.len() as u64 > self.end {
            return fail(Reason::TooLarge);
        }
        if self.depth >= MAX_DEPTH {
            return fail(self.too_deep_reason());
        }
        if let Some(text) = value.downcast_ref::<PyStr>() {
            self.write_text(text)
        } else if let Some(number) = value.downcast_ref::<PyInt>() {
            self.write_int(value, number)
        } else if let Some(number) = value.downcast_ref::<PyFloat>() {
            self.encode(|encoder| encoder.f64(number.to_f64()).is_ok())
        } else if self.vm.is_none(value) {
            self.encode(|encoder| encoder.null().is_ok())
        } else if let Some(dict) = value.downcast_ref::<PyDict>() {
            self.write_dict(value, dict)
        } else if let Some(list) = value.downcast_ref::<PyList>() {
            self.write_list(value, list)
        } else if let Some(tuple) = value.downcast_ref::<PyTuple>() {
            self.write_items(value, Some(TAG_TUPLE), tuple.as_slice())
        } else {
            self.write_rarer(value)
        }
    }

    fn write_rarer(&mut self, value: &PyObject) -> EncodeResult {
        let types = &self.guest.types;
        if let Some(bytes) = value.downcast_ref::<PyBytes>() {
            self.write_bytes(bytes.as_bytes())
        } else if let Some(bytes) = value.downcast_ref::<PyByteArray>() {
            self.write_bytes(&bytes.borrow_buf())
        } else if let Some(set) = value.downcast_ref::<PySet>() {
            self.write_items(value, Some(TAG_SET), &set.elements())
        } else if let Some(set) = value.downcast_ref::<PyFrozenSet>() {
            self.write_items(value, Some(TAG_SET), &set.elements())
        } else if value.downcast_ref::<PyMemoryView>().is_some() {
            self.write_view(value)
        } else if value.fast_isinstance(&types.uuid) {
            self.write_uuid(value)
        } else if value.fast_isinstance(&types.datetime.class) {
            self.write_temporal(value, &types.datetime, None)
        } else if value.fast_isinstance(&types.date.class) {
            self.write_temporal(value, &types.date, Some(TAG_DATE))
        } else if value.fast_isinstance(&types.time.class) {
            self.write_temporal(value, &types.time, Some(TAG_TIME))
        } else if value.fast_isinstance(&types.decimal) {
            self.write_decimal(value)
        } else {
            fail(Reason::Unsupported(value.to_owned()))
        }
    }

    /// Writing into a `Vec` cannot fail; the closure returns a bool only to keep its type simple.
    fn encode(&mut self, write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> bool) -> EncodeResult {
        let ok = write(&mut Encoder::new(&mut self.bytes));
        debug_assert!(ok);
        Ok(())
    }

    /// Checked before bytes are copied, not after: a string may be as large as the memory.
    fn check_room(&self, len: usize) -> EncodeResult {
        match (self.bytes.len() + len) as u64 > self.end {
            true => fail(Reason::TooLarge),
            false => Ok(()),
        }
    }

    fn write_text(&mut self, text: &Py<PyStr>) -> EncodeResult {
        let Some(text) = text.to_str() else {
            return fail(Reason::Invalid(
                "is a string with a lone surrogate, which is not valid Unicode; encode it to bytes",
            ));
        };
        self.check_room(text.len())?;
        self.encode(|encoder| encoder.str(text).is_ok())
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> EncodeResult {
        self.check_room(bytes.len())?;
        self.encode(|encoder| encoder.bytes(bytes).is_ok())
    }

    fn write_view(&mut self, value: &PyObject) -> EncodeResult {
        let bytes = or_raised(value.to_owned().bytes(self.vm))?;
        match bytes.downcast_ref::<PyBytes>() {
            Some(bytes) => self.write_bytes(bytes.as_bytes()),
            None => fail(Reason::Unsupported(value.to_owned())),
        }
    }

    fn write_int(&mut self, value: &PyObject, number: &Py<PyInt>) -> EncodeResult {
        if value.is(&self.vm.ctx.true_value) {
            return self.encode(|encoder| encoder.bool(true).is_ok());
        }
        if value.is(&self.vm.ctx.false_value) {
            return self.encode(|encoder| encoder.bool(false).is_ok());
        }
        self.write_integer(number.as_bigint())
    }

    fn write_integer(&mut self, number: &BigInt) -> EncodeResult {
        if let Ok(number) = i64::try_from(number) {
            return self.encode(|encoder| encoder.i64(number).is_ok());
        }
        let (tag, magnitude) = match number.sign() {
            Sign::Minus => (TAG_NEGATIVE, (-(number + BigInt::from(1))).to_bytes_be().1),
            _ => (TAG_POSITIVE, number.to_bytes_be().1),
        };
        self.check_room(magnitude.len())?;
        self.encode(|encoder| encoder.tag(Tag::new(tag)).and_then(|encoder| encoder.bytes(&magnitude)).is_ok())
    }

    fn write_uuid(&mut self, value: &PyObject) -> EncodeResult {
        let number = or_raised(value.get_attr("int", self.vm))?;
        let number = number.downcast_ref::<PyInt>().and_then(|number| u128::try_from(number.as_bigint()).ok());
        match number {
            Some(number) => self.encode(|encoder| {
                encoder.tag(Tag::new(TAG_UUID)).and_then(|encoder| encoder.bytes(&number.to_be_bytes())).is_ok()
            }),
            None => fail(Reason::Unsupported(value.to_owned())),
        }
    }

    fn write_temporal(&mut self, value: &PyObject, temporal: &Temporal, tag: Option<u64>) -> EncodeResult {
        let text =
            or_raised(temporal.to_iso.call((value.to_owned(),), self.vm).and_then(|iso| to_text(&iso, self.vm)))?;
        let tag = tag.unwrap_or_else(|| datetime_tag(&text));
        debug_assert!(matches!(tag, TAG_DATE | TAG_TIME | TAG_DATETIME | TAG_LOCAL_DATETIME));
        self.encode(|encoder| encoder.tag(Tag::new(tag)).and_then(|encoder| encoder.str(&text)).is_ok())
    }

    /// `mantissa * 10^exponent`. Infinity and NaN have neither.
    fn write_decimal(&mut self, value: &PyObject) -> EncodeResult {
        // decoders count a decimal's two numbers two levels deeper
        if self.depth + 2 >= MAX_DEPTH {
            return fail(Reason::TooDeep);
        }
        let Some((mantissa, exponent)) = or_raised(self.decimal_parts(value))? else {
            return fail(Reason::Invalid("is a decimal that is not a number (NaN or Infinity); return None instead"));
        };
        self.encode(|encoder| {
            encoder
                .tag(Tag::new(TAG_DECIMAL))
                .and_then(|encoder| encoder.array(2))
                .and_then(|encoder| encoder.i64(exponent))
                .is_ok()
        })?;
        self.write_integer(&mantissa)
    }

    fn decimal_parts(&self, value: &PyObject) -> PyResult<Option<(BigInt, i64)>> {
        let vm = self.vm;
        if value.get_attr("_is_special", vm)?.is_true(vm)? {
            return Ok(None);
        }
        let digits = to_text(&*value.get_attr("_int", vm)?, vm)?;
        let exponent = value.get_attr("_exp", vm)?;
        let exponent = exponent.downcast_ref::<PyInt>().and_then(|exponent| i64::try_from(exponent.as_bigint()).ok());
        let (Ok(digits), Some(exponent)) = (digits.parse::<BigInt>(), exponent) else { return Ok(None) };
        let is_negative = value.get_attr("_sign", vm)?.is_true(vm)?;
        Ok(Some((if is_negative { -digits } else { digits }, exponent)))
    }

    fn write_list(&mut self, value: &PyObject, list: &Py<PyList>) -> EncodeResult {
        // hold no borrow while elements are written: reading an element may run code that changes the list
        let count = list.borrow_vec().len();
        self.enter(value, 1)?;
        self.encode(|encoder| encoder.array(count as u64).is_ok())?;
        for index in 0..count {
            let item = list.borrow_vec().get(index).cloned();
            let Some(item) = item else { return fail(CHANGED_WHILE_READ) };
            self.write_value(&item).map_err(|error| error.within(Segment::Index(index)))?;
        }
        self.leave(1);
        Ok(())
    }

    fn write_items(&mut self, value: &PyObject, tag: Option<u64>, items: &[PyObjectRef]) -> EncodeResult {
        let levels = if tag.is_some() { 2 } else { 1 };
        self.enter(value, levels)?;
        if let Some(tag) = tag {
            self.encode(|encoder| encoder.tag(Tag::new(tag)).is_ok())?;
        }
        self.encode(|encoder| encoder.array(items.len() as u64).is_ok())?;
        for (index, item) in items.iter().enumerate() {
            self.write_value(item).map_err(|error| error.within(Segment::Index(index)))?;
        }
        self.leave(levels);
        Ok(())
    }

    fn write_dict(&mut self, value: &PyObject, dict: &Py<PyDict>) -> EncodeResult {
        if value.fast_isinstance(&self.guest.types.ordered_dict) {
            return self.write_ordered(value);
        }
        let count = dict.__len__();
        self.enter(value, 1)?;
        self.encode(|encoder| encoder.map(count as u64).is_ok())?;
        let (mut position, mut seen) = (0, 0);
        while let Some((next, key, item)) = dict.next_entry(position) {
            (position, seen) = (next, seen + 1);
            if seen > count {
                return fail(CHANGED_WHILE_READ);
            }
            self.write_value(&key).map_err(|error| error.within(Segment::Key(key.clone())))?;
            self.write_value(&item).map_err(|error| error.within(Segment::Key(key)))?;
        }
        self.leave(1);
        if seen == count { Ok(()) } else { fail(CHANGED_WHILE_READ) }
    }

    /// An `OrderedDict` keeps its order separately from the underlying dict.
    fn write_ordered(&mut self, value: &PyObject) -> EncodeResult {
        let vm = self.vm;
        let items = or_raised(vm.call_method(value, "items", ()))?;
        let items = or_raised(vm.extract_elements_with(&items, Ok))?;
        self.enter(value, 1)?;
        self.encode(|encoder| encoder.map(items.len() as u64).is_ok())?;
        for item in items {
            let [key, item] = key_and_value(&item) else { return fail(CHANGED_WHILE_READ) };
            self.write_value(key).map_err(|error| error.within(Segment::Key(key.clone())))?;
            self.write_value(item).map_err(|error| error.within(Segment::Key(key.clone())))?;
        }
        self.leave(1);
        Ok(())
    }

    fn enter(&mut self, container: &PyObject, levels: usize) -> EncodeResult {
        if self.depth + levels >= MAX_DEPTH {
            return fail(self.too_deep_reason());
        }
        self.depth += levels;
        self.containers.push(container.get_id());
        Ok(())
    }

    fn leave(&mut self, levels: usize) {
        self.depth -= levels;
        self.containers.pop();
    }

    /// Is the value only deep, or does it contain itself?
    fn too_deep_reason(&self) -> Reason {
        let repeated = |inner: usize| {
            self.containers[..inner].iter().position(|id| *id == self.containers[inner]).map(|outer| (outer, inner))
        };
        match (1..self.containers.len()).find_map(repeated) {
            Some((outer, inner)) => Reason::Circular { outer, inner },
            None => Reason::TooDeep,
        }
    }
}

fn key_and_value(item: &PyObject) -> &[PyObjectRef] {
    item.downcast_ref::<PyTuple>().map_or(&[], |parts| parts.as_slice())
}
