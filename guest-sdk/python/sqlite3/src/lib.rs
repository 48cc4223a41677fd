//! Python's module `_sqlite3` for the guest, on the SQLite of all guests. build.rs takes its source from RustPython.

// the module's source expects its attributes everywhere
#[macro_use]
extern crate rustpython_derive;

mod module {
    include!(concat!(env!("OUT_DIR"), "/_sqlite3.rs"));
}

use rustpython_vm::Context;
use rustpython_vm::builtins::PyModuleDef;

/// The definition of the module, for the interpreter's builder.
pub fn module(context: &Context) -> &'static PyModuleDef {
    module::module_def(context)
}

pub use bue_sqlite3::reset_randomness;
