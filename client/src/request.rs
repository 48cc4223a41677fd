//! [`Request`]: what is sent to a server.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};

/// Whether a request may be sent again if its answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryPolicy {
    /// Yes: it is idempotent.
    Always,
    /// Only if it never reached a server.
    IfUnsent,
}

/// A request, apart from what all requests of a connection share.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    /// In addition to those that every request has.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Empty: no body.
    pub(crate) content_type: &'static str,
    pub(crate) body: Bytes,
    pub(crate) retry_policy: RetryPolicy,
    /// The time until the head of the answer must have arrived.
    pub(crate) timeout: Duration,
    /// The largest answer, in bytes.
    pub(crate) max_reply: usize,
}

impl Request {
    /// Returns a request without a body that may be sent again.
    pub(crate) fn without_body(method: Method, path: String, timeout: Duration, max_reply: usize) -> Self {
        Self {
            method,
            path,
            headers: Vec::new(),
            content_type: "",
            body: Bytes::new(),
            retry_policy: RetryPolicy::Always,
            timeout,
            max_reply,
        }
    }
}
