//! How the server is reached and what becomes of its errors: connection strings, TLS, startup hints and retries. Uses only
//! [`crate::error`].

pub(super) mod address;
pub(super) mod retry;
pub(super) mod startup_hint;
mod tls;
