//! How the server is reached and what becomes of its errors: connection strings, TLS, advice and retries. Uses only
//! [`crate::error`].

pub(super) mod address;
pub(super) mod advice;
pub(super) mod retry;
mod tls;
