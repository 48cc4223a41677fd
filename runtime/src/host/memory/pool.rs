//! Creates wasmtime's linear memories from slots of images.
//!
//! wasmtime does not say which instance a memory is for, so Python's image is set just before its instance is created. Both
//! happen in one poll of one thread (the sandbox is not `Send`), so that no other instance can take the image. Memories of
//! compiled steps begin as zeros; slots are shared among those of the same size.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use wasmtime::{LinearMemory, MemoryCreator, MemoryType};

use crate::host::memory::free_slots::SlotBudget;
use crate::host::memory::image::{Image, SharedImage};
use crate::host::memory::mapping::{Reservation, page_up};

/// Maximum number of memory sizes whose slots are kept. Most modules begin with one of very few sizes.
const MAX_ZERO_IMAGES: usize = 64;

/// Creates memories from images.
#[derive(Default)]
pub(crate) struct MemoryPool {
    next_image: Mutex<Option<SharedImage>>,
}

impl MemoryPool {
    /// Sets the image that the next memory begins as a copy of.
    pub(crate) fn set_next_image(&self, image: SharedImage) {
        *self.next_image.lock().unwrap_or_else(PoisonError::into_inner) = Some(image);
    }
}

// SAFETY: each memory has its own slot with the reservation that wasmtime asked for, of which exactly the first `byte_size`
// bytes are accessible, and it never moves. A slot begins as its image, not zeroed as wasmtime demands; that matters only for
// data segments, of which these modules have none.
unsafe impl MemoryCreator for MemoryPool {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved_size_in_bytes: Option<usize>,
        guard_size_in_bytes: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        let image = self.next_image.lock().unwrap_or_else(PoisonError::into_inner).take();
        let image = image.ok_or("no image was set for a new memory")?;
        new_memory(image, minimum, reserved_size_in_bytes, guard_size_in_bytes)
    }
}

/// Creates zeroed memories.
#[derive(Default)]
pub(crate) struct ZeroPool {
    /// An image of zeros for each size.
    images: Mutex<HashMap<usize, SharedImage>>,
    budget: SlotBudget,
}

impl ZeroPool {
    fn zeros(&self, len: usize) -> SharedImage {
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        if images.len() >= MAX_ZERO_IMAGES && !images.contains_key(&len) {
            images.clear();
        }
        Arc::clone(images.entry(len).or_insert_with(|| Arc::new(Image::zeros(len, &self.budget))))
    }
}

// SAFETY: as for `MemoryPool`; these slots are zeroed.
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
        new_memory(self.zeros(len), minimum, reserved_size_in_bytes, guard_size_in_bytes)
    }
}

/// Wraps a slot of an image as wasmtime's memory.
fn new_memory(
    image: SharedImage,
    minimum: usize,
    reserved: Option<usize>,
    guard: usize,
) -> Result<Box<dyn LinearMemory>, String> {
    let capacity = reserved.ok_or("wasmtime asked for a memory that may move")?;
    let total = capacity.checked_add(guard).ok_or("the memory exceeds the address space")?;
    let slot = image.slot(total).map_err(|error| format!("map a sandbox's memory: {error}"))?;
    let accessible = image.len();
    let mut memory = StepMemory { image, slot: Some(slot), size: accessible, accessible, capacity };
    if minimum > accessible {
        memory.grow_to(minimum).map_err(|error| format!("grow a sandbox's memory: {error}"))?;
    }
    Ok(Box::new(memory))
}

struct StepMemory {
    image: SharedImage,
    /// `Some` until dropped.
    slot: Option<Reservation>,
    /// Bytes that the guest may use.
    size: usize,
    /// Bytes that are accessible: `size` rounded up to whole pages.
    accessible: usize,
    /// Bytes that it may grow to. The guard follows.
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
                return Err(wasmtime::Error::msg("the memory exceeds its reservation"));
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
            self.image.release(slot, self.accessible);
        }
    }
}
