//! What went wrong with a request, from the client's chain of errors to one kind and one sentence.

use core::error::Error;
use std::io;

use bue_model::net::{NetError, NetErrorKind};

use crate::parent::egress::connect::ConnectError;
use crate::parent::egress::gate::{Place, Refusal};

/// Links of a chain that are looked at.
const MOST_LINKS: usize = 16;

/// The kind of an error, and what a person reads. Neither holds anything of what was sent.
pub(crate) fn describe(error: &(dyn Error + 'static), place: &Place) -> NetError {
    let links: Vec<_> = chain(error).collect();
    let found = links.iter().find_map(|link| kind(*link));
    let (kind, what) = found.unwrap_or((NetErrorKind::Protocol, "the request failed"));
    let last = links.last().map_or_else(String::new, ToString::to_string);
    match kind {
        NetErrorKind::Denied | NetErrorKind::Name | NetErrorKind::ConnectTimeout => {
            NetError::new(kind, own_words(&links))
        }
        _ => NetError::new(kind, format!("{what} ({place}): {last}")),
    }
}

/// The refusal in the chain, if that is what it is about.
pub(crate) fn refusal<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Refusal> {
    chain(error).find_map(|link| match link.downcast_ref::<ConnectError>() {
        Some(ConnectError::Refused(refusal)) => Some(refusal),
        _ => link.downcast_ref::<Refusal>(),
    })
}

fn own_words(links: &[&(dyn Error + 'static)]) -> String {
    let own = links.iter().find(|link| link.is::<ConnectError>());
    own.or(links.last()).map_or_else(String::new, ToString::to_string)
}

/// An error and what it comes from.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    core::iter::successors(Some(error), |error| cause(*error)).take(MOST_LINKS)
}

/// An `io::Error` skips what it wraps when asked for its source; here it does not.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

fn kind(error: &(dyn Error + 'static)) -> Option<(NetErrorKind, &'static str)> {
    if let Some(error) = error.downcast_ref::<ConnectError>() {
        return of_connect(error);
    }
    if error.is::<rustls::Error>() {
        return Some((NetErrorKind::Tls, "the server is not trusted"));
    }
    if let Some(error) = error.downcast_ref::<hyper::Error>() {
        return of_hyper(error);
    }
    error.downcast_ref::<io::Error>().and_then(of_io)
}

fn of_connect(error: &ConnectError) -> Option<(NetErrorKind, &'static str)> {
    match error {
        ConnectError::Refused(_) => Some((NetErrorKind::Denied, "")),
        ConnectError::Name(..) => Some((NetErrorKind::Name, "")),
        ConnectError::Timeout(..) => Some((NetErrorKind::ConnectTimeout, "")),
        ConnectError::Address(_) => Some((NetErrorKind::BadRequest, "that is no address")),
        ConnectError::Dial(_, error) => {
            Some(of_io(error).unwrap_or((NetErrorKind::Unreachable, "there is no way there")))
        }
    }
}

fn of_hyper(error: &hyper::Error) -> Option<(NetErrorKind, &'static str)> {
    if error.is_parse_too_large() {
        return Some((NetErrorKind::Limit, "the response's headers are longer than any step may be sent"));
    }
    if error.is_parse() {
        return Some((NetErrorKind::Protocol, "the server does not speak HTTP"));
    }
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        return Some((NetErrorKind::Reset, "the server closed the connection before it was done"));
    }
    None
}

fn of_io(error: &io::Error) -> Option<(NetErrorKind, &'static str)> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some((NetErrorKind::Refused, "nobody listens there")),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected
        | io::ErrorKind::UnexpectedEof => Some((NetErrorKind::Reset, "the server closed the connection")),
        io::ErrorKind::TimedOut => Some((NetErrorKind::ConnectTimeout, "no connection in time")),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable => {
            Some((NetErrorKind::Unreachable, "there is no way there"))
        }
        _ => None,
    }
}
