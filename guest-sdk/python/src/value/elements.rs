//! The elements of a result that is a list without being a `list`: a generator, or another iterable.

use bue_model::FailureKind;
use rustpython_vm::builtins::{
    PyAsyncGen, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyGenerator, PyInt, PyList, PyMemoryView, PySet,
    PyStr, PyTuple,
};
use rustpython_vm::protocol::{PyIter, PyIterReturn};
use rustpython_vm::{PyObject, PyObjectRef, PyResult, VirtualMachine};

use super::step_result::is_answer;
use crate::error::CallError;
use crate::guest::Guest;
use crate::python::explain;

/// The elements, and what ends them. A generator ends with an answer if its last element is one, or if it returns one.
pub(super) struct Elements {
    iterator: PyIter,
    is_generator: bool,
    count: u64,
    end: Option<PyObjectRef>,
}

impl Elements {
    /// The elements of a generator, of an async generator, or of an object that is only an iterable. `None` for values
    /// that are encoded as they are, such as lists, tuples and sets.
    pub(super) fn from_result(guest: &Guest, value: &PyObject, vm: &VirtualMachine) -> PyResult<Option<Self>> {
        if value.downcast_ref::<PyAsyncGen>().is_some() {
            let items = guest.helpers.iterate.call((value.to_owned(),), vm)?;
            return Self::new(&items, true, vm).map(Some);
        }
        if value.downcast_ref::<PyGenerator>().is_some() {
            return Self::new(value, true, vm).map(Some);
        }
        match has_type_of_its_own(value) || !is_iterable(value, vm) {
            true => Ok(None),
            false => Self::new(value, false, vm).map(Some),
        }
    }

    /// The elements of anything that is iterable.
    pub(super) fn from_iterable(value: &PyObject, vm: &VirtualMachine) -> PyResult<Self> {
        Self::new(value, false, vm)
    }

    fn new(value: &PyObject, is_generator: bool, vm: &VirtualMachine) -> PyResult<Self> {
        Ok(Self { iterator: value.to_owned().get_iter(vm)?, is_generator, count: 0, end: None })
    }

    /// Returns the next element and its index. `None` at the end: see [`into_end`](Self::into_end).
    pub(super) fn next(&mut self, guest: &Guest, vm: &VirtualMachine) -> Result<Option<(u64, PyObjectRef)>, CallError> {
        loop {
            let element = match self.iterator.next(vm)? {
                PyIterReturn::Return(element) => element,
                PyIterReturn::StopIteration(returned) => return self.finish(returned, guest, vm).map(|()| None),
            };
            if let Some(answer) = &self.end {
                return Err(rejected(&answer_in_the_middle(guest, answer, self.count, vm)));
            }
            if !(self.is_generator && is_answer(guest, &element)) {
                self.count += 1;
                return Ok(Some((self.count - 1, element)));
            }
            // only the next element shows whether this one is the last
            self.end = Some(element);
        }
    }

    fn finish(&mut self, returned: Option<PyObjectRef>, guest: &Guest, vm: &VirtualMachine) -> Result<(), CallError> {
        let Some(returned) = returned.filter(|returned| self.is_generator && !vm.is_none(returned)) else {
            return Ok(());
        };
        match self.end.replace(returned) {
            Some(yielded) => {
                let yielded = explain(&guest.helpers.short_repr, &yielded, vm);
                Err(rejected(&format!(
                    "the generator yielded {yielded} as its last element and returned a value as well; return one answer"
                )))
            }
            None => Ok(()),
        }
    }

    /// The number of elements so far. An answer is not an element.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Returns the answer that was yielded last, or the value that the generator returned.
    pub(super) fn into_end(self) -> Option<PyObjectRef> {
        self.end
    }
}

fn answer_in_the_middle(guest: &Guest, answer: &PyObject, index: u64, vm: &VirtualMachine) -> String {
    let answer = explain(&guest.helpers.short_repr, answer, vm);
    format!(
        "result[{index}] is {answer}, and the generator yielded more after it; an answer comes last: yield values before it, \
         and return it or yield it as the last element"
    )
}

fn rejected(message: &str) -> CallError {
    CallError::rejected(FailureKind::BadResult, message)
}

/// Is it of a type that is encoded as it is?
fn has_type_of_its_own(value: &PyObject) -> bool {
    value.downcast_ref::<PyList>().is_some()
        || value.downcast_ref::<PyDict>().is_some()
        || value.downcast_ref::<PyStr>().is_some()
        || value.downcast_ref::<PyInt>().is_some()
        || value.downcast_ref::<PyFloat>().is_some()
        || value.downcast_ref::<PyTuple>().is_some()
        || value.downcast_ref::<PyBytes>().is_some()
        || value.downcast_ref::<PyByteArray>().is_some()
        || value.downcast_ref::<PyMemoryView>().is_some()
        || value.downcast_ref::<PySet>().is_some()
        || value.downcast_ref::<PyFrozenSet>().is_some()
}

/// Can a list be made of it? Not of mappings, models, enums and awaitables: they can be iterated over, but that is not their
/// value.
pub(super) fn is_iterable(value: &PyObject, vm: &VirtualMachine) -> bool {
    let class: PyObjectRef = value.class().to_owned().into();
    let has =
        |name: &'static str| class.get_attr(vm.ctx.intern_str(name), vm).is_ok_and(|attribute| !vm.is_none(&attribute));
    (has("__iter__") || has("__getitem__")) && !["keys", "model_dump", "__members__", "__await__"].into_iter().any(has)
}
