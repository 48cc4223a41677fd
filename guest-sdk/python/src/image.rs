//! Prepares the memory to become an image: each page that a call writes to has to be copied, so calls should write to few
//! pages of the image.

use core::mem::forget;

use rustpython_vm::VirtualMachine;

use crate::HEAP;
use crate::heap::MAX_BLOCK_SIZE;

/// Bytes a call can allocate before the memory has to grow.
const HEADROOM: usize = 1024 * 1024;
/// Size in bytes of the smallest gap worth filling: smaller allocations come from the heap's chunks.
const MIN_GAP: usize = MAX_BLOCK_SIZE + 8;

/// Prepare everything that is alive now for the image.
pub(crate) fn prepare(vm: &VirtualMachine) {
    drain_free_lists(vm);
    make_immortal(vm);
    // the garbage collector never looks at what is alive now
    vm.state.gc.freeze();
    fill_gaps();
    HEAP.abandon_free_blocks();
}

/// Immortal objects have no reference count, so a call that only reads an object does not write to its page.
fn make_immortal(vm: &VirtualMachine) {
    let mut objects = vm.state.gc.get_objects(None);
    while let Some(object) = objects.pop() {
        if !object.is_immortal() {
            object.make_immortal();
            objects.extend(object.gc_get_referents());
        }
    }
}

/// Leak the interpreter's free lists. It keeps freed objects of common types for reuse; they are spread over the whole
/// heap. Without them, a call allocates its objects in fresh memory, close together.
fn drain_free_lists(vm: &VirtualMachine) {
    const MAX_FREE_TUPLES: usize = 2000;
    const MAX_FREE_OTHERS: usize = 100;
    for _ in 0..MAX_FREE_TUPLES {
        forget(vm.ctx.new_tuple(vec![vm.ctx.none()]));
    }
    for number in 0..MAX_FREE_OTHERS {
        forget(vm.ctx.new_dict());
        forget(vm.ctx.new_list(Vec::new()));
        forget(vm.ctx.new_float(0.5));
        // beyond the range of interned integers
        forget(vm.ctx.new_int(1_000_000 + number));
    }
}

/// Leak allocations into the gaps of the C library's heap, so that what a call allocates lies together behind the image,
/// on few pages, instead of in gaps all over it.
fn fill_gaps() {
    // larger than any gap worth keeping, so it is placed behind everything; freeing it leaves room for calls
    let headroom = Vec::<u8>::with_capacity(HEADROOM);
    let mut size = HEADROOM / 2;
    while size >= MIN_GAP {
        let filler = Vec::<u8>::with_capacity(size);
        match filler.as_ptr() < headroom.as_ptr() {
            true => forget(filler),
            // gap sizes are multiples of 8 bytes; of large gaps a remainder may stay
            false => size -= if size > 4096 { size / 2 } else { 8 },
        }
    }
}
