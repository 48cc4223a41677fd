//! The one interpreter: made by `bue_init`, part of the image from then on.

use core::cell::OnceCell;
use core::mem::forget;

use rustpython::InterpreterBuilderExt;
use rustpython_vm::import::import_file;
use rustpython_vm::{Interpreter, InterpreterBuilder, PyObjectRef, PyResult, Settings, VirtualMachine};

use crate::HEAP;
use crate::call::flush;
use crate::heap::LARGEST;
use crate::net;
use crate::python::{Helpers, Types};

/// Calls of Python functions inside each other. They take no native stack; what does is stopped by the stack's size.
const RECURSION_LIMIT: usize = 1000;
/// Objects made, less those freed, between two runs of the cycle collector. A short call never reaches it: a run writes
/// to pages all over the memory. A long one does not pile up more than some megabytes of cycles.
const COLLECT_EVERY: u32 = 20_000;

/// Bytes a call may allocate before the memory must grow.
const ROOM: usize = 1024 * 1024;
/// Bytes of the smallest gap that something could be put into: what is smaller stands in chunks.
const SMALLEST_GAP: usize = LARGEST + 8;

/// Python files of ours, in the order they are imported in: name, path in tracebacks, text.
const LIBRARY: [(&str, &str, &str); 13] = [
    ("bue", "<bue>/bue.py", include_str!("../lib/bue.py")),
    ("bue._threads", "<bue>/_threads.py", include_str!("../lib/_threads.py")),
    ("bue._fresh", "<bue>/_fresh.py", include_str!("../lib/_fresh.py")),
    ("bue._explain", "<bue>/_explain.py", include_str!("../lib/_explain.py")),
    ("bue._system", "<bue>/_system.py", include_str!("../lib/_system.py")),
    ("bue._wire", "<bue>/_wire.py", include_str!("../lib/_wire.py")),
    ("bue._sockets", "<bue>/_sockets.py", include_str!("../lib/_sockets.py")),
    ("bue._libraries", "<bue>/_libraries.py", include_str!("../lib/_libraries.py")),
    ("bue._loader", "<bue>/_loader.py", include_str!("../lib/_loader.py")),
    ("bue._trace", "<bue>/_trace.py", include_str!("../lib/_trace.py")),
    ("bue._transport", "<bue>/_transport.py", include_str!("../lib/_transport.py")),
    ("bue._loop", "<bue>/_loop.py", include_str!("../lib/_loop.py")),
    ("bue._warm", "<bue>/_warm.py", include_str!("../lib/_warm.py")),
];
const PRELUDE: &str = include_str!("../lib/_prelude.py");

/// What the exports share.
pub(crate) struct Guest {
    pub(crate) types: Types,
    pub(crate) helpers: Helpers,
    /// What `bue_load` made.
    pub(crate) loaded: OnceCell<Loaded>,
}

/// The user's module, as it stands in the image.
pub(crate) struct Loaded {
    pub(crate) module: PyObjectRef,
    /// The generators each instance must seed anew, where the module uses `random` at all.
    pub(crate) unseeded: Option<Vec<PyObjectRef>>,
}

thread_local! {
    static INTERPRETER: OnceCell<(Interpreter, Guest)> = const { OnceCell::new() };
}

/// Start it and import what steps commonly use, so that no module image pays for that again.
///
/// # Panics
/// If our own Python files fail: then the guest was built wrongly, and its host must not go on.
#[expect(clippy::panic, reason = "there is nobody to give an error to, and the host tells what was printed")]
pub(crate) fn start() {
    let builder = InterpreterBuilder::new().settings(settings()).init_stdlib();
    let net = net::module(&builder.ctx);
    let interpreter = builder.add_native_module(net).interpreter();
    let guest = interpreter.enter(|vm| {
        prepare(vm).unwrap_or_else(|error| {
            vm.print_exception(&error);
            panic!("the guest's own Python files cannot be imported");
        })
    });
    INTERPRETER.with(|cell| cell.set((interpreter, guest)).is_ok());
}

/// Do something with the interpreter, or `None` before [`start`].
pub(crate) fn enter<R>(work: impl FnOnce(&Guest, &VirtualMachine) -> R) -> Option<R> {
    INTERPRETER.with(|cell| cell.get().map(|(interpreter, guest)| interpreter.enter(|vm| work(guest, vm))))
}

/// Make what is alive ready to be an image: calls shall write to few of its pages.
pub(crate) fn settle(vm: &VirtualMachine) {
    drain_free_lists(vm);
    make_immortal(vm);
    // the collector never looks at what is alive now
    vm.state.gc.freeze();
    close_gaps();
    HEAP.forget_gaps();
}

/// What is immortal has no count of references, so that a call that merely reads an object does not write to its page.
fn make_immortal(vm: &VirtualMachine) {
    let mut found = vm.state.gc.get_objects(None);
    while let Some(object) = found.pop() {
        if !object.is_immortal() {
            object.make_immortal();
            found.extend(object.gc_get_referents());
        }
    }
}

/// The interpreter keeps freed objects of common types to use them again; they lie all over the heap. Take them for
/// good: a call then makes its objects in fresh memory, which stands together.
fn drain_free_lists(vm: &VirtualMachine) {
    const MOST_TUPLES: usize = 2000;
    const MOST_OF_OTHERS: usize = 100;
    for _ in 0..MOST_TUPLES {
        forget(vm.ctx.new_tuple(vec![vm.ctx.none()]));
    }
    for number in 0..MOST_OF_OTHERS {
        forget(vm.ctx.new_dict());
        forget(vm.ctx.new_list(Vec::new()));
        forget(vm.ctx.new_float(0.5));
        // beyond the integers that are made once
        forget(vm.ctx.new_int(1_000_000 + number));
    }
}

/// Fill the gaps of the heap for good, so that what a call allocates stands together behind the image, on few pages,
/// instead of in gaps all over it.
fn close_gaps() {
    // larger than any gap worth keeping: it comes to stand behind everything, and what it leaves is room for calls
    let behind = Vec::<u8>::with_capacity(ROOM);
    let mut size = ROOM / 2;
    while size >= SMALLEST_GAP {
        let filler = Vec::<u8>::with_capacity(size);
        match filler.as_ptr() < behind.as_ptr() {
            true => forget(filler),
            // gaps come in steps of 8 bytes; of large ones a rest may stay
            false => size -= if size > 4096 { size / 2 } else { 8 },
        }
    }
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.install_signal_handlers = false;
    settings.import_site = false;
    settings.user_site_directory = false;
    settings.isolated = true;
    settings.ignore_environment = true;
    settings.write_bytecode = false;
    settings
}

fn prepare(vm: &VirtualMachine) -> PyResult<Guest> {
    vm.recursion_limit.set(RECURSION_LIMIT);
    vm.state.gc.set_threshold(COLLECT_EVERY, None, None);
    vm.run_string(vm.new_scope_with_builtins(), PRELUDE, "<bue>/_prelude.py")?;
    for (name, path, source) in LIBRARY {
        import_file(vm, name, path, source)?;
    }
    let guest = Guest { types: Types::new(vm)?, helpers: Helpers::new(vm)?, loaded: OnceCell::new() };
    // before anything is learnt: a collection empties the cache of looked-up attributes
    vm.state.gc.collect_force(2);
    guest.helpers.warm.call((), vm)?;
    flush(vm);
    settle(vm);
    Ok(guest)
}
