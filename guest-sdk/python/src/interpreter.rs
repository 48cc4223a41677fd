//! The interpreter: started by `bue_init`, part of the image from then on.

use core::cell::OnceCell;

use rustpython::InterpreterBuilderExt;
use rustpython_vm::import::import_file;
use rustpython_vm::{Interpreter, InterpreterBuilder, PyResult, Settings, VirtualMachine};

use crate::guest::Guest;
use crate::image;
use crate::net;
use crate::python::{Helpers, Types};
use crate::rows;
use crate::stdio::flush;
use crate::threads;

/// Maximum depth of nested Python calls. They use no native stack; native recursion is limited by the stack's size.
const RECURSION_LIMIT: usize = 1000;
/// Net allocations between two runs of the cycle collector. A short call never reaches it: a run writes to pages all over
/// the memory. A long call accumulates no more than some megabytes of cycles.
const GC_THRESHOLD: u32 = 20_000;

const PRELUDE: &str = include_str!("../lib/_prelude.py");
/// Our Python modules in import order: name, path in tracebacks, source.
const MODULES: [(&str, &str, &str); 27] = [
    ("_ctypes", "<bue>/_ctypes.py", include_str!("../lib/_ctypes.py")),
    ("mmap", "<bue>/mmap.py", include_str!("../lib/mmap.py")),
    ("bue", "<bue>/bue.py", include_str!("../lib/bue.py")),
    ("bue._buelon_tables", "<bue>/_buelon_tables.py", include_str!("../lib/_buelon_tables.py")),
    ("bue._buelon_helpers", "<bue>/_buelon_helpers.py", include_str!("../lib/_buelon_helpers.py")),
    ("bue._buelon", "<bue>/_buelon.py", include_str!("../lib/_buelon.py")),
    ("bue._scheduler", "<bue>/_scheduler.py", include_str!("../lib/_scheduler.py")),
    ("bue.bucket", "<bue>/bucket.py", include_str!("../lib/bucket.py")),
    ("bue._threads", "<bue>/_threads.py", include_str!("../lib/_threads.py")),
    ("bue._soft_limit", "<bue>/_soft_limit.py", include_str!("../lib/_soft_limit.py")),
    ("bue._randomness", "<bue>/_randomness.py", include_str!("../lib/_randomness.py")),
    ("bue._explain", "<bue>/_explain.py", include_str!("../lib/_explain.py")),
    ("bue._os_patches", "<bue>/_os_patches.py", include_str!("../lib/_os_patches.py")),
    ("bue._local_time", "<bue>/_local_time.py", include_str!("../lib/_local_time.py")),
    ("bue._connection", "<bue>/_connection.py", include_str!("../lib/_connection.py")),
    ("bue._tcp", "<bue>/_tcp.py", include_str!("../lib/_tcp.py")),
    ("bue._sockets", "<bue>/_sockets.py", include_str!("../lib/_sockets.py")),
    ("bue._http_client", "<bue>/_http_client.py", include_str!("../lib/_http_client.py")),
    ("bue._requests", "<bue>/_requests.py", include_str!("../lib/_requests.py")),
    ("bue._library_patches", "<bue>/_library_patches.py", include_str!("../lib/_library_patches.py")),
    ("bue._loader", "<bue>/_loader.py", include_str!("../lib/_loader.py")),
    ("bue._traceback", "<bue>/_traceback.py", include_str!("../lib/_traceback.py")),
    ("bue._transport", "<bue>/_transport.py", include_str!("../lib/_transport.py")),
    ("bue._event_loop", "<bue>/_event_loop.py", include_str!("../lib/_event_loop.py")),
    ("bue.streams", "<bue>/streams.py", include_str!("../lib/streams.py")),
    ("bue._fused", "<bue>/_fused.py", include_str!("../lib/_fused.py")),
    ("bue._warm_up", "<bue>/_warm_up.py", include_str!("../lib/_warm_up.py")),
];

thread_local! {
    static INTERPRETER: OnceCell<(Interpreter, Guest)> = const { OnceCell::new() };
}

/// Start the interpreter and import what steps commonly use, so that no module image pays for that again.
///
/// # Panics
/// If our own Python files fail: then the guest was built wrongly, and its host must not go on.
#[expect(clippy::panic, reason = "there is no caller to return an error to, and the host reports what was printed")]
pub(crate) fn start() {
    let builder = InterpreterBuilder::new().settings(settings()).init_stdlib();
    let net = net::module(&builder.ctx);
    let sqlite3 = bue_python_sqlite3::module(&builder.ctx);
    let threads = threads::module(&builder.ctx);
    let rows = rows::module(&builder.ctx);
    let builder = builder.add_native_module(net).add_native_module(sqlite3).add_native_module(threads);
    let builder = builder.add_native_module(rows);
    let interpreter = builder.interpreter();
    let guest = interpreter.enter(|vm| {
        initialize(vm).unwrap_or_else(|error| {
            vm.print_exception(&error);
            panic!("the guest's own Python files cannot be imported");
        })
    });
    INTERPRETER.with(|cell| cell.set((interpreter, guest)).is_ok());
}

/// Run a closure with the interpreter. Returns `None` before [`start`].
pub(crate) fn enter<R>(body: impl FnOnce(&Guest, &VirtualMachine) -> R) -> Option<R> {
    INTERPRETER.with(|cell| cell.get().map(|(interpreter, guest)| interpreter.enter(|vm| body(guest, vm))))
}

/// Call a closure with what the exports share, while [`enter`] runs. Returns `None` before [`start`].
pub(crate) fn with_guest<R>(body: impl FnOnce(&Guest) -> R) -> Option<R> {
    INTERPRETER.with(|cell| cell.get().map(|(_, guest)| body(guest)))
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

fn initialize(vm: &VirtualMachine) -> PyResult<Guest> {
    vm.recursion_limit.set(RECURSION_LIMIT);
    vm.state.gc.set_threshold(GC_THRESHOLD, None, None);
    vm.run_string(vm.new_scope_with_builtins(), PRELUDE, "<bue>/_prelude.py")?;
    for (name, path, source) in MODULES {
        import_file(vm, name, path, source)?;
    }
    let guest = Guest { types: Types::new(vm)?, helpers: Helpers::new(vm)?, module: OnceCell::new() };
    // before warming up: a collection empties the cache of looked-up attributes
    vm.state.gc.collect_force(2);
    guest.helpers.warm_up.call((), vm)?;
    flush(vm);
    image::prepare(vm);
    Ok(guest)
}
