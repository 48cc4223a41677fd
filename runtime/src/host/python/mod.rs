//! Python steps: the interpreter as a guest, one memory image a module, one instance a step.
//!
//! Depends on [`memory`](crate::host::memory) and on what all guests share (`engine.rs`, `state.rs`, `wasi.rs`).

pub(crate) mod guest;
pub(crate) mod split;
pub(crate) mod steps;
