//! The hub's HTTP API: routes, long polls, events, metrics, the reaper and the
//! scheduler. Calls the store only through
//! [`JobStore`](crate::store::JobStore); may use `http` and `auth`, never `sqlite`, `postgres` or `bucket`.
//!
//! ```text
//! hub_server --> dispatch --> routes, leases, lists, bulk, job_reads, long_poll, log_stream, views, events --> Hub --> JobStore
//!           `--> reaper, expiry, scheduler, sampler, worker_sharing -----------------------^
//! ```

mod bulk;
pub(crate) mod bulk_request;
mod chosen_scopes;
mod dispatch;
mod events;
mod expiry;
mod filters;
pub(crate) mod hub;
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
mod pipelines;
mod progress;
mod reaper;
mod reruns;
pub(crate) mod routes;
mod sampler;
mod scheduler;
mod schedules;
mod views;
mod worker_sharing;
mod workers;
