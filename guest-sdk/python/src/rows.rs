//! The module `_bue_rows`: the elements of the first input of fused steps, which are decoded a few at a time, and iterators that count
//! (`lib/_fused.py`).
//!
//! | name | meaning |
//! | --- | --- |
//! | `next_batch()` | a list of the next elements, or `None` at the end |
//! | `counted(iterable)` | an iterator over the same elements. Its `count` is how many were taken; its `end` is what a generator returned at its end, or `None` |

use core::cell::RefCell;

use rustpython_vm::builtins::PyModuleDef;
use rustpython_vm::{Context, PyObjectRef, PyResult, VirtualMachine};

/// Decodes the next elements; none at the end.
pub(crate) type NextBatch = Box<dyn FnMut(&VirtualMachine) -> PyResult<Vec<PyObjectRef>>>;

thread_local! {
    /// The input, until its end.
    static ROWS: RefCell<Option<NextBatch>> = const { RefCell::new(None) };
}

/// Sets the input.
pub(crate) fn set(input: NextBatch) {
    ROWS.replace(Some(input));
}

/// The definition of the module, for the interpreter's builder.
pub(crate) fn module(context: &Context) -> &'static PyModuleDef {
    _bue_rows::module_def(context)
}

/// `None` at the end, where the input is dropped.
fn next(vm: &VirtualMachine) -> PyResult<Option<Vec<PyObjectRef>>> {
    let Some(mut input) = ROWS.take() else { return Ok(None) };
    let items = input(vm)?;
    if items.is_empty() {
        return Ok(None);
    }
    ROWS.replace(Some(input));
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
        let items = super::next(vm)?;
        Ok(items.map_or_else(|| vm.ctx.none(), |items: Vec<PyObjectRef>| vm.ctx.new_list(items).into()))
    }
}
