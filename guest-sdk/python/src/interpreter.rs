//! The one interpreter: made by `bue_init`, part of the image from then on.

use core::cell::OnceCell;

use rustpython::InterpreterBuilderExt;
use rustpython_vm::import::import_file;
use rustpython_vm::{Interpreter, InterpreterBuilder, PyObjectRef, PyResult, Settings, VirtualMachine};

use crate::python::{Helpers, Types};

/// Calls of Python functions inside each other. They take no native stack; what does is stopped by the stack's size.
const RECURSION_LIMIT: usize = 1000;
/// Objects made, less those freed, between two runs of the cycle collector. A short call never reaches it: a run writes
/// to pages all over the memory. A long one does not pile up more than some megabytes of cycles.
const COLLECT_EVERY: u32 = 20_000;

/// Python files of ours, in the order they are imported in: name, path in tracebacks, text.
const LIBRARY: [(&str, &str, &str); 6] = [
    ("bue", "<bue>/bue.py", include_str!("../lib/bue.py")),
    ("bue._fresh", "<bue>/_fresh.py", include_str!("../lib/_fresh.py")),
    ("bue._explain", "<bue>/_explain.py", include_str!("../lib/_explain.py")),
    ("bue._loader", "<bue>/_loader.py", include_str!("../lib/_loader.py")),
    ("bue._trace", "<bue>/_trace.py", include_str!("../lib/_trace.py")),
    ("bue._loop", "<bue>/_loop.py", include_str!("../lib/_loop.py")),
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
pub(crate) fn start() {
    let interpreter = InterpreterBuilder::new().settings(settings()).init_stdlib().interpreter();
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

/// Everything alive stays alive: collect what is garbage, and never look at the rest again.
pub(crate) fn freeze(vm: &VirtualMachine) {
    vm.state.gc.collect_force(2);
    vm.state.gc.freeze();
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
    freeze(vm);
    Ok(guest)
}
