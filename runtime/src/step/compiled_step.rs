//! A step that was compiled to WebAssembly by its author, and to machine code by this machine.

use std::fs::File;
use std::sync::Arc;

use bue_model::BlobHash;
use serde::{Deserialize, Serialize};

/// The machine code of a step. A value of this type proves that this installation compiled it.
#[derive(Clone, Debug)]
pub struct CompiledStep {
    pub(crate) kind: WasmKind,
    /// A hash of the module and of what compiled it.
    pub(crate) key: BlobHash,
    /// Sealed memory.
    pub(crate) code: Arc<File>,
}

/// The kind of a compiled step's module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WasmKind {
    /// A component that exports `bue:step/guest`.
    Component,
    /// A command, a module with `_start`: inputs as JSON on standard input, the result as JSON on standard output.
    Command,
}
