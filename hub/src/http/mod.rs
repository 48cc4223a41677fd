//! What both servers are built from: the accept loop, TLS, limits on connections and time, requests and replies, the table of
//! routes, OpenAPI, and request metrics. May use `auth`, `error` and `file_fingerprint`; knows nothing about jobs or blobs.
//!
//! ```text
//! server: accept --> connection_limit --> timeout_stream --> accept (TLS or plain) --> hyper
//! handler: request_metrics(routes(access) --> request --> … --> reply)
//! ```

pub(crate) mod accept;
pub(crate) mod connection_limit;
mod held_body;
pub(crate) mod https_client;
pub(crate) mod log_rate_limiter;
pub(crate) mod openapi;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod request_metrics;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod timeout_stream;
pub(crate) mod tls;
