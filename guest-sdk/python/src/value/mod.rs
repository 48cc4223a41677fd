//! Values between CBOR and Python objects, and what a returned value means. Depends on `guest.rs`, `python.rs`, `error.rs`
//! and `host.rs`.

pub(crate) mod answer;
pub(crate) mod decode;
mod elements;
mod encode;
mod encode_error;
mod step_result;
pub(crate) mod stream;
