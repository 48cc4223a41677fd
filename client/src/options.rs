//! [`ClientOptions`]: how a client connects, and as whom.

use crate::dial::Dial;
use crate::trust::Trust;

/// How a client connects, and as whom. By default: over TCP, with the system's authorities, without a token.
#[derive(Clone, Default)]
pub struct ClientOptions {
    /// The token that every request carries.
    pub token: Option<String>,
    /// The certificates for `https://` addresses.
    pub trust: Trust,
    /// What makes the connections. `None`: TCP.
    pub dial: Option<Dial>,
}

impl std::fmt::Debug for ClientOptions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // without the token, which is a secret
        formatter.debug_struct("ClientOptions").field("trust", &self.trust).finish_non_exhaustive()
    }
}

impl ClientOptions {
    /// Returns the defaults with this token.
    #[must_use]
    pub fn with_token(token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..Self::default() }
    }
}
