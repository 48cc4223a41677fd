//! The hub's HTTP API: routes, long polls, events, metrics, the reaper and the
//! scheduler. Calls the store only through
//! [`JobStore`](crate::store::JobStore); may use `http` and `auth`, never `sqlite`, `postgres` or `bucket`.
//!
//! ```text
//! hub_server --> dispatch --> routes, leases, lists, job_reads, records, long_poll, log_stream, views, events --> Hub --> JobStore
//!           |            `--> change --> runs, bulk, pipelines, reruns, schedules --------------------------------^
//!           `--> reaper, expiry, scheduler, sampler, worker_sharing, records -------------------------------------^
//! ```
//! Every request that changes something goes through `change`, which records it in the audit before it is answered.

mod bulk;
pub(crate) mod bulk_request;
mod change;
mod chosen_scopes;
mod dispatch;
mod events;
mod expiry;
mod filters;
pub(crate) mod hub;
mod hub_counts;
mod hub_metrics;
pub(crate) mod hub_server;
mod job_reads;
mod json_values;
mod leases;
mod lists;
mod log_stream;
mod log_watches;
mod long_poll;
mod openapi;
mod parameters;
mod pipelines;
mod progress;
mod reaper;
mod records;
mod reruns;
pub(crate) mod routes;
mod runs;
mod sampler;
mod scheduler;
mod schedules;
mod simulation;
mod views;
mod worker_sharing;
mod workers;
