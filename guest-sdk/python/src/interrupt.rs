//! The soft limit of a call. When it is reached, the host sets a flag in this memory, and ends a wait of the guest. The interpreter
//! looks at the flag where a loop goes back and where a function begins, `lib/_scheduler.py` after each wait; both call `deliver` in
//! `lib/_soft_limit.py`, which decides where `TimeoutSoon` is raised.

use core::cell::Cell;
use core::sync::atomic::Ordering;

use rustpython_vm::vm::{INTERRUPT, INTERRUPT_HANDLER};
use rustpython_vm::{PyResult, VirtualMachine};

/// Raises what is to be raised where the interpreter is.
pub(crate) type Deliver = fn(&VirtualMachine) -> PyResult<()>;

/// Nested calls that the handler may make, even if the step has none left.
const HANDLER_FRAMES: usize = 20;

thread_local! {
    /// What an interrupt does, while a call runs that has a soft limit.
    static ARMED: Cell<Option<Deliver>> = const { Cell::new(None) };
}

/// The flag. The host writes a 1.
pub(crate) fn flag() -> *mut u8 {
    INTERRUPT.as_ptr().cast()
}

/// From now on, the flag interrupts.
pub(crate) fn arm(deliver: Deliver) {
    INTERRUPT_HANDLER.set(Some(handle));
    ARMED.set(Some(deliver));
}

/// From now on, the flag is ignored.
pub(crate) fn disarm() {
    ARMED.set(None);
}

/// Returns whether the flag is set, and clears it.
pub(crate) fn take() -> bool {
    INTERRUPT.swap(false, Ordering::Relaxed) && ARMED.get().is_some()
}

fn handle(vm: &VirtualMachine, file: &str) -> PyResult<()> {
    let Some(deliver) = ARMED.get() else {
        take();
        return Ok(());
    };
    // the flag stays set until other code runs
    if is_uninterruptible(file) || !take() {
        return Ok(());
    }
    let limit = vm.recursion_limit.get();
    vm.recursion_limit.set(limit.saturating_add(HANDLER_FRAMES));
    let delivered = deliver(vm);
    vm.recursion_limit.set(limit);
    delivered
}

/// Would an exception at any place of this file's code leave something half done that the step needs? That is so in our own files, and
/// in asyncio's, whose callbacks would lose the exception.
fn is_uninterruptible(file: &str) -> bool {
    file.starts_with("<bue>") || (file.starts_with("asyncio.") && !file.ends_with(".py"))
}
