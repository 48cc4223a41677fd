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

pub(crate) mod backfill_task;
pub(crate) mod backfills;
pub(crate) mod bulk;
pub(crate) mod bulk_request;
mod bundles;
pub(crate) mod change;
mod chosen_scopes;
pub(crate) mod dispatch;
pub(crate) mod events;
pub(crate) mod expiry;
mod filters;
mod group_cache;
pub(crate) mod hub;
mod hub_counts;
mod hub_metrics;
pub(crate) mod job_reads;
mod json_values;
mod leases;
pub(crate) mod lists;
mod log_stream;
mod log_watches;
pub(crate) mod long_poll;
mod openapi;
mod parameters;
pub(crate) mod pipelines;
mod progress;
pub(crate) mod reaper;
pub(crate) mod records;
pub(crate) mod reruns;
pub(crate) mod result_pages;
pub(crate) mod routes;
mod run_changes;
pub(crate) mod runs;
pub(crate) mod sampler;
pub(crate) mod scheduler;
pub(crate) mod schedules;
pub(crate) mod sessions;
mod simulation;
pub(crate) mod views;
pub(crate) mod worker_sharing;
mod workers;
