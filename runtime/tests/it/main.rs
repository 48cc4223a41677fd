//! Steps in sandboxes, from outside the crate, in this process.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test says what it expects and what it does"
)]

mod common;
mod cpython;
mod egress;
mod freshness;
mod guest_heap;
mod isolation;
mod limits;
mod network;
mod packages;
mod prepare;
mod sqlite;
mod wheel;
