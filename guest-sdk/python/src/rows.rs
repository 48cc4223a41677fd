//! The module `_bue_rows`: the elements of the first input of fused steps, which are decoded a few at a time, and iterators that count
//! (`lib/_fused.py`).
//!
//! | name | meaning |
//! | --- | --- |
//! | `next_batch()` | a list of the next elements, or `None` at the end |
//! | `counted(iterable)` | an iterator over the same elements. Its `count` is how many were taken; its `end` is what a generator returned at its end, or `None` |

use core::cell::RefCell;

use bytes::Bytes;
use rustpython_vm::builtins::PyModuleDef;
use rustpython_vm::{Context, PyObjectRef, PyResult, VirtualMachine};

use crate::error::CallError;
use crate::guest::Guest;
use crate::interpreter::with_guest;
use crate::value::decode::{ListReader, decode_some};

/// Elements that are objects at a time. Each batch costs a call of this module.
const MAX_BATCH_ITEMS: usize = 256;
/// Encoded bytes after which a batch gets no further element: the objects take about ten times as much memory.
const MAX_BATCH_BYTES: usize = 64 * 1024;

thread_local! {
    /// The input, and the position in it.
    static ROWS: RefCell<Option<(Bytes, ListReader)>> = const { RefCell::new(None) };
}

/// Sets the input, an encoded list. `false` if it is not a list.
pub(crate) fn set(input: &Bytes) -> Result<bool, CallError> {
    let Some(reader) = ListReader::new(input)? else { return Ok(false) };
    ROWS.replace(Some((input.clone(), reader)));
    Ok(true)
}

/// The definition of the module, for the interpreter's builder.
pub(crate) fn module(context: &Context) -> &'static PyModuleDef {
    _bue_rows::module_def(context)
}

fn next(guest: &Guest, vm: &VirtualMachine) -> PyResult<Option<Vec<PyObjectRef>>> {
    let Some((bytes, mut reader)) = ROWS.take() else { return Ok(None) };
    let items = decode_some(guest, &bytes, &mut reader, (MAX_BATCH_ITEMS, MAX_BATCH_BYTES), vm);
    let items = items.map_err(|error| match error {
        CallError::Raised(error) | CallError::CallRaised(error) => error,
        CallError::Rejected(failure) => vm.new_value_error(format!("the input cannot be read: {}", failure.message)),
    })?;
    if items.is_empty() {
        // the bytes are not needed any more
        return Ok(None);
    }
    ROWS.replace(Some((bytes, reader)));
    Ok(Some(items))
}

#[rustpython_vm::pymodule]
mod _bue_rows {
    use core::sync::atomic::{AtomicU64, Ordering};

    use rustpython_vm::common::lock::PyMutex;
    use rustpython_vm::protocol::{PyIter, PyIterReturn};
    use rustpython_vm::types::{IterNext, Iterable, SelfIter};
    use rustpython_vm::{Py, PyObjectRef, PyPayload, PyResult, VirtualMachine, pyclass};

    /// An iterator over the elements of another one. In Python, counting would take as long as a stage.
    #[pyclass(no_attr, module = "_bue_rows", name = "counted")]
    #[derive(Debug, PyPayload)]
    struct Counted {
        iterator: PyIter,
        count: AtomicU64,
        end: PyMutex<Option<PyObjectRef>>,
    }

    #[pyclass(with(IterNext, Iterable), flags(DISALLOW_INSTANTIATION))]
    impl Counted {
        #[pygetset]
        fn count(zelf: &Py<Self>) -> u64 {
            zelf.count.load(Ordering::Relaxed)
        }

        #[pygetset]
        fn end(zelf: &Py<Self>) -> Option<PyObjectRef> {
            zelf.end.lock().clone()
        }
    }

    impl SelfIter for Counted {}

    impl IterNext for Counted {
        fn next(zelf: &Py<Self>, vm: &VirtualMachine) -> PyResult<PyIterReturn> {
            let next = zelf.iterator.next(vm)?;
            match &next {
                PyIterReturn::Return(_) => {
                    zelf.count.fetch_add(1, Ordering::Relaxed);
                }
                PyIterReturn::StopIteration(end) => {
                    if let Some(end) = end {
                        *zelf.end.lock() = Some(end.clone());
                    }
                }
            }
            Ok(next)
        }
    }

    #[pyfunction]
    fn counted(iterable: PyIter) -> Counted {
        Counted { iterator: iterable, count: AtomicU64::new(0), end: PyMutex::new(None) }
    }

    #[pyfunction]
    fn next_batch(vm: &VirtualMachine) -> PyResult {
        let items = super::with_guest(|guest| super::next(guest, vm)).unwrap_or(Ok(None))?;
        Ok(items.map_or_else(|| vm.ctx.none(), |items: Vec<PyObjectRef>| vm.ctx.new_list(items).into()))
    }
}
