//! A script: read and checked together with everything its steps name, and packed for the bucket.
//!
//! May use `compiled`, `deps`, `config` and `process`.

pub(crate) mod bundle;
pub(crate) mod check;
pub(crate) mod code_check;
pub(crate) mod forbidden_calls;
pub(crate) mod neighbours;
mod not_a_script;
pub(crate) mod packed_files;
pub(crate) mod read;
mod text_file;
pub(crate) mod worker_check;
