//! Python objects to CBOR, with no tree between.

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

use crate::failure::{Stop, text, words};
use crate::interpreter::Guest;
use crate::python::Temporal;
use crate::refusal::{CHANGED, Part, Place, Reason, Written, or_raised, refuse};

/// A whole result. A tuple is a list here: only inside other values it stays one.
pub(crate) fn encode(guest: &Guest, value: &PyObject, max: u64, vm: &VirtualMachine) -> Result<Vec<u8>, Stop> {
    let mut writer = Writer::new(guest, max, vm);
    writer.put_at(value, Place::Whole)?;
    Ok(writer.take())
}

/// `Result(env=…)`: a dict that is small enough to stand in a row of every dependant. An empty one says nothing.
pub(crate) fn encode_env(guest: &Guest, env: &PyObject, vm: &VirtualMachine) -> Result<Option<Bytes>, Stop> {
    if vm.is_none(env) {
        return Ok(None);
    }
    let Some(dict) = env.downcast_ref::<PyDict>() else {
        let kind = words(&guest.helpers.kind, env, vm);
        return Err(Stop::refused(FailureKind::BadResult, format!("the env of a Result is a dict, not {kind}")));
    };
    if dict.is_empty() {
        return Ok(None);
    }
    let mut writer = Writer::new(guest, INLINE_LIMIT as u64, vm);
    writer.put_at(env, Place::Env)?;
    Ok(Some(writer.take().into()))
}

/// Writes values one behind the other.
pub(crate) struct Writer<'a> {
    guest: &'a Guest,
    vm: &'a VirtualMachine,
    bytes: Vec<u8>,
    /// The limit, as messages name it.
    max: u64,
    /// Where writing must stop.
    end: u64,
    /// Containers around the value being written, the outermost first.
    open: Vec<usize>,
    /// Levels of CBOR around it, counted as its readers count them.
    depth: usize,
}

impl<'a> Writer<'a> {
    /// For values of at most `max` bytes together.
    pub(crate) fn new(guest: &'a Guest, max: u64, vm: &'a VirtualMachine) -> Self {
        Self { guest, vm, bytes: Vec::new(), max, end: max, open: Vec::new(), depth: 0 }
    }

    pub(crate) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What comes now may have `max` bytes of its own, whatever is written already.
    pub(crate) const fn begin(&mut self) {
        self.end = self.max.saturating_add(self.bytes.len() as u64);
    }

