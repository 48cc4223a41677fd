//! A pool of fiber stacks: mapping a stack costs a step 24 µs, taking one from the pool 0.5 µs.

use core::ops::Range;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{StackCreator, StackMemory};

use crate::host::memory::mapping::{PAGE, Reservation};

/// Maximum number of free stacks. More are unmapped, so that a peak of waiting steps does not stay in memory.
const MAX_FREE_STACKS: usize = 256;

/// Bytes at the top of a used stack that are zeroed in place. Every step uses a few pages there, and returning them to the
/// kernel would cost a page fault each the next time. The rest is returned.
const RESIDENT_BYTES: usize = 8 * PAGE;

type FreeStacks = Arc<Mutex<Vec<Reservation>>>;

/// Creates the stacks of wasmtime's fibers.
#[derive(Default)]
pub(crate) struct StackPool {
    free: FreeStacks,
}

// SAFETY: each stack is a separate `Reservation`, page-aligned and zeroed, with an inaccessible page below it. One fiber uses
// it at a time: it leaves the list when it is taken and returns when wasmtime drops it.
unsafe impl StackCreator for StackPool {
    fn new_stack(&self, size: usize, _zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        let free = Arc::clone(&self.free);
        let reused = free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // all stacks of an engine have the same size; this check costs nothing
        let memory = match reused.filter(|memory| memory.len() == size.saturating_add(PAGE)) {
            Some(memory) => memory,
            None => map_stack(size).map_err(wasmtime::Error::new)?,
        };
        Ok(Box::new(Stack { memory: Some(memory), free }))
    }
}

fn map_stack(size: usize) -> io::Result<Reservation> {
    let mut memory = Reservation::new(size.saturating_add(PAGE))?;
    let len = memory.len();
    memory.commit(PAGE..len)?;
    Ok(memory)
}

struct Stack {
    /// `Some` until dropped.
    memory: Option<Reservation>,
    free: FreeStacks,
}

impl Stack {
    fn bounds(&self) -> (*mut u8, usize) {
        self.memory.as_ref().map_or((core::ptr::null_mut(), 0), |memory| (memory.base(), memory.len()))
    }
}

// SAFETY: top, range and guard describe the reservation of this stack: the guard is its first page, never committed.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        let (base, len) = self.bounds();
        base.wrapping_add(len)
    }

    fn range(&self) -> Range<usize> {
        let (base, len) = self.bounds();
        base.addr() + PAGE..base.addr() + len
    }

    fn guard_range(&self) -> Range<*mut u8> {
        let (base, _) = self.bounds();
        base..base.wrapping_add(PAGE)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let Some(mut memory) = self.memory.take() else { return };
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        // a stack that cannot be cleared is unmapped
        if free.len() < MAX_FREE_STACKS && clear(&mut memory).is_ok() {
            free.push(memory);
        }
    }
}

/// Zeroes a used stack.
fn clear(memory: &mut Reservation) -> io::Result<()> {
    let top = memory.len();
    let resident = top.saturating_sub(RESIDENT_BYTES).max(PAGE);
    memory.discard(PAGE..resident)?;
    memory.zero(resident..top)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_stack_is_zeroed() {
        let pool = StackPool::default();
        let size = 64 * PAGE;
        for _ in 0..3 {
            let stack = pool.new_stack(size, true).expect("a stack");
            let range = stack.range();
            assert_eq!(range.len(), size);
            for depth in [8, RESIDENT_BYTES + 8, size - 8] {
                let at = stack.top().wrapping_sub(depth);
                // SAFETY: inside the committed range of a stack that only this test has.
                unsafe {
                    assert_eq!(at.read_volatile(), 0);
                    at.write_volatile(1);
                }
            }
        }
        assert_eq!(pool.free.lock().expect("not poisoned").len(), 1);
    }
}
