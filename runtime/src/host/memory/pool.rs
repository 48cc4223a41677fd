//! Gives wasmtime its linear memories: slots of images.
//!
//! wasmtime asks for a memory without saying for whom, so Python's image is laid ready in the moment before an instance is made.
//! Both happen in one poll of one thread (the sandbox is not `Send`), so nobody else can take it. Compiled steps begin
//! with zeros, which are the same for all that have as many.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use crate::host::memory::image::{Image, SharedImage};
use crate::host::memory::mapping::{Reservation, page_up};

/// Sizes of memories whose slots are kept. Most modules begin with one of very few.
const SIZES: usize = 64;

/// Where wasmtime's memories come from.
#[derive(Default)]
pub(crate) struct MemoryPool {
    next: Mutex<Option<SharedImage>>,
}

impl MemoryPool {
    /// The next memory asked for begins as a copy of this image.
    pub(crate) fn lay_ready(&self, image: SharedImage) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = Some(image);
    }
}

// SAFETY: a memory has a slot of its own with everything that wasmtime asked to be reserved, of which exactly the first
// `byte_size` bytes may be touched, and it never moves. A slot begins as its image; wasmtime's "zero filled" is needed for
// data segments only, and these modules have none.
unsafe impl MemoryCreator for MemoryPool {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let image = self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
        let image = image.ok_or("a memory was asked for that no image was laid ready for")?;
        memory(image, minimum, reserved_size_in_bytes, guard_size_in_bytes)
    }
}

/// Memories that begin as zeros, slots by their size.
#[derive(Default)]
pub(crate) struct ZeroPool {
    sizes: Mutex<HashMap<usize, SharedImage>>,
}

impl ZeroPool {
    fn zeros(&self, len: usize) -> SharedImage {
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        if sizes.len() >= SIZES && !sizes.contains_key(&len) {
            sizes.clear();
        }
        Arc::clone(sizes.entry(len).or_insert_with(|| Arc::new(Image::zeros(len))))
    }
}

// SAFETY: as for `MemoryPool`; a slot of zeros is zero filled.
unsafe impl MemoryCreator for ZeroPool {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let len = page_up(minimum).map_err(|error| error.to_string())?;
        memory(self.zeros(len), minimum, reserved_size_in_bytes, guard_size_in_bytes)
    }
}

/// A slot of an image as wasmtime's memory.
fn memory(
    image: SharedImage,
    minimum: usize,
    reserved: Option<usize>,
    guard: usize,
) -> Result<Box<dyn LinearMemory>, String> {
    let capacity = reserved.ok_or("a memory that may move was asked for")?;
    let total = capacity.checked_add(guard).ok_or("a memory beyond the address space")?;
    let slot = image.slot(total).map_err(|error| format!("map a sandbox's memory: {error}"))?;
    let accessible = image.len();
    let mut memory = StepMemory { image, slot: Some(slot), size: accessible, accessible, capacity };
    if minimum > accessible {
        memory.grow_to(minimum).map_err(|error| format!("give a sandbox its memory: {error}"))?;
    }
    Ok(Box::new(memory))
}

struct StepMemory {
    image: SharedImage,
    /// `Some` until dropped.
    slot: Option<Reservation>,
    /// Bytes the guest may use.
    size: usize,
    /// Bytes that may be touched: `size` in whole pages.
    accessible: usize,
    /// Bytes it may grow to; behind them is the guard.
    capacity: usize,
}

// SAFETY: see `MemoryPool`.
unsafe impl LinearMemory for StepMemory {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        self.capacity
    }

    fn grow_to(&mut self, new_size: usize) -> wasmtime::Result<()> {
        let end = page_up(new_size)?;
        if let Some(slot) = self.slot.as_mut().filter(|_| end > self.accessible) {
            if end > self.capacity {
                return Err(wasmtime::Error::msg("a memory larger than its reservation"));
            }
            slot.commit(self.accessible..end)?;
            self.accessible = end;
        }
        self.size = new_size;
        Ok(())
    }

    fn as_ptr(&self) -> *mut u8 {
        self.slot.as_ref().map_or(core::ptr::null_mut(), Reservation::base)
    }
}

impl Drop for StepMemory {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            self.image.give_back(slot, self.accessible);
        }
    }
}
