//! Why an exchange failed: the client's chain of errors as one kind and one sentence.

use core::error::Error;
use std::io;

use bue_model::net::{NetError, NetErrorKind};

use crate::parent::egress::connect::ConnectError;
use crate::parent::egress::gate::{Authority, Refusal};

/// Errors of a chain that are inspected.
const MAX_CHAIN: usize = 16;

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum ExchangeError {
    /// A rule is missing.
    Refused(Refusal),
    /// The request failed.
    Failed(NetError),
}

impl From<Refusal> for ExchangeError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<NetError> for ExchangeError {
    fn from(error: NetError) -> Self {
        Self::Failed(error)
    }
}

impl ExchangeError {
    /// From an error of the HTTP client.
    pub(crate) fn from_client(error: &(dyn Error + 'static), authority: &Authority) -> Self {
        match refusal(error) {
            Some(refusal) => Self::Refused(refusal.clone()),
            None => Self::Failed(net_error(error, authority)),
        }
    }
}

/// Returns the kind of an error, and the text that a person reads. Neither contains anything that was sent.
pub(crate) fn net_error(error: &(dyn Error + 'static), authority: &Authority) -> NetError {
    let errors: Vec<_> = chain(error).collect();
    let kind = errors.iter().find_map(|error| kind(*error));
    let (kind, summary) = kind.unwrap_or((NetErrorKind::Protocol, "the request failed"));
    let last = errors.last().map_or_else(String::new, ToString::to_string);
    match kind {
        NetErrorKind::Denied | NetErrorKind::Name | NetErrorKind::ConnectTimeout => {
            NetError::new(kind, connect_error_text(&errors))
        }
        _ => NetError::new(kind, format!("{summary} ({authority}): {last}")),
    }
}

/// Returns the refusal in the chain, if there is one.
fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Refusal> {
    chain(error).find_map(|error| match error.downcast_ref::<ConnectError>() {
        Some(ConnectError::Refused(refusal)) => Some(refusal),
        _ => error.downcast_ref::<Refusal>(),
    })
}

fn connect_error_text(errors: &[&(dyn Error + 'static)]) -> String {
    let ours = errors.iter().find(|error| error.is::<ConnectError>());
    ours.or(errors.last()).map_or_else(String::new, ToString::to_string)
}

/// Returns an error and its sources.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    core::iter::successors(Some(error), |error| source(*error)).take(MAX_CHAIN)
}

/// Returns the source of an error. `io::Error::source` skips the error that it wraps; this does not.
fn source<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn kind(error: &(dyn Error + 'static)) -> Option<(NetErrorKind, &'static str)> {
    if let Some(error) = error.downcast_ref::<ConnectError>() {
        return Some(connect_kind(error));
    }
    if error.is::<rustls::Error>() {
        return Some((NetErrorKind::Tls, "the server is not trusted"));
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return hyper_kind(error);
    }
    error.downcast_ref::<io::Error>().and_then(io_kind)
}

fn connect_kind(error: &ConnectError) -> (NetErrorKind, &'static str) {
    match error {
        ConnectError::Refused(_) => (NetErrorKind::Denied, ""),
        ConnectError::Name(..) => (NetErrorKind::Name, ""),
        ConnectError::Timeout(..) => (NetErrorKind::ConnectTimeout, ""),
        ConnectError::Address(_) => (NetErrorKind::BadRequest, "not an address"),
        ConnectError::Dial(_, error) => {
            io_kind(error).unwrap_or((NetErrorKind::Unreachable, "the server is unreachable"))
        }
    }
}

fn hyper_kind(error: &hyper::Error) -> Option<(NetErrorKind, &'static str)> {
    if error.is_parse_too_large() {
        return Some((NetErrorKind::Limit, "the response's headers are longer than any step may receive"));
    }
    if error.is_parse() {
        return Some((NetErrorKind::Protocol, "the server does not speak HTTP"));
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Some((NetErrorKind::Reset, "the server closed the connection before the response was complete"));
    }
    None
}

fn io_kind(error: &io::Error) -> Option<(NetErrorKind, &'static str)> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some((NetErrorKind::Refused, "connection refused")),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => Some((NetErrorKind::Reset, "the server closed the connection")),
        io::ErrorKind::TimedOut => Some((NetErrorKind::ConnectTimeout, "the connection timed out")),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => {
            Some((NetErrorKind::Unreachable, "the server is unreachable"))
        }
        _ => None,
    }
}
