//! Memory for small things, which is nearly all an interpreter asks for.
//!
//! A tenth of what Python's work took was spent in the C library's allocator. Here a freed block waits in a list of blocks of
//! its size, and the next one of that size is taken from there; where there is none, it is cut from the end of a chunk.
//! Blocks have no heads, so they stand denser, on fewer pages. A block never goes to another size: a step is short.
//! What is larger, and the chunks themselves, are the C library's.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use std::alloc::System;

/// Bytes by which the sizes of blocks differ, and what every block is aligned to.
const STEP: usize = 16;
/// Bytes of the largest block.
pub(crate) const LARGEST: usize = 1024;
/// Bytes of a chunk.
const CHUNK: usize = 64 * 1024;

/// The allocator. There may be one in a program, and the program may have one thread.
pub(crate) struct Heap(UnsafeCell<Blocks>);

struct Blocks {
    /// By size in steps: the first freed block, whose first bytes name the next one.
    free: [*mut u8; LARGEST / STEP + 1],
    /// What is left of the chunk.
    rest: *mut u8,
    left: usize,
}

// SAFETY: the guest has one thread; its target knows no others.
unsafe impl Sync for Heap {}

impl Heap {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(Blocks { free: [null_mut(); LARGEST / STEP + 1], rest: null_mut(), left: 0 }))
    }

    /// Forgets the freed blocks, so that what comes next stands together behind everything that is alive.
    pub(crate) fn forget_gaps(&self) {
        // SAFETY: one thread, and no other reference lives: all are made inside methods that call nothing of ours.
        let blocks = unsafe { &mut *self.0.get() };
        blocks.free.fill(null_mut());
    }
}

/// The size in steps of a block that holds this, if a block can.
const fn class(layout: Layout) -> Option<usize> {
    let fits = layout.size() <= LARGEST && layout.align() <= STEP;
    if fits { Some(layout.size().div_ceil(STEP)) } else { None }
}

impl Blocks {
    /// A block of so many steps, or null where the memory is full.
    fn take(&mut self, class: usize) -> *mut u8 {
        let Some(first) = self.free.get_mut(class) else { return null_mut() };
        if first.is_null() {
            return self.cut(class * STEP);
        }
        let block = *first;
        // SAFETY: a freed block is at least a step long, aligned to one, and its first bytes were written by `give`.
        *first = unsafe { block.cast::<*mut u8>().read() };
        block
    }

    /// A block that nobody uses any more.
    ///
    /// # Safety
    /// It came from [`Blocks::take`] with the same size.
    unsafe fn give(&mut self, block: *mut u8, class: usize) {
        if let Some(first) = self.free.get_mut(class) {
            // SAFETY: the block is at least a step long, aligned to one, and ours again.
            unsafe { block.cast::<*mut u8>().write(*first) };
            *first = block;
        }
    }

    fn cut(&mut self, size: usize) -> *mut u8 {
        if self.left < size && !self.next_chunk() {
            return null_mut();
        }
        let block = self.rest;
        self.left -= size;
        // SAFETY: `left` bytes stood behind `rest`, and the block is no more than these.
        self.rest = unsafe { block.add(size) };
        block
    }

    /// The rest of the old chunk becomes a free block.
    fn next_chunk(&mut self) -> bool {
        // SAFETY: the size is not 0, and the alignment a power of two.
        let chunk = unsafe { System.alloc(Layout::from_size_align_unchecked(CHUNK, STEP)) };
        if chunk.is_null() {
            return false;
        }
        if self.left > 0 {
            // SAFETY: whole steps are cut off a chunk of whole steps, fewer are left than the block that did not fit has, and
            // nobody has them.
            unsafe { self.give(self.rest, self.left / STEP) };
        }
        (self.rest, self.left) = (chunk, CHUNK);
        true
    }
}

// SAFETY: blocks do not overlap, because each is cut from a chunk once and is in the list or in use, not in both. They are
// as long and as aligned as `class` says. The class of a block is known again by its layout. Nothing here unwinds.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class(layout) {
            // SAFETY: as in `forget_gaps`.
            Some(class) => unsafe { (*self.0.get()).take(class) },
            // SAFETY: the caller's promise.
            None => unsafe { System.alloc(layout) },
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class(layout) {
            // SAFETY: as in `forget_gaps`; a block of this layout came from this class.
            Some(class) => unsafe { (*self.0.get()).give(block, class) },
            // SAFETY: the caller's promise; blocks of this layout come from there.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if class(layout).is_none() {
            // SAFETY: the caller's promise.
            return unsafe { System.alloc_zeroed(layout) };
        }
        // SAFETY: the caller's promise.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: the block is as long as its layout.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size does not overflow when it is rounded up.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(layout), class(wanted)) {
            (Some(has), Some(wants)) if has == wants => return block,
            // SAFETY: the caller's promise; both sizes are the C library's.
            (None, None) => return unsafe { System.realloc(block, layout, size) },
            _ => {}
        }
        // SAFETY: the caller's promise: the new size is not 0, and the block is as long as its layout.
        unsafe {
            let moved = self.alloc(wanted);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}
