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

mod access;
mod arguments;
mod blob_store;
mod bucket_server;
mod clock;
mod columns;
mod commits;
mod counts;
mod delay;
mod draft;
mod error;
mod events;
mod fate;
mod front;
mod graph;
mod guarded;
mod hub_metrics;
mod hub_server;
mod instance;
mod lease_batch;
mod openapi;
mod opening;
mod outcome_rules;
mod peers;
mod plan_error;
mod postgres;
mod reply;
mod request;
mod role;
mod routes;
mod run_cache;
mod seldom;
mod server;
mod sqlite;
mod stamp;
mod state;
mod store;
mod tally;
mod tls;
mod token_file;
mod workers;

pub use access::Access;
pub use blob_store::BlobStore;
pub use bucket_server::{Bucket, bucket_routes, serve_bucket};
pub use commits::Commits;
pub use error::HubError;
pub use hub_server::{Clock, Hub, hub_routes, serve_hub};
pub use plan_error::PlanError;
pub use postgres::PostgresStore;
pub use role::{NoRole, Role};
pub use routes::RouteView;
pub use server::Listener;
pub use sqlite::{Durability, SqliteStore};
pub use store::{Answer, Changes, JobStore, LEASE_MS, Leased, MAX_RELEASES, MAX_RESETS, Reaped, SHARE_OF_LAST};
pub use tally::{ScopeTally, Tally};
pub use tls::{Tls, TlsError, TlsFiles};
pub use token_file::{TokenEntry, TokenError, TokenFile};
