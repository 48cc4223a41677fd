//! What can go wrong between us and a server.

use std::path::PathBuf;

use bue_model::BlobHash;
use bue_model::wire::{ErrorView, MAX_MESSAGE, WIRE_VERSION};

/// Why a request came to nothing. Every text says what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// An address that cannot be one.
    #[error("`{address}` is no address: {why}; write it as host:port, for example 127.0.0.1:65432")]
    Address {
        /// As given.
        address: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A token that cannot travel.
    #[error("the token has characters that no token has; set BUE_TOKEN to what `bue token new` printed")]
    Token,
    /// A file of certificates that cannot be used.
    #[error("{path} {why}; it should be PEM, as --ca, --client-cert and --client-key take it")]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The two sides do not believe each other, or one of them speaks no TLS.
    #[error("no TLS with the {server} at {address}: {why}; {hint}")]
    Tls {
        /// `hub` or `bucket`.
        server: &'static str,
        /// The one in use.
        address: String,
        /// What is wrong.
        why: String,
        /// What to do.
        hint: String,
    },
    /// Nobody answers there.
    #[error("{server} unreachable at {addresses}: {why}; is it running, and is the address right?")]
    Unreachable {
        /// `hub` or `bucket`.
        server: &'static str,
        /// All that were tried.
        addresses: String,
        /// What the system said of the last one.
        why: String,
    },
    /// The connection was there and broke.
    #[error("the connection to the {server} at {address} broke: {why}; it may have been stopped, try again")]
    Broken {
        /// `hub` or `bucket`.
        server: &'static str,
        /// The one in use.
        address: String,
        /// What happened.
        why: String,
    },
    /// No answer in time.
    #[error("the {server} at {address} did not answer within {seconds} s; it is overloaded or its disk hangs")]
    TimedOut {
        /// `hub` or `bucket`.
        server: &'static str,
        /// The one in use.
        address: String,
        /// Seconds waited.
        seconds: u64,
    },
    /// The server said no, and why.
    #[error("{message}{}", hint_text(hint))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// For programs: `run_not_found`.
        code: String,
        /// What happened.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// A server of another release.
    #[error(
        "the {server} at {address} speaks version {theirs} and this program version {WIRE_VERSION}; install the same \
         release of bue on both sides"
    )]
    OtherVersion {
        /// `hub` or `bucket`.
        server: &'static str,
        /// The one in use.
        address: String,
        /// Its version.
        theirs: u8,
    },
    /// An answer that is none of ours.
    #[error("what answers at {address} is no {server} of bue ({why}); check the address and the port")]
    NotOurs {
        /// `hub` or `bucket`.
        server: &'static str,
        /// The one in use.
        address: String,
        /// How we know.
        why: String,
    },
    /// A request or an answer over the limit.
    #[error("{what} is larger than {limit} bytes, the most a message may have; send less at once")]
    TooLarge {
        /// Which.
        what: &'static str,
        /// Bytes.
        limit: usize,
    },
    /// A blob that is not what its name says.
    #[error("blob {hash} came back with other bytes than were stored; the bucket's disk is damaged, store it again")]
    Damaged {
        /// Its name.
        hash: BlobHash,
    },
    /// A value that postcard or JSON cannot write.
    #[error("cannot write the request: {0}")]
    Unwritable(String),
}

impl ClientError {
    /// True where the same request may succeed later without anybody doing anything: the server is away, broke off, was
    /// too slow, or says that it is overloaded.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::TimedOut { .. } => true,
            Self::Refused { status, .. } => *status == 503,
            _ => false,
        }
    }

    pub(crate) const fn too_large(what: &'static str) -> Self {
        Self::TooLarge { what, limit: MAX_MESSAGE }
    }

    pub(crate) fn refused(status: u16, error: ErrorView) -> Self {
        Self::Refused { status, code: error.code, message: error.message, hint: error.hint }
    }
}

fn hint_text(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!("; {hint}") }
}
