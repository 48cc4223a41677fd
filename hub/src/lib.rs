//! The hub and the bucket: who keeps the jobs, and who keeps the bytes.
//!
//! ```text
//! serve_hub  --> JobStore --> SqliteStore          serve_bucket --> BlobStore
//!                        `-> PostgresStore, on drafts
//! ```
//! The hub never opens a value and never sees a script's text: it stores a `Plan` and moves references. State changes only
//! inside a [`JobStore`] method. The clock is read by the servers and handed in from there. Both servers have a table of
//! their routes, and ask [`Access`] whether a request's token may use one before they read anything else of it.
#![forbid(unsafe_code)]

mod api;
mod auth;
mod bucket;
mod clock;
mod commits;
mod error;
mod http;
mod jobs;
mod plan_error;
mod postgres;
mod sqlite;
mod store;

pub use self::http::routes::RouteView;
pub use self::http::server::Listener;
pub use self::http::tls::{Tls, TlsError, TlsFiles};
pub use api::hub_server::{Clock, Hub, hub_routes, serve_hub};
pub use auth::access::Access;
pub use auth::role::{NoRole, Role};
pub use auth::token_file::{TokenEntry, TokenError, TokenFile};
pub use bucket::blob_store::BlobStore;
pub use bucket::bucket_server::{Bucket, bucket_routes, serve_bucket};
pub use commits::Commits;
pub use error::HubError;
pub use jobs::tally::{ScopeTally, Tally};
pub use plan_error::PlanError;
pub use postgres::PostgresStore;
pub use sqlite::{Durability, SqliteStore};
pub use store::{Answer, Changes, JobStore, LEASE_MS, Leased, MAX_RELEASES, MAX_RESETS, Reaped, SHARE_OF_LAST};
