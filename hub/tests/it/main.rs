//! What the hub and the bucket promise, tested with real databases and servers: SQLite in memory or in a file, PostgreSQL in a
//! cluster of its own, HTTP on port 0.
//!
//! The contract of a [`bue_hub::JobStore`] is written once, for any store, with a clock that is moved by hand.
#![expect(clippy::expect_used, clippy::panic, reason = "a test says what it expects")]
#![expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "numbers of tests are small")]

/// Counts what each thread takes; see `allocated.rs`.
#[global_allocator]
static ALLOCATOR: allocated::Counted = allocated::Counted;

mod access;
mod allocated;
mod bucket;
mod chance;
mod contract;
mod disk;
mod files;
mod full_disk;
mod garbage;
mod http;
mod layouts;
mod limits;
mod metrics;
mod postgres;
mod postgres_access;
mod postgres_faults;
mod postgres_timeout;
mod power_cuts;
mod random;
mod script;
mod seeds;
mod simulation;
mod sqlite;
mod tls;
mod world;
