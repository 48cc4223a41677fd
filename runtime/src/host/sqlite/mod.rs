//! SQL steps: each gets a fresh in-memory database.
//!
//! ```text
//! inputs --rows.rs--> tables     text --script.rs--> statements     last one's rows --output.rs--> CBOR
//!                     authorizer.rs: what the statements may do      heap.rs: how much memory they may use
//! ```
//! SQLite cannot suspend a statement, so each step runs on a thread of a small pool. It is interrupted within a thousand
//! instructions of SQLite's virtual machine when its time limit is over or its future was dropped.

mod authorizer;
mod column;
mod empty;
mod error;
mod exact;
mod failure;
mod heap;
mod output;
pub(crate) mod pool;
mod rows;
mod script;
mod step;
pub(crate) mod syntax;
