//! The parts that all benchmarks share.
//!
//! An **arm** is one of the things compared: bue, another system, or a lower bound (a "floor"): the least work that any
//! solution has to do. The arms of a benchmark run in one process, interleaved A B B A, so that other load on the machine affects
//! all of them alike. Compare the ratios: they vary less between machines than the times do. A cell such as
//! `1.2ms (1.1ms to 1.4ms)` is the median with the 10th and 90th percentiles. Benchmarks print figures and assert nothing about
//! them; they fail only if a result is wrong.
#![forbid(unsafe_code)]

mod bue;
mod database;
mod filled_store;
mod host;
mod hub;
mod load;
mod peers;
mod process;
mod python;
mod sqlite;
mod stats;

pub use bue::{Bue, CommandRun, raise_file_limit, run};
pub use database::{Database, connect};
pub use filled_store::{StoreSize, fill, with_leases};
pub use host::{host_command, measure_or_serve};
pub use hub::{BucketProcess, HubProcess, StoreKind};
pub use load::{Load, LoadMeasurement, completed, lease_request, open_loop, report, single_job};
pub use peers::Peers;
pub use process::{cpu, family_cpu, pss_kib, status_kib, thread_faults, thread_time};
pub use python::{PythonStep, python_task};
pub use sqlite::{SqlStep, sql_bundle, sql_task};
pub use stats::{Samples, interleave};

use comfy_table::Table;

/// Creates a table with these columns.
#[must_use]
pub fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.set_header(columns.iter().copied());
    table
}
