//! Python's module `_sqlite3` for the guest, and the operating system that its SQLite sees: none.
//!
//! ```text
//! build.rs     compiles SQLite with clang and the headers of include/, and takes the module's source from RustPython
//! src/vfs.rs   SQLite's operating system: clock and random numbers, no files
//! ```

// the module's source expects its attributes everywhere
#[macro_use]
extern crate rustpython_derive;

mod vfs;

mod module {
    include!(concat!(env!("OUT_DIR"), "/_sqlite3.rs"));
}

use rustpython_vm::Context;
use rustpython_vm::builtins::PyModuleDef;

/// The definition of the module, for the interpreter's builder.
pub fn module(context: &Context) -> &'static PyModuleDef {
    module::module_def(context)
}

/// Makes SQLite draw a new seed before its next random number. Its generator is part of a memory image, so that all instances
/// of the image would draw the same numbers.
pub fn reset_randomness() {
    // SAFETY: with a length of 0, SQLite only forgets its seed; the buffer is not used.
    unsafe { libsqlite3_sys::sqlite3_randomness(0, core::ptr::null_mut()) };
}
