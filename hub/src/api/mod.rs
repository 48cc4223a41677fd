//! The hub's HTTP interface: its routes, long polls, events, metrics and the reaper. It calls the store only through
//! [`JobStore`](crate::store::JobStore), and may use `http` and `auth`, never `sqlite`, `postgres` or `bucket`.

pub(crate) mod events;
pub(crate) mod hub_metrics;
pub(crate) mod hub_server;
mod openapi;
pub(crate) mod workers;
