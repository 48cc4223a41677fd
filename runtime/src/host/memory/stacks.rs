//! Stacks for suspended steps, used again: making one costs a step 24 µs, taking one 0.5 µs.

use core::ops::Range;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{StackCreator, StackMemory};

use crate::host::memory::mapping::{PAGE, Reservation};

/// Stacks kept for later. More are unmapped: a peak of waiting steps shall not stay in memory.
const KEPT: usize = 256;

/// Bytes at the top of a used stack that are zeroed in place. A step touches a few pages there, and giving them back to
/// the kernel would cost a fault each the next time; the rest is given back.
const RESIDENT: usize = 8 * PAGE;

type Free = Arc<Mutex<Vec<Reservation>>>;

/// Gives wasmtime its stacks.
#[derive(Default)]
pub(crate) struct StackPool {
    free: Free,
}

// SAFETY: each stack is a `Reservation` of its own, page aligned, zero, with a page below it that may not be touched, and
// is given to one fiber at a time: it leaves the list when taken and returns when wasmtime drops it.
unsafe impl StackCreator for StackPool {
    fn new_stack(&self, size: usize, _zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        let free = Arc::clone(&self.free);
        let used = free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // all stacks of an engine have one size; another one would be a new pool's
        let memory = match used.filter(|memory| memory.len() == size.saturating_add(PAGE)) {
            Some(memory) => memory,
            None => fresh(size).map_err(wasmtime::Error::new)?,
        };
        Ok(Box::new(Stack { memory: Some(memory), free }))
    }
}

fn fresh(size: usize) -> io::Result<Reservation> {
    let mut memory = Reservation::new(size.saturating_add(PAGE))?;
    let len = memory.len();
    memory.commit(PAGE..len)?;
    Ok(memory)
}

struct Stack {
    /// `Some` until dropped.
    memory: Option<Reservation>,
    free: Free,
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
        // one that cannot be cleaned is unmapped
        if free.len() < KEPT && clean(&mut memory).is_ok() {
            free.push(memory);
        }
    }
}

/// Makes a used stack all zeros.
fn clean(memory: &mut Reservation) -> io::Result<()> {
    let top = memory.len();
    let resident = top.saturating_sub(RESIDENT).max(PAGE);
    memory.restore(PAGE..resident)?;
    memory.zero(resident..top)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_stack_comes_back_empty() {
        let pool = StackPool::default();
        let size = 64 * PAGE;
        for _ in 0..3 {
            let stack = pool.new_stack(size, true).expect("a stack");
            let range = stack.range();
            assert_eq!(range.len(), size);
            for depth in [8, RESIDENT + 8, size - 8] {
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
