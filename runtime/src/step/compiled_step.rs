//! A step that was compiled to WebAssembly, and then to machine code of this machine.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Machine code of a step. Having one is the proof that this installation made it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CompiledStep {
    pub(crate) kind: WasmKind,
    pub(crate) code: PathBuf,
}

/// Two ways to be a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WasmKind {
    /// Exports `bue:step/guest`.
    Component,
    /// A module with `_start`: inputs as JSON on standard input, the result as JSON on standard output.
    Command,
}
