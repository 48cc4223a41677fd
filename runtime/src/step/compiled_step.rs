//! A step that was compiled to WebAssembly by its author, and to machine code by this machine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The machine code of a step. A value of this type proves that this installation compiled it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CompiledStep {
    pub(crate) kind: WasmKind,
    pub(crate) code: PathBuf,
}

/// The kind of a compiled step's module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WasmKind {
    /// A component that exports `bue:step/guest`.
    Component,
    /// A command, a module with `_start`: inputs as JSON on standard input, the result as JSON on standard output.
    Command,
}
