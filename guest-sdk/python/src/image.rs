//! Prepares the memory to become an image: each page that a call writes to has to be copied, so calls should write to few
//! pages of the image.

use core::borrow::Borrow;
use core::mem::forget;

use rustpython_vm::builtins::{PyCode, PyDict, PyFunction, PyType};
use rustpython_vm::frame::delay_specialization;
use rustpython_vm::{Py, PyObject, PyObjectRef, VirtualMachine};

use crate::HEAP;
use crate::heap::MAX_BLOCK_SIZE;

/// Bytes a call can allocate before the memory has to grow.
const HEADROOM: usize = 1024 * 1024;
/// Instructions that a call executes as the image has them, before it counts which ones are worth specializing: more than a request
/// of an HTTP library has, and a fraction of a millisecond of a long computation. The counters are spread over many pages.
const GENERAL_INSTRUCTIONS: u32 = 20_000;
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
    delay_specialization(GENERAL_INSTRUCTIONS);
}

/// Let the interpreter specialize bytecode at once: what follows is part of the image.
pub(crate) fn specialize() {
    delay_specialization(0);
}

/// Immortal objects have no reference count, so a call that only reads an object does not write to its page.
fn make_immortal(vm: &VirtualMachine) {
    let mut objects = vm.state.gc.get_objects(None);
    add_classes(vm.ctx.types.object_type, &mut objects);
    // what is immortal already may refer to what is new
    let containers: Vec<PyObjectRef> = objects.iter().filter(|object| is_container(object)).cloned().collect();
    objects.extend(containers.iter().flat_map(|container| container.gc_get_referents()));
    while let Some(object) = objects.pop() {
        if !object.is_immortal() {
            object.make_immortal();
            objects.extend(object.gc_get_referents());
            add_code(&object, vm, &mut objects);
        }
    }
}

/// Add the classes that are part of the interpreter: the collector does not know them.
fn add_classes(class: &Py<PyType>, objects: &mut Vec<PyObjectRef>) {
    for subclass in class.subclasses.read().iter().filter_map(|subclass| subclass.upgrade()) {
        // the others derive from these
        let is_own = |class: &&Py<PyType>| class.heaptype_ext.is_none();
        if let Some(class) = subclass.downcast_ref::<PyType>().filter(is_own) {
            add_classes(class, objects);
            objects.push(subclass);
        }
    }
}

fn is_container(object: &PyObject) -> bool {
    object.is_immortal() && (object.downcastable::<PyDict>() || object.downcastable::<PyType>())
}

/// Add the code of a function, and the constants of code: neither can be part of a cycle, so the collector does not look at them.
fn add_code(object: &PyObject, vm: &VirtualMachine, objects: &mut Vec<PyObjectRef>) {
    if object.downcastable::<PyFunction>() {
        objects.extend(object.get_attr("__code__", vm));
    } else if let Some(code) = object.downcast_ref::<PyCode>() {
        let constants = code.code.constants.iter();
        objects.extend(constants.map(|constant| Borrow::<PyObject>::borrow(constant).to_owned()));
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
