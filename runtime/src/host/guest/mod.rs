//! The guests that begin as copies of a memory image: Python and SQLite. The host's side of the contract in
//! [`bue_model::guest`].
//!
//! Depends on [`memory`](crate::host::memory) and on what all guests share (`engine.rs`, `state.rs`, `wasi.rs`).

pub(crate) mod code;
pub(crate) mod dispatch;
pub(crate) mod error;
pub(crate) mod kind;
pub(crate) mod request;
pub(crate) mod split;
