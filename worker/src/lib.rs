//! The worker: it leases jobs, fetches their code and inputs, runs them, and reports their outcomes.
//!
//! It is stateless: if it is killed, its leases end and the hub leases its jobs to other workers. Its parts, each a task, and what
//! passes between them:
//!
//! ```text
//!  hub --leases--> lease_loop --one task for each job--> job (fetch, runtime::Hosts, outcome) --reports--> reporter --> hub
//!                       |                                  ^
//!                   admission                        cancel reason
//!                                                          |
//!  hub <------------------- heartbeat: all held leases ----+
//! ```
//!
//! While somebody follows the log of a job, `job_log` gets what the step prints from its sandbox host, and `live_log` sends it to the hub.
//!
//! Elements that a step yields for a loop are reported while it runs (`list_report`), so that rounds of the loop start.
//!
//! A bucket that is away only delays jobs (`job_bucket`), and so does a hub.
//!
//! Requests to the hub are batched: what arrives while a request is in flight goes into the next one.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod admission;
mod arguments;
mod byte_budget;
mod config;
mod environment;
mod error;
mod fetch;
mod heartbeat;
mod held_leases;
mod input_budget;
mod job;
mod job_bucket;
mod job_log;
mod lease_loop;
mod list_job;
mod list_report;
mod live_log;
mod output;
mod parameters;
mod printed;
mod rate_key;
mod recorded_list;
mod reporter;
mod run_job;
mod status;
mod step_bucket;
mod task;
mod value_summary;
mod worker;

pub use config::{EndConditions, WorkerConfig};
pub use environment::{Environment, Variable};
pub use error::WorkerError;
pub use printed::PrintedOutput;
pub use run_job::{JobRun, run_job};
pub use worker::run;
