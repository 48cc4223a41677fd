//! An allocator for small blocks, which are nearly all that an interpreter allocates.
//!
//! With the C library's allocator, a tenth of Python's time was spent in it. Here each size class has a list of free blocks;
//! if the list is empty, a block is carved from the current chunk. Blocks have no headers, so they are packed densely, on
//! fewer pages. A block never changes its size class: steps are short. Larger blocks, and the chunks themselves, come from
//! the C library.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr::null_mut;
use std::alloc::System;

/// The difference between two size classes in bytes, and the alignment of every block.
const GRANULE: usize = 16;
/// Size in bytes of the largest block.
pub(crate) const MAX_BLOCK_SIZE: usize = 1024;
/// Size in bytes of a chunk.
const CHUNK_SIZE: usize = 64 * 1024;

/// The allocator. A program may have one, and only one thread.
pub(crate) struct Heap(UnsafeCell<Blocks>);

struct Blocks {
    /// For each size class, the first free block. The first bytes of a free block point to the next one.
    free_lists: [*mut u8; MAX_BLOCK_SIZE / GRANULE + 1],
    /// The unused end of the current chunk, and its length in bytes.
    chunk_rest: *mut u8,
    chunk_left: usize,
}

// SAFETY: the guest has one thread; its target knows no others.
unsafe impl Sync for Heap {}

impl Heap {
    pub(crate) const fn new() -> Self {
        Self(UnsafeCell::new(Blocks {
            free_lists: [null_mut(); MAX_BLOCK_SIZE / GRANULE + 1],
            chunk_rest: null_mut(),
            chunk_left: 0,
        }))
    }

    /// Leaks the free blocks, so that later blocks lie together behind everything that is alive.
    pub(crate) fn abandon_free_blocks(&self) {
        // SAFETY: one thread, and no other reference lives: all are made inside methods that call nothing of ours.
        let blocks = unsafe { &mut *self.0.get() };
        blocks.free_lists.fill(null_mut());
    }
}

/// The size class for a layout, as a number of granules, or `None` if it is too large for a block.
const fn size_class(layout: Layout) -> Option<usize> {
    let fits = layout.size() <= MAX_BLOCK_SIZE && layout.align() <= GRANULE;
    if fits { Some(layout.size().div_ceil(GRANULE)) } else { None }
}

impl Blocks {
    /// Returns a block of this size class, or null if the memory is full.
    fn allocate(&mut self, class: usize) -> *mut u8 {
        let Some(first) = self.free_lists.get_mut(class) else { return null_mut() };
        if first.is_null() {
            return self.carve(class * GRANULE);
        }
        let block = *first;
        // SAFETY: a free block is at least a granule long, aligned to one, and its first bytes were written by `free`.
        *first = unsafe { block.cast::<*mut u8>().read() };
        block
    }

    /// Puts a block that is no longer used into its free list.
    ///
    /// # Safety
    /// The block came from [`Blocks::allocate`] with the same size class.
    unsafe fn free(&mut self, block: *mut u8, class: usize) {
        if let Some(first) = self.free_lists.get_mut(class) {
            // SAFETY: the block is at least a granule long, aligned to one, and no longer used by the caller.
            unsafe { block.cast::<*mut u8>().write(*first) };
            *first = block;
        }
    }

    fn carve(&mut self, size: usize) -> *mut u8 {
        if self.chunk_left < size && !self.next_chunk() {
            return null_mut();
        }
        let block = self.chunk_rest;
        self.chunk_left -= size;
        // SAFETY: `chunk_left` bytes followed at `chunk_rest`, and the block is no longer than that.
        self.chunk_rest = unsafe { block.add(size) };
        block
    }

    /// Starts a new chunk. The rest of the old one becomes a free block. Returns false if the memory is full.
    fn next_chunk(&mut self) -> bool {
        // SAFETY: the size is not 0, and the alignment a power of two.
        let chunk = unsafe { System.alloc(Layout::from_size_align_unchecked(CHUNK_SIZE, GRANULE)) };
        if chunk.is_null() {
            return false;
        }
        if self.chunk_left > 0 {
            // SAFETY: whole granules are carved from a chunk of whole granules, fewer are left than the block that did not fit
            // needs, and they are not part of any other block.
            unsafe { self.free(self.chunk_rest, self.chunk_left / GRANULE) };
        }
        (self.chunk_rest, self.chunk_left) = (chunk, CHUNK_SIZE);
        true
    }
}

// SAFETY: blocks do not overlap, because each is carved from a chunk once and is either in a free list or in use. They are
// as long and as aligned as `size_class` promises. A block's layout determines its size class. Nothing here unwinds.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match size_class(layout) {
            // SAFETY: as in `abandon_free_blocks`.
            Some(class) => unsafe { (*self.0.get()).allocate(class) },
            // SAFETY: the caller's promise.
            None => unsafe { System.alloc(layout) },
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match size_class(layout) {
            // SAFETY: as in `abandon_free_blocks`; a block of this layout came from this size class.
            Some(class) => unsafe { (*self.0.get()).free(block, class) },
            // SAFETY: the caller's promise; blocks of this layout come from `System`.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if size_class(layout).is_none() {
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
        let new_layout = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (size_class(layout), size_class(new_layout)) {
            (Some(old), Some(new)) if old == new => return block,
            // SAFETY: the caller's promise; both sizes are from the C library.
            (None, None) => return unsafe { System.realloc(block, layout, size) },
            _ => {}
        }
        // SAFETY: the caller's promise: the new size is not 0, and the block is as long as its layout.
        unsafe {
            let moved = self.alloc(new_layout);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}
