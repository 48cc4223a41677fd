//! State shared by the exports.

use core::cell::OnceCell;

use rustpython_vm::PyObjectRef;

use crate::python::{Helpers, Types};

/// What the exports share. It lives in the interpreter's thread-local and is part of the image.
pub(crate) struct Guest {
    pub(crate) types: Types,
    pub(crate) helpers: Helpers,
    /// Set by `bue_load`.
    pub(crate) module: OnceCell<LoadedModule>,
}

/// The user's module, as it is in the image.
pub(crate) struct LoadedModule {
    pub(crate) module: PyObjectRef,
    /// Random generators that each instance must reseed; `None` if the module does not use `random`.
    pub(crate) unseeded: Option<Vec<PyObjectRef>>,
}
