//! Python steps: the interpreter as a guest, one memory image per module, one instance per step.
//!
//! Depends on [`memory`](crate::host::memory) and on what all guests share (`engine.rs`, `state.rs`, `wasi.rs`).

pub(crate) mod guest;
pub(crate) mod guest_error;
pub(crate) mod split;
pub(crate) mod steps;
