//! Python steps: the interpreter as a guest, one memory image per module, one instance per step.
//!
//! Depends on [`guest`](crate::host::guest).

pub(crate) mod steps;
