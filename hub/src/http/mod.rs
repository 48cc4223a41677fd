//! What both servers are built from: the accept loop, TLS, limits of connections and of time, requests, replies, the table of
//! routes, and the metrics of requests. It knows nothing of jobs or blobs; it may use `auth` and `error`, never `api`,
//! `bucket`, `jobs` or a store.

pub(crate) mod accept;
pub(crate) mod connection_limit;
pub(crate) mod log_limit;
pub(crate) mod openapi;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod request_metrics;
pub(crate) mod routes;
pub(crate) mod server;
pub(crate) mod timeout_stream;
pub(crate) mod tls;
