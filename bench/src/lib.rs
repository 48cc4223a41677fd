//! What every benchmark here shares: arms measured in turn, medians with their spread, a table.
//!
//! A figure is a ratio of arms that ran in one process, interleaved A B B A, so that whatever else the machine did falls
//! on all of them alike. Nothing here asserts; it prints.
#![forbid(unsafe_code)]

mod bue;
mod database;
mod host;
mod hub;
mod load;
mod process;
mod python;
mod stats;

pub use bue::{Bue, Finished, raise_file_limit, run};
pub use database::{Database, connect};
pub use host::{host_command, measure_or_serve};
pub use hub::{BucketProcess, HubProcess, Place};
pub use load::{Load, Moved, completed, lease_request, open, report, single};
pub use process::{cpu, family_cpu, pss_kib, status_kib, thread_faults, thread_time};
pub use python::{PythonStep, python_task};
pub use stats::{Samples, interleave};

use comfy_table::Table;

/// A table of figures with these columns.
#[must_use]
pub fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.set_header(columns.iter().copied());
    table
}
