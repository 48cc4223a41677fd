//! The hub, which stores the jobs, and the bucket, which stores the bytes.
//!
//! ```text
//! serve_hub  --> JobStore --> SqliteStore          serve_bucket --> BlobStore
//!    api            |     `-> PostgresStore             bucket
//!                   |            both use the rules in `jobs`
//! ```
//! The hub never decodes a value and never sees a script's source: it stores a `Plan` and passes references on. State changes
//! only inside a [`JobStore`] method. The servers read the clock and pass the time on. Both servers have a table of their
//! routes, and [`Access`] decides by a request's token whether it may use a route before anything else of it is read.
//!
//! Folders may use those to their left only: `auth`, `http`, `api` and `bucket`, `web`; `jobs`, `sqlite` and `postgres`. `api` knows
//! the stores by the trait [`JobStore`] alone; `telemetry` exports what `api` and `jobs` know; `pipelines` and `records` use `jobs`, and `schedules` uses `pipelines`.
#![forbid(unsafe_code)]
#![deny(clippy::indexing_slicing)]

mod api;
mod auth;
mod bucket;
mod bundle_reader;
mod clock;
mod commit_metrics;
mod durability;
mod error;
mod file_fingerprint;
mod http;
mod hub_server;
mod jobs;
mod lease_key;
mod notifications;
mod pipelines;
mod plan_error;
mod postgres;
mod records;
mod regular_file;
mod reruns;
mod schedules;
mod settings;
mod sqlite;
mod store;
mod telemetry;
mod web;

pub use self::http::routes::RouteView;
pub use self::http::server::Listener;
pub use self::http::tls::{Tls, TlsError, TlsFiles};
pub use api::hub::Hub;
pub use api::routes::hub_routes;
pub use auth::access::Access;
pub use auth::role::{Role, UnknownRole};
pub use auth::token_file::{TokenEntry, TokenError, TokenFile};
pub use bucket::blob_store::BlobStore;
pub use bucket::bucket_server::{Bucket, serve_bucket};
pub use bucket::routes::bucket_routes;
pub use bundle_reader::{BundleFuture, BundleReader};
pub use clock::{Clock, Simulation};
pub use commit_metrics::CommitMetrics;
pub use durability::Durability;
pub use error::HubError;
pub use hub_server::serve_hub;
pub use jobs::counts::tally::Tally;
pub use jobs::views::failed_list::{FailedList, FailedQuery};
pub use jobs::views::position::{ParsePositionError, Position};
pub use jobs::views::run_list::{FailedFilter, ListedRun, NamePattern, RunList, RunQuery};
pub use lease_key::LeaseKey;
pub use notifications::{Notifications, WorkerNews};
pub use pipelines::Invocation;
pub use plan_error::PlanError;
pub use postgres::PostgresStore;
pub use records::audit::{AuditEntry, AuditList, AuditQuery};
pub use regular_file::read_regular_file;
pub use reruns::difference::{
    JobDifference, JobDigests, JobsDifference, ParamDifference, RunDifference, StepDifference, difference,
};
pub use reruns::{Replacement, Rerun, StoredPlan};
pub use schedules::backfill::Backfill;
pub use schedules::firing::FiredSchedules;
pub use schedules::request::{Others, ScheduleAction, ScheduleUpdate, UpdateMode};
pub use schedules::spec::ScheduleSpec;
pub use settings::HubSetting;
pub use sqlite::SqliteStore;
pub use store::{
    ExpiredJobs, ISOLATION_MS, JobResult, JobStore, LEASE_MS, LeaseAnswer, MAX_RELEASES, MAX_RESETS, ReapedJobs,
    SUSPECT_RELEASES, StoreFuture,
};
pub use telemetry::config::{OtlpConfig, TelemetryConfig, TelemetryConfigError};
pub use web::routes::dashboard_routes;
