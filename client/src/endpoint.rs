//! [`Endpoint`]: a server at an address, as error messages name it.

use std::time::Duration;

use crate::error::ClientError;

/// The server that a request was sent to.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// `hub` or `bucket`.
    pub(crate) server: &'static str,
    pub(crate) address: String,
}

impl Endpoint {
    pub(crate) fn timed_out(&self, timeout: Duration) -> ClientError {
        ClientError::TimedOut { server: self.server, address: self.address.clone(), seconds: timeout.as_secs() }
    }

    pub(crate) fn broken(&self, reason: String) -> ClientError {
        ClientError::Broken { server: self.server, address: self.address.clone(), reason }
    }

    pub(crate) fn unreachable(&self, reason: String) -> ClientError {
        ClientError::Unreachable { server: self.server, addresses: self.address.clone(), reason }
    }

    pub(crate) fn unexpected_server(&self, reason: String) -> ClientError {
        ClientError::UnexpectedServer { server: self.server, address: self.address.clone(), reason }
    }
}