    /// What is written.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.bytes)
    }

    pub(crate) fn split_off(&mut self, at: usize) -> Vec<u8> {
        self.bytes.split_off(at)
    }

    pub(crate) fn put_back(&mut self, bytes: Vec<u8>) {
        self.bytes = bytes;
    }

    /// Write a value, or say where and why it cannot be.
    pub(crate) fn put_at(&mut self, value: &PyObject, place: Place) -> Result<(), Stop> {
        let written = match value.downcast_ref::<PyTuple>() {
            Some(tuple) if matches!(place, Place::Whole) => self.put_items(value, None, tuple.as_slice()),
            _ => self.put(value),
        };
        // values look at the limit before they are written, so the last one still has to
        let written = written.and_then(|()| self.check_room(0));
        written.map_err(|refusal| refusal.explain(place, self.max, self.guest, self.vm))
    }

    fn put(&mut self, value: &PyObject) -> Written {
        if self.bytes.len() as u64 > self.end {
            return refuse(Reason::TooLarge);
        }
        if self.depth >= MAX_DEPTH {
            return refuse(self.too_deep());
        }
        if let Some(text) = value.downcast_ref::<PyStr>() {
            self.put_text(text)
        } else if let Some(number) = value.downcast_ref::<PyInt>() {
            self.put_int(value, number)
        } else if let Some(number) = value.downcast_ref::<PyFloat>() {
            self.write(|to| to.f64(number.to_f64()).is_ok())
        } else if self.vm.is_none(value) {
            self.write(|to| to.null().is_ok())
        } else if let Some(dict) = value.downcast_ref::<PyDict>() {
            self.put_dict(value, dict)
        } else if let Some(list) = value.downcast_ref::<PyList>() {
            self.put_list(value, list)
        } else if let Some(tuple) = value.downcast_ref::<PyTuple>() {
            self.put_items(value, Some(TAG_TUPLE), tuple.as_slice())
        } else {
            self.put_rarer(value)
        }
    }

    fn put_rarer(&mut self, value: &PyObject) -> Written {
        let types = &self.guest.types;
        if let Some(bytes) = value.downcast_ref::<PyBytes>() {
            self.put_bytes(bytes.as_bytes())
        } else if let Some(bytes) = value.downcast_ref::<PyByteArray>() {
            self.put_bytes(&bytes.borrow_buf())
        } else if let Some(set) = value.downcast_ref::<PySet>() {
            self.put_items(value, Some(TAG_SET), &set.elements())
        } else if let Some(set) = value.downcast_ref::<PyFrozenSet>() {
            self.put_items(value, Some(TAG_SET), &set.elements())
        } else if value.downcast_ref::<PyMemoryView>().is_some() {
            self.put_view(value)
        } else if value.fast_isinstance(&types.uuid) {
            self.put_uuid(value)
        } else if value.fast_isinstance(&types.datetime.class) {
            self.put_temporal(value, &types.datetime, None)
        } else if value.fast_isinstance(&types.date.class) {
            self.put_temporal(value, &types.date, Some(TAG_DATE))
        } else if value.fast_isinstance(&types.time.class) {
            self.put_temporal(value, &types.time, Some(TAG_TIME))
        } else if value.fast_isinstance(&types.decimal) {
            self.put_decimal(value)
        } else {
            refuse(Reason::Kind(value.to_owned()))
        }
    }

    /// Writing into a `Vec` cannot fail; the closure's answer only keeps its types simple.
    fn write(&mut self, write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> bool) -> Written {
        let done = write(&mut Encoder::new(&mut self.bytes));
        debug_assert!(done);
        Ok(())
    }

    /// Before bytes are copied, not after: a text may be as large as the memory.
    fn check_room(&self, len: usize) -> Written {
        match (self.bytes.len() + len) as u64 > self.end {
            true => refuse(Reason::TooLarge),
            false => Ok(()),
        }
    }

    fn put_text(&mut self, text: &Py<PyStr>) -> Written {
        let Some(text) = text.to_str() else {
            return refuse(Reason::Words("is a text with a lone surrogate, which is no Unicode; encode it to bytes"));
        };
        self.check_room(text.len())?;
        self.write(|to| to.str(text).is_ok())
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> Written {
        self.check_room(bytes.len())?;
        self.write(|to| to.bytes(bytes).is_ok())
    }

    fn put_view(&mut self, value: &PyObject) -> Written {
        let bytes = or_raised(value.to_owned().bytes(self.vm))?;
        match bytes.downcast_ref::<PyBytes>() {
            Some(bytes) => self.put_bytes(bytes.as_bytes()),
            None => refuse(Reason::Kind(value.to_owned())),
        }
    }

    fn put_int(&mut self, value: &PyObject, number: &Py<PyInt>) -> Written {
        if value.is(&self.vm.ctx.true_value) {
            return self.write(|to| to.bool(true).is_ok());
        }
        if value.is(&self.vm.ctx.false_value) {
            return self.write(|to| to.bool(false).is_ok());
        }
        self.put_integer(number.as_bigint())
    }

    fn put_integer(&mut self, number: &BigInt) -> Written {
        if let Ok(number) = i64::try_from(number) {
            return self.write(|to| to.i64(number).is_ok());
        }
        let (tag, magnitude) = match number.sign() {
            Sign::Minus => (TAG_NEGATIVE, (-(number + BigInt::from(1))).to_bytes_be().1),
            _ => (TAG_POSITIVE, number.to_bytes_be().1),
        };
        self.check_room(magnitude.len())?;
        self.write(|to| to.tag(Tag::new(tag)).and_then(|to| to.bytes(&magnitude)).is_ok())
    }

    fn put_uuid(&mut self, value: &PyObject) -> Written {
        let number = or_raised(value.get_attr("int", self.vm))?;
        let number = number.downcast_ref::<PyInt>().and_then(|number| u128::try_from(number.as_bigint()).ok());
        match number {
            Some(number) => {
                self.write(|to| to.tag(Tag::new(TAG_UUID)).and_then(|to| to.bytes(&number.to_be_bytes())).is_ok())
            }
            None => refuse(Reason::Kind(value.to_owned())),
        }
    }

    fn put_temporal(&mut self, value: &PyObject, temporal: &Temporal, tag: Option<u64>) -> Written {
        let text = or_raised(temporal.to_iso.call((value.to_owned(),), self.vm).and_then(|iso| text(&iso, self.vm)))?;
        let tag = tag.unwrap_or_else(|| datetime_tag(&text));
        debug_assert!(matches!(tag, TAG_DATE | TAG_TIME | TAG_DATETIME | TAG_LOCAL_DATETIME));
        self.write(|to| to.tag(Tag::new(tag)).and_then(|to| to.str(&text)).is_ok())
    }

    /// `mantissa * 10^exponent`. Infinity and NaN have neither.
    fn put_decimal(&mut self, value: &PyObject) -> Written {
        // a decimal's two numbers stand two levels deeper for its readers
        if self.depth + 2 >= MAX_DEPTH {
            return refuse(Reason::TooDeep);
        }
        let Some((mantissa, exponent)) = or_raised(self.decimal_parts(value))? else {
            return refuse(Reason::Words("is a decimal that is no number (NaN or Infinity); return None instead"));
        };
        self.write(|to| {
            to.tag(Tag::new(TAG_DECIMAL)).and_then(|to| to.array(2)).and_then(|to| to.i64(exponent)).is_ok()
        })?;
        self.put_integer(&mantissa)
    }

    fn decimal_parts(&self, value: &PyObject) -> PyResult<Option<(BigInt, i64)>> {
        let vm = self.vm;
        if value.get_attr("_is_special", vm)?.is_true(vm)? {
            return Ok(None);
        }
        let digits = text(&*value.get_attr("_int", vm)?, vm)?;
        let exponent = value.get_attr("_exp", vm)?;
        let exponent = exponent.downcast_ref::<PyInt>().and_then(|exponent| i64::try_from(exponent.as_bigint()).ok());
        let (Ok(digits), Some(exponent)) = (digits.parse::<BigInt>(), exponent) else { return Ok(None) };
        let is_negative = value.get_attr("_sign", vm)?.is_true(vm)?;
        Ok(Some((if is_negative { -digits } else { digits }, exponent)))
    }

    fn put_list(&mut self, value: &PyObject, list: &Py<PyList>) -> Written {
        // no borrow is held while elements are written: a property of theirs may change the list
        let count = list.borrow_vec().len();
        self.enter(value, 1)?;
        self.write(|to| to.array(count as u64).is_ok())?;
        for index in 0..count {
            let item = list.borrow_vec().get(index).cloned();
            let Some(item) = item else { return refuse(CHANGED) };
            self.put(&item).map_err(|refusal| refusal.at(Part::Index(index)))?;
        }
        self.leave(1);
        Ok(())
    }

    fn put_items(&mut self, value: &PyObject, tag: Option<u64>, items: &[PyObjectRef]) -> Written {
        let levels = if tag.is_some() { 2 } else { 1 };
        self.enter(value, levels)?;
        if let Some(tag) = tag {
            self.write(|to| to.tag(Tag::new(tag)).is_ok())?;
        }
        self.write(|to| to.array(items.len() as u64).is_ok())?;
        for (index, item) in items.iter().enumerate() {
            self.put(item).map_err(|refusal| refusal.at(Part::Index(index)))?;
        }
        self.leave(levels);
        Ok(())
    }

    fn put_dict(&mut self, value: &PyObject, dict: &Py<PyDict>) -> Written {
        if value.fast_isinstance(&self.guest.types.ordered_dict) {
            return self.put_ordered(value);
        }
        let count = dict.__len__();
        self.enter(value, 1)?;
        self.write(|to| to.map(count as u64).is_ok())?;
        let (mut position, mut seen) = (0, 0);
        while let Some((next, key, item)) = dict.next_entry(position) {
            (position, seen) = (next, seen + 1);
            if seen > count {
                return refuse(CHANGED);
            }
            self.put(&key).map_err(|refusal| refusal.at(Part::Key(key.clone())))?;
            self.put(&item).map_err(|refusal| refusal.at(Part::Key(key)))?;
        }
        self.leave(1);
        if seen == count { Ok(()) } else { refuse(CHANGED) }
    }

    /// An `OrderedDict` keeps its order beside the dict it is.
    fn put_ordered(&mut self, value: &PyObject) -> Written {
        let vm = self.vm;
        let items = or_raised(vm.call_method(value, "items", ()))?;
        let items = or_raised(vm.extract_elements_with(&items, Ok))?;
        self.enter(value, 1)?;
        self.write(|to| to.map(items.len() as u64).is_ok())?;
        for item in items {
            let [key, item] = pair(&item) else { return refuse(CHANGED) };
            self.put(key).map_err(|refusal| refusal.at(Part::Key(key.clone())))?;
            self.put(item).map_err(|refusal| refusal.at(Part::Key(key.clone())))?;
        }
        self.leave(1);
        Ok(())
    }

    fn enter(&mut self, container: &PyObject, levels: usize) -> Written {
        if self.depth + levels >= MAX_DEPTH {
            return refuse(self.too_deep());
        }
        self.depth += levels;
        self.open.push(container.get_id());
        Ok(())
    }

    fn leave(&mut self, levels: usize) {
        self.depth -= levels;
        self.open.pop();
    }

    /// Too deep because it is deep, or because it contains itself?
    fn too_deep(&self) -> Reason {
        let twice = |inner: usize| self.open[..inner].iter().position(|id| *id == self.open[inner]).map(|o| (o, inner));
        match (1..self.open.len()).find_map(twice) {
            Some((outer, inner)) => Reason::Circular { outer, inner },
            None => Reason::TooDeep,
        }
    }
}

fn pair(item: &PyObject) -> &[PyObjectRef] {
    item.downcast_ref::<PyTuple>().map_or(&[], |parts| parts.as_slice())
}
