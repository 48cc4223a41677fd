//! How worker and command reach our servers: [`HubClient`] and [`BucketClient`].
//!
//! The only place that builds requests to hub and bucket. It stands between `worker` and `src` on one side and the servers
//! of `hub` on the other, and shares nothing with the latter but the words of `bue_model::wire`.
//!
//! ```text
//! HubClient, BucketClient   one method a route
//!        |
//!    Connection             pool, addresses, timeouts, repeats
//!        |   `-- Dial       TCP, or another way to a stream of bytes; TLS inside it, by Trust
//!        |
//!      wire                 postcard behind a version byte, JSON, errors
//! ```
#![forbid(unsafe_code)]

mod bucket_client;
mod connection;
mod dial;
mod error;
mod handshake;
mod hub_client;
mod trust;
mod wire;

pub use bucket_client::BucketClient;
pub use connection::Download;
pub use dial::{Dial, Dialing, Stream};
pub use error::ClientError;
pub use hub_client::HubClient;
pub use trust::Trust;
