//! [`ClientError`]: why a request to a server failed.

use std::path::PathBuf;

use bue_model::BlobHash;
use bue_model::wire::{MAX_MESSAGE, WIRE_VERSION};

/// Why a request failed. Every message contains what happened and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is invalid.
    #[error("`{address}` is not an address: {reason}; write it as host:port, for example 127.0.0.1:65432")]
    Address {
        /// The address as given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The token has characters that a header cannot contain.
    #[error(
        "the token contains characters that are not allowed in a token; set BUE_TOKEN to what `bue token new` printed"
    )]
    Token,
    /// A file of certificates or keys cannot be used.
    #[error("{path} {reason}; it should be PEM, as --ca, --client-cert and --client-key take it")]
    TlsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A certificate was refused, or one side does not use TLS.
    #[error("no TLS with the {server} at {address}: {reason}; {hint}")]
    Tls {
        /// `hub` or `bucket`.
        server: &'static str,
        /// Its address.
        address: String,
        /// The cause.
        reason: String,
        /// What to do.
        hint: String,
    },
    /// No server could be reached.
    #[error("{server} unreachable at {addresses}: {reason}; is it running, and is the address right?")]
    Unreachable {
        /// `hub` or `bucket`.
        server: &'static str,
        /// All addresses that were tried.
        addresses: String,
        /// The operating system's error for the last one.
        reason: String,
    },
    /// The connection broke.
    #[error("the connection to the {server} at {address} broke: {reason}; it may have been stopped, try again")]
    Broken {
        /// `hub` or `bucket`.
        server: &'static str,
        /// Its address.
        address: String,
        /// What happened.
        reason: String,
    },
    /// The server did not answer in time.
    #[error("the {server} at {address} did not answer within {seconds} s; it is overloaded or its disk hangs")]
    TimedOut {
        /// `hub` or `bucket`.
        server: &'static str,
        /// Its address.
        address: String,
        /// The timeout in seconds.
        seconds: u64,
    },
    /// The server refused the request.
    #[error("{message}{}", hint_text(hint))]
    Refused {
        /// The HTTP status.
        status: u16,
        /// A code for programs, such as `run_not_found`.
        code: String,
        /// What happened.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// The server has another version of the messages.
    #[error(
        "the {server} at {address} uses version {theirs} of the messages and this program uses version {WIRE_VERSION}: {}",
        older_side(server, *theirs)
    )]
    VersionMismatch {
        /// `hub` or `bucket`.
        server: &'static str,
        /// Its address.
        address: String,
        /// The server's version.
        theirs: u8,
    },
    /// The answer is not from one of our servers.
    #[error("the server at {address} is no {server} of bue ({reason}); check the address and the port")]
    UnexpectedServer {
        /// `hub` or `bucket`.
        server: &'static str,
        /// Its address.
        address: String,
        /// Why the answer cannot be from one.
        reason: String,
    },
    /// The request or the answer is too large.
    #[error("{what} is larger than {}, the limit of a message; send less at once", size_text(*limit))]
    TooLarge {
        /// Which of them.
        what: &'static str,
        /// The limit in bytes.
        limit: usize,
    },
    /// The bytes of a blob do not match its hash.
    #[error(
        "blob {hash} is corrupt: its bytes do not match its hash; the bucket's disk may be damaged, store it again"
    )]
    Corrupt {
        /// Its hash.
        hash: BlobHash,
    },
    /// The request cannot be encoded.
    #[error("failed to encode the request: {0}")]
    Encode(String),
}

impl ClientError {
    /// Whether the same request may succeed later by itself: the server is away, the connection broke, the answer took too long, or the
    /// server is overloaded.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::TimedOut { .. } => true,
            Self::Refused { status, .. } => *status == 503,
            _ => false,
        }
    }

    pub(crate) const fn too_large(what: &'static str) -> Self {
        Self::TooLarge { what, limit: MAX_MESSAGE }
    }

    /// Returns whether the run, job or key of the request does not exist.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, code, .. } if code.ends_with("_not_found"))
    }

    /// Returns whether values of the request do not fit: parameters of a pipeline, a filter, or a key that was used before.
    #[must_use]
    pub fn is_unfit(&self) -> bool {
        matches!(self, Self::Refused { status, code, .. } if *status == 422 || code == "key_used" || code == "invalid_filter")
    }
}

/// Returns the innermost error: the one that names the operating system's reason.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// `64 MiB`, `512 bytes`
fn size_text(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}

fn hint_text(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!("; {hint}") }
}

/// Says which side to change.
fn older_side(server: &str, theirs: u8) -> String {
    let ours = env!("CARGO_PKG_VERSION");
    match theirs < WIRE_VERSION {
        true => format!("the {server} is older; install bue {ours} there, or the {server}'s release here"),
        false => format!("this program, which is bue {ours}, is older; install the {server}'s release here"),
    }
}
