//! What a hub sends to other systems: traces and metrics to an OpenTelemetry collector (OTLP), metrics and the times of attempts to a
//! StatsD server.
//!
//! ```text
//! transaction --> Notifications (bounded queues) --> traces: spans.rs --> otlp_client.rs --> collector
//!                                               `--> statsd: statsd_lines.rs ------------> StatsD, UDP
//! /metrics --> scrape.rs --> metrics: metrics.rs --> otlp_client.rs
//!                        `--> statsd: statsd_lines.rs
//! ```
//! A store announces what its own transactions ended, so of several hubs one exports each attempt. Nothing waits for a receiver: what it
//! does not take in time is dropped, counted (`bue_telemetry_dropped_total`) and logged. Uses `api::hub`, `jobs` and `http`.

pub(crate) mod attributes;
pub(crate) mod config;
pub(crate) mod drops;
pub(crate) mod export;
pub(crate) mod header_list;
mod metrics;
mod otlp_client;
mod samples;
mod scrape;
mod spans;
mod statsd;
mod statsd_lines;
mod stopping;
mod traces;
