//! The operations of a running guest on the network, and on named values of the bucket. A sandbox host passes them on to its parent, the only process with network access, so
//! both connections use the same messages.
//!
//! ```text
//! Request -----------> Response (with the first of its body)        a ticket each, in the order started
//!    Write, Write ---> Written                                       where the body is streamed
//!    Read, Read -----> Data                                          until the response has ended
//!
//! Connect -----------> Connected                                     a TCP connection
//!    Read, Write ----> Data, Written                                 in both directions at once, until it is closed
//!    StartTls -------> Secured                                       the same connection, from now on with TLS
//!
//! OpenValue ---------> Data, Missing                                 a value of the bucket, from its beginning
//!    Read, Read -----> Data                                          until its end
//!
//! StoreValue --------> Written                                       a value that is written
//!    Write, Write ---> Written                                       after the last one, it has its name
//! ```
//! An **exchange** is one request and its response, one connection, or one value that is read or written. Its number is the ticket of its
//! [`Operation::Request`], [`Operation::Connect`], [`Operation::OpenValue`] or [`Operation::StoreValue`].

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::length_limit;

/// The number of an operation: unique within its step, and growing.
pub type Ticket = u64;

/// An asynchronous operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Start an exchange. Ends with [`Completion::Response`].
    Request(Request),
    /// Send a part of a streamed request body or of a value, or bytes on a connection, which ends in this direction after the last part. Ends with [`Completion::Written`] when there is room for the next part. One at a time in each
    /// exchange; it may start as soon as the request has.
    Write {
        /// The ticket of the request.
        exchange: Ticket,
        /// The part; may be empty.
        bytes: Bytes,
        /// Whether it is the last part.
        last: bool,
    },
    /// Read from the response's body, from a connection or from a value. Ends with [`Completion::Data`]. One at a time in each exchange.
    Read {
        /// The ticket of the request.
        exchange: Ticket,
        /// The largest number of bytes to return; the host returns at most 256 KiB.
        max: u32,
        /// The milliseconds without a byte after which it fails with [`NetErrorKind::ReadTimeout`].
        timeout_ms: Option<u64>,
    },
    /// Open a TCP connection. Ends with [`Completion::Connected`].
    Connect {
        /// The host: a name or an address.
        host: String,
        /// The port.
        port: u16,
        /// The milliseconds that it may take; the host has a limit too.
        timeout_ms: Option<u64>,
    },
    /// Use TLS on a connection from now on, when the writes before it are done. Ends with [`Completion::Secured`].
    StartTls {
        /// The ticket of the [`Operation::Connect`].
        exchange: Ticket,
        /// How to do it.
        settings: TlsSettings,
    },
    /// Get the value of a secret. Ends with [`Completion::Secret`].
    Secret {
        /// Its name, as in `!allow secret NAME`.
        name: String,
    },
    /// Read a named value of the bucket from its beginning. Ends with [`Completion::Data`] or [`Completion::Missing`].
    OpenValue {
        /// Its name.
        name: String,
        /// The largest number of bytes to return, as of [`Operation::Read`].
        max: u32,
    },
    /// Write a named value of the bucket, which appears under its name with the last [`Operation::Write`]. If the exchange is closed
    /// before, nothing of it is left. Ends with [`Completion::Written`].
    StoreValue {
        /// Its name.
        name: String,
        /// The seconds until it expires. `None`: it does not.
        expires_s: Option<u64>,
    },
    /// Delete a named value of the bucket. Ends with [`Completion::Written`], whether there was one or not.
    DeleteValue {
        /// Its name.
        name: String,
    },
}

