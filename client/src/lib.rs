//! Clients of our servers, for workers and the command: [`HubClient`] and [`BucketClient`].
//!
//! Only this crate builds requests to the hub and the bucket. It shares nothing with the servers except the messages of
//! `bue_model::wire`.
//!
//! ```text
//! HubClient, BucketClient   one method for each route
//!        |
//!    Connection             pool, addresses, timeouts, retries
//!        |   `-- Dial       TCP, or another stream of bytes; TLS inside it, by Trust
//!        |
//!  Request, Reply           postcard after a version byte, JSON, errors
//! ```
#![forbid(unsafe_code)]

mod address;
mod backoff;
mod bucket_client;
mod connection;
mod dial;
mod download;
mod endpoint;
mod error;
mod hub_client;
mod log_follower;
mod options;
mod percent;
mod reply;
mod request;
mod tls_error;
mod trust;

pub use backoff::Backoff;
pub use bucket_client::{BucketClient, KeyPart};
pub use dial::{Dial, DialFuture, Stream};
pub use download::Download;
pub use error::ClientError;
pub use hub_client::HubClient;
pub use log_follower::{LogEvent, LogFollower};
pub use options::ClientOptions;
pub use trust::Trust;
