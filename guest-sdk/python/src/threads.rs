//! The module `_bue_threads`: what `lib/_scheduler.py` needs of the interpreter to run one thread on top of another.
//!
//! | name | meaning |
//! | --- | --- |
//! | `isolated(function, context, frames)` | calls the function as a new thread would: it sees no exception that is being handled, no running event loop and none of the context variables below it, and it may nest `frames` calls of its own. `context` is its `contextvars.Context`, or `None` for an empty one |
//! | `stack_left()` | bytes of the stack that native calls may still use |
//! | `take_interrupt()` | has the soft limit been reached, and did nobody ask before? |

use rustpython_vm::Context;
use rustpython_vm::builtins::PyModuleDef;

/// The definition of the module, for the interpreter's builder.
pub(crate) fn module(context: &Context) -> &'static PyModuleDef {
    _bue_threads::module_def(context)
}

#[rustpython_vm::pymodule]
mod _bue_threads {
    use core::mem::take;
    use std::collections::HashSet;

    use rustpython_vm::builtins::PyBaseExceptionRef;
    use rustpython_vm::{PyObjectRef, PyResult, VirtualMachine};

    /// Bytes at the end of the stack that the interpreter does not use: below them it raises `RecursionError`.
    const MARGIN: usize = 32 * 1024;

    #[pyfunction]
    fn isolated(
        function: PyObjectRef,
        context: Option<PyObjectRef>,
        frames: usize,
        vm: &VirtualMachine,
    ) -> PyResult<()> {
        let below = ThreadState::replace(context, vm.current_recursion_depth().saturating_add(frames), vm);
        let result = function.call((), vm);
        below.restore(vm);
        result.map(drop)
    }

    #[pyfunction]
    fn stack_left() -> usize {
        // the stack is the first thing in memory and grows towards address 0
        let here = 0_u8;
        core::ptr::from_ref(core::hint::black_box(&here)).addr().saturating_sub(MARGIN)
    }

    #[pyfunction]
    fn take_interrupt() -> bool {
        crate::interrupt::take()
    }

    /// What the interpreter keeps for each thread, apart from its frames.
    struct ThreadState {
        exception: Option<PyBaseExceptionRef>,
        contexts: Vec<PyObjectRef>,
        running_loop: Option<PyObjectRef>,
        running_task: Option<PyObjectRef>,
        repr_guards: HashSet<usize>,
        recursion_limit: usize,
    }

    impl ThreadState {
        /// Give the interpreter the state of a new thread. Returns that of the thread below.
        fn replace(context: Option<PyObjectRef>, recursion_limit: usize, vm: &VirtualMachine) -> Self {
            let exception = vm.current_exception();
            vm.set_exception(None);
            Self {
                exception,
                contexts: vm.context_stack.replace(context.into_iter().collect()),
                running_loop: vm.asyncio_running_loop.take(),
                running_task: vm.asyncio_running_task.take(),
                repr_guards: take(&mut *vm.repr_guards.borrow_mut()),
                recursion_limit: vm.recursion_limit.replace(recursion_limit),
            }
        }

        fn restore(self, vm: &VirtualMachine) {
            vm.set_exception(self.exception);
            // dropped after the borrow has ended: finalizers may run
            let contexts = vm.context_stack.replace(self.contexts);
            let running_loop = vm.asyncio_running_loop.replace(self.running_loop);
            let running_task = vm.asyncio_running_task.replace(self.running_task);
            *vm.repr_guards.borrow_mut() = self.repr_guards;
            vm.recursion_limit.set(self.recursion_limit);
            drop((contexts, running_loop, running_task));
        }
    }
}
