//! Tests of the hub and the bucket on real components: SQLite in memory or in a file, a PostgreSQL cluster, HTTP on port 0.
//!
//! The contract of a [`bue_hub::JobStore`] is written once and tested on every store, with a clock that the tests move.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "numbers of tests are small")]

/// Measures the peak memory of each thread.
#[global_allocator]
static ALLOCATOR: counting_allocator::CountingAllocator = counting_allocator::CountingAllocator;

mod access;
mod attempt_bytes;
mod bucket;
mod contract;
mod counting_allocator;
mod disk;
mod files;
mod full_disk;
mod garbage;
mod http;
mod http_audit;
mod http_bulk;
mod http_lists;
mod http_pipelines;
mod http_reads;
mod http_schedules;
mod layouts;
mod limits;
mod metrics;
mod postgres;
mod postgres_access;
mod postgres_faults;
mod postgres_timeout;
mod power_cuts;
mod proptest_runner;
mod random;
mod raw_http;
mod schedule_rows;
mod schedule_year;
mod script;
mod seeds;
mod servers;
mod simulation;
mod sqlite;
mod telemetry;
mod tls;
mod web;
mod web_actions;
mod web_login;
mod web_pages;
mod web_values;
mod world;
