//! A tree to a plan: names resolved, settings combined, calls turned into jobs.
//!
//! `builder.rs` walks the tree; `call.rs`, `loops.rs`, `define.rs` and `unknown_names.rs` add the statements to it.

pub(crate) mod builder;
mod call;
mod define;
mod definition;
mod finally;
mod fusion;
mod inherited;
mod inline_code;
mod list_jobs;
mod loops;
mod param;
pub(crate) mod source_map;
mod symbol_table;
mod unknown_names;

pub use builder::{MAX_NODES, MAX_PLAN_BYTES};
