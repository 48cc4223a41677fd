//! Steps in sandboxes and on PostgreSQL, from outside the crate, in this process. `hosts.rs` tests sandbox hosts as processes.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking, and some print what they do"
)]

mod answer_forms;
mod common;
mod cpython;
mod decimals;
mod egress;
mod freshness;
mod guest_heap;
mod held_locks;
mod isolation;
mod limits;
mod memory_bucket;
mod network;
mod packages;
mod postgres;
mod prepare;
mod python;
mod request_head;
mod robust;
mod sql_columns;
mod sql_values;
mod sqlite;
mod step_bucket;
mod wheel;
