//! What a running guest says to the network, and what comes back. The host that starts a guest hands these words on to
//! its parent, which alone has a network; so they are the same on both ways.
//!
//! ```text
//! Request -----------> Response (with the first of its body)        a ticket each, in the order started
//!    Write, Write ---> Wrote                                         where the body is streamed
//!    Read, Read -----> Data                                          until the response has ended
//! ```
//! An **exchange** is one request and its response. Its number is the ticket of its [`Operation::Request`].

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::bounded;

/// Number of an operation, unique in its step and growing.
pub type Ticket = u64;

/// Something that takes its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// Begin an exchange. Ends with [`Ended::Response`].
    Request(Request),
    /// Send a piece of a streamed request body. Ends with [`Ended::Wrote`] when there is room for the next piece; one at
    /// a time in each exchange. May be started as soon as the request is.
    Write {
        /// Ticket of the request.
        exchange: Ticket,
        /// The piece; may be empty.
        bytes: Bytes,
        /// Nothing follows.
        last: bool,
    },
    /// Read what came of the response's body. Ends with [`Ended::Data`]; one at a time in each exchange.
    Read {
        /// Ticket of the request.
        exchange: Ticket,
        /// Bytes at most; the host gives no more than 256 KiB.
        max: u32,
        /// Milliseconds without a byte after which it fails with [`NetErrorKind::ReadTimeout`].
        timeout_ms: Option<u64>,
    },
    /// The value of a secret. Ends with [`Ended::Secret`].
    Secret {
        /// Its name, as in `!allow secret NAME`.
        name: String,
    },
}

/// A request to a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Any token but `CONNECT`.
    pub method: String,
    /// `https://api.example.com:8443`: scheme, host and port alone, in any spelling.
    pub origin: String,
    /// `/path?query`, sent as it is.
    pub target: String,
    /// Names and values in order, at most 4096. `Host` comes from the origin. A value may hold `secret:NAME`.
    #[serde(deserialize_with = "bounded::list::<_, _, 4096>")]
    pub headers: Vec<(String, Bytes)>,
    /// What is sent.
    pub body: Body,
    /// Milliseconds until there must be a connection; the host has a limit of its own.
    pub connect_timeout_ms: Option<u64>,
    /// Milliseconds without a sign of the server until the response begins.
    pub read_timeout_ms: Option<u64>,
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// There is none.
    None,
    /// All of it.
    Whole(Bytes),
    /// It comes in pieces, [`Operation::Write`]. With a `Content-Length` header it must come to just that length.
    Streamed,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// The response began.
    Response(Response),
    /// There is room for the next piece.
    Wrote,
    /// Bytes of the response's body.
    Data {
        /// What came, never decompressed.
        bytes: Bytes,
        /// This was the last of it: the exchange is over, and its ticket no longer means anything.
        last: bool,
    },
    /// The value of a secret.
    Secret(String),
    /// It did not work.
    Failed(NetError),
}

/// The beginning of a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// 200 and so on; never 1xx.
    pub status: u16,
    /// 10, 11 or 20, as `http.client` has it.
    pub version: u8,
    /// The reason phrase as the server sent it, or the usual one.
    pub reason: String,
    /// Names in lower case, and values, in order.
    pub headers: Vec<(String, Bytes)>,
    /// What of the body was there already.
    pub body: Bytes,
    /// That was all of it: the exchange is over.
    pub last: bool,
}

/// What went wrong with an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetError {
    /// What a program may act on.
    pub kind: NetErrorKind,
    /// What a person may act on.
    pub message: String,
}

impl NetError {
    /// An error with its message.
    #[must_use]
    pub fn new(kind: NetErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// Kinds of errors, as `CPython`'s libraries tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum NetErrorKind {
    /// Nobody allowed it; the message says which rule would.
    Denied,
    /// The host's name has no address.
    Name,
    /// Nobody listens there.
    Refused,
    /// There is no way there.
    Unreachable,
    /// The other side closed the connection before the exchange was over.
    Reset,
    /// No connection in time.
    ConnectTimeout,
    /// No sign of the server in time.
    ReadTimeout,
    /// No trust: the certificate, or what it was presented with.
    Tls,
    /// The other side does not speak HTTP.
    Protocol,
    /// A limit of the step, which the message names.
    Limit,
    /// The request is none: its method, origin, target or a header.
    BadRequest,
    /// The exchange is over, was closed, or does not do what was asked.
    Closed,
}

impl NetErrorKind {
    /// A word for programs.
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
        }
    }
}
