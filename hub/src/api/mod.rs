//! The hub's HTTP API: routes, long polls, events, metrics, and the reaper. Calls the store only through
//! [`JobStore`](crate::store::JobStore); may use `http` and `auth`, never `sqlite`, `postgres` or `bucket`.
//!
//! ```text
//! hub_server --> dispatch --> routes, long_poll, events, log_stream --> Hub --> JobStore
//!           `--> reaper ------------------------------------^
//! ```

mod dispatch;
mod events;
pub(crate) mod hub;
mod hub_metrics;
pub(crate) mod hub_server;
mod log_stream;
mod log_watches;
mod long_poll;
mod openapi;
mod reaper;
pub(crate) mod routes;
mod workers;