/// A request to a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The method: any token except `CONNECT`.
    pub method: String,
    /// `https://api.example.com:8443`: scheme, host and port only, not necessarily normalized.
    pub origin: String,
    /// `/path?query`, sent unchanged.
    pub target: String,
    /// Names and values in order, at most 4096. `Host` is set from the origin. A value may contain `secret:NAME`.
    #[serde(deserialize_with = "length_limit::bounded_list::<_, _, 4096>")]
    pub headers: Vec<(String, Bytes)>,
    /// The body.
    pub body: Body,
    /// The milliseconds that connecting may take; the host has a limit too.
    pub connect_timeout_ms: Option<u64>,
    /// The milliseconds without any data from the server until the response begins.
    pub read_timeout_ms: Option<u64>,
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// No body.
    None,
    /// The whole body.
    Whole(Bytes),
    /// The body follows in parts ([`Operation::Write`]). Together they must match the `Content-Length` header, if there is one.
    Streamed,
}

/// TLS of a connection. The server's certificate is always verified, for its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsSettings {
    /// The name or address that the certificate must be for.
    pub server_name: String,
    /// Certificates of authorities in PEM format. Empty: those that the worker trusts.
    pub authorities: Bytes,
    /// Whether those that the worker trusts are trusted beside them.
    pub default_authorities: bool,
    /// The application protocols (ALPN) to offer, the preferred one first, at most 16.
    #[serde(deserialize_with = "length_limit::bounded_list::<_, _, 16>")]
    pub protocols: Vec<String>,
}

/// What was negotiated in a TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsSession {
    /// The version as Python names it: `TLSv1.3`.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// The application protocol, if the server chose one.
    pub protocol: Option<String>,
    /// The server's certificate in DER format.
    pub certificate: Bytes,
}

/// The outcome of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Completion {
    /// The response began.
    Response(Response),
    /// There is room for the next part.
    Written,
    /// Data of the response's body, of a value, or of a connection; no bytes if the server has ended the connection in this direction.
    Data {
        /// The bytes, never decompressed.
        bytes: Bytes,
        /// Whether the body ends here. The exchange is then over and its ticket invalid. Never for a connection, which may go on in
        /// the other direction.
        last: bool,
    },
    /// The value of a secret.
    Secret(String),
    /// The operation failed.
    Failed(NetError),
    /// The connection is open.
    Connected,
    /// The connection uses TLS.
    Secured(TlsSession),
    /// The bucket has no value of this name.
    Missing,
}

/// The beginning of a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The status, never 1xx.
    pub status: u16,
    /// The HTTP version: 10, 11 or 20, as in Python's `http.client`.
    pub version: u8,
    /// The reason phrase that the server sent, or the standard one.
    pub reason: String,
    /// Names, in lower case, and values, in order.
    pub headers: Vec<(String, Bytes)>,
    /// The part of the body that has already arrived.
    pub body: Bytes,
    /// Whether that is the whole body. The exchange is then over.
    pub last: bool,
}

/// The error of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetError {
    /// Its kind, for programs.
    pub kind: NetErrorKind,
    /// What went wrong, for people.
    pub message: String,
}

impl NetError {
    /// Creates an error.
    #[must_use]
    pub fn new(kind: NetErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// The kinds of errors that `CPython`'s libraries distinguish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NetErrorKind {
    /// It is not allowed; the message names the rule that would allow it.
    Denied,
    /// The host name cannot be resolved.
    Name,
    /// Connection refused.
    Refused,
    /// The host or network is unreachable.
    Unreachable,
    /// The server closed the connection before the exchange was over.
    Reset,
    /// Connecting timed out.
    ConnectTimeout,
    /// The server sent nothing in time.
    ReadTimeout,
    /// TLS failed: the certificate, or the handshake.
    Tls,
    /// The server does not speak HTTP.
    Protocol,
    /// The step exceeded a limit, which the message names.
    Limit,
    /// The request is invalid: its method, origin, target or a header, or the name of a value.
    BadRequest,
    /// The exchange is over or closed, or the operation does not fit its state.
    Closed,
    /// The bucket could not do it.
    Bucket,
}

impl NetErrorKind {
    /// Returns its name, for programs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Denied => "denied",
            Self::Name => "name",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::Reset => "reset",
            Self::ConnectTimeout => "connect_timeout",
            Self::ReadTimeout => "read_timeout",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Limit => "limit",
            Self::BadRequest => "bad_request",
            Self::Closed => "closed",
            Self::Bucket => "bucket",
        }
    }
}
