//! SQL steps: a fresh in-memory database each.
//!
//! ```text
//! inputs --rows.rs--> tables     text --script.rs--> statements     last one's rows --output.rs--> CBOR
//!                     guard.rs: what the statements may do      heap.rs: how much memory they may take
//! ```
//! SQLite has no way to wait in the middle of a statement, so each step has a thread of a small pool. It stops within a
//! thousand instructions of SQLite's machine when its time is over or nobody waits for it any more.

mod error;
mod failure;
mod guard;
mod heap;
mod output;
pub(crate) mod pool;
mod rows;
mod script;
mod step;
pub(crate) mod syntax;
