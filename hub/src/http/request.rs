//! Reading requests: bodies up to a limit, postcard and JSON messages, parameters of the path and the query.

use std::str::FromStr;
use std::time::Duration;

use bue_model::wire::{CONTENT_TYPE, WIRE_VERSION};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use crate::error::HubError;
use crate::http::openapi::operation_doc::QueryParameter;
use crate::http::reply::{ErrorReply, Refusals};

/// Time in which [`MIN_PROGRESS`] bytes of a body must arrive.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of progress. Together with the timeout that is one kilobyte a second: slower than any line in use, and too slow to
/// keep a connection for.
const MIN_PROGRESS: u64 = 32 * 1024;

/// The largest number of unknown parameters that a reply names.
const MAX_REFUSED: usize = 20;

/// A request's body: as it arrives, or whole if the hub itself made the request, from a form of its pages.
#[derive(Debug)]
pub(crate) enum RequestBody {
    Incoming(Incoming),
    Whole(Bytes),
}

impl From<Incoming> for RequestBody {
    fn from(body: Incoming) -> Self {
        Self::Incoming(body)
    }
}

/// Reads a body piece by piece, and fails if it arrives too slowly.
#[derive(Debug)]
pub(crate) struct BodyReader {
    body: Incoming,
    /// Time spent waiting since the last progress. The time it takes to store what arrived does not count.
    waited: Duration,
    /// Bytes received since the last progress.
    received: u64,
}

impl BodyReader {
    pub(crate) fn new(body: Incoming) -> Self {
        Self { body, waited: Duration::ZERO, received: 0 }
    }

    /// Returns the next piece; `None` at the end of the body.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ErrorReply> {
        loop {
            let started_at = Instant::now();
            let remaining = PROGRESS_TIMEOUT.saturating_sub(self.waited);
            let frame = timeout(remaining, self.body.frame()).await.map_err(|_| too_slow())?;
            self.waited += started_at.elapsed();
            let Some(frame) = frame else { return Ok(None) };
            if let Ok(piece) = frame.map_err(|error| HubError::IncompleteBody(error.to_string()))?.into_data() {
                self.record_progress(&piece);
                return Ok(Some(piece));
            }
        }
    }

    fn record_progress(&mut self, piece: &Bytes) {
        self.received = self.received.saturating_add(piece.len() as u64);
        if self.received >= MIN_PROGRESS {
            (self.waited, self.received) = (Duration::ZERO, 0);
        }
    }
}

/// Refuses a body whose `content-length` is above `limit` before any of it is read.
pub(crate) fn check_length(body: &Incoming, limit: u64) -> Result<(), ErrorReply> {
    if body.size_hint().lower() > limit { Err(too_large(limit)) } else { Ok(()) }
}

/// Reads a whole body of at most `limit` bytes.
pub(crate) async fn read_body(body: impl Into<RequestBody>, limit: usize) -> Result<Bytes, ErrorReply> {
    let body = match body.into() {
        RequestBody::Incoming(body) => body,
        RequestBody::Whole(bytes) if bytes.len() > limit => return Err(too_large(limit as u64)),
        RequestBody::Whole(bytes) => return Ok(bytes),
    };
    check_length(&body, limit as u64)?;
    let mut reader = BodyReader::new(body);
    let mut bytes = Vec::new();
    while let Some(piece) = reader.next().await? {
        let length = bytes.len().saturating_add(piece.len());
        if length > limit {
            return Err(too_large(limit as u64));
        }
        reserve(&mut bytes, length, limit);
        bytes.extend_from_slice(&piece);
    }
    Ok(Bytes::from(bytes))
}

/// Doubles the capacity, but goes straight to `limit` from half of it on: a buffer that grows exists twice for a moment.
fn reserve(bytes: &mut Vec<u8>, length: usize, limit: usize) {
    if length > bytes.capacity() {
        let doubled = length.max(bytes.capacity().saturating_mul(2));
        let capacity = if doubled > limit / 2 { limit } else { doubled };
        bytes.reserve_exact(capacity - bytes.len());
    }
}

/// The body's media type, without parameters.
pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// Decodes a postcard message that follows the version byte.
pub(crate) fn decode_postcard<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, ErrorReply> {
    let content_type = content_type(headers);
    if content_type != CONTENT_TYPE {
        return Err(unsupported_type(content_type, "send application/vnd.bue.postcard"));
    }
    match body.split_first() {
        Some((&WIRE_VERSION, message)) => match postcard::take_from_bytes(message) {
            Ok((message, [])) => Ok(message),
            Ok((_, extra)) => Err(malformed(&format!("it has {} bytes too many", extra.len()))),
            Err(error) => Err(malformed(&error.to_string())),
        },
        Some((version, _)) => {
            let message = format!(
                "the body has version {version} and this server, which is bue {}, reads version {WIRE_VERSION}",
                env!("CARGO_PKG_VERSION")
            );
            let hint = match *version < WIRE_VERSION {
                true => "the client is older: install this server's release where the client runs",
                false => "this server is older than the client: install the client's release here",
            };
            Err(ErrorReply::new(StatusCode::BAD_REQUEST, "other_version", message, hint))
        }
        None => Err(ErrorReply::bad_request("the body is empty", "")),
    }
}

fn malformed(reason: &str) -> ErrorReply {
    let message = format!("the body is not a message of bue: {reason}");
    ErrorReply::bad_request(message, "send the message as this release's client encodes it")
}

/// Decodes a JSON message.
pub(crate) fn decode_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ErrorReply> {
    serde_json::from_slice(body)
        .map_err(|error| ErrorReply::bad_request(format!("the body cannot be read: {error}"), ""))
}

/// Returns the keys and values of a query.
fn query_pairs(query: Option<&str>) -> impl Iterator<Item = (&str, &str)> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Refuses a query with a parameter that the route does not have: a filter that is misspelt must not return everything.
pub(crate) fn expect_known_parameters(query: Option<&str>, known: &[QueryParameter]) -> Result<(), ErrorReply> {
    let is_known = |key: &str| known.iter().any(|parameter| parameter.has_name(key));
    let names: Vec<String> = known.iter().map(|parameter| format!("`{}`", parameter.name)).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let mut refusals = Refusals::default();
    for (unknown, _) in query_pairs(query).filter(|(key, _)| !is_known(key)).take(MAX_REFUSED) {
        let message = format!("this route has no parameter `{unknown}`; its parameters: {names}");
        let hint = "leave it out, or correct its name";
        let refusal = ErrorReply::new(StatusCode::BAD_REQUEST, "unknown_parameter", message, hint).about(unknown);
        refusals.keep::<()>(Err(refusal));
    }
    refusals.finish()
}

/// Returns a parameter of the query, percent-decoded; `None` if it is absent.
pub(crate) fn query_parameter<T: FromStr>(query: Option<&str>, name: &str) -> Result<Option<T>, ErrorReply> {
    read_parameter(query, name).map_err(|refusal| refusal.about(name))
}

fn read_parameter<T: FromStr>(query: Option<&str>, name: &str) -> Result<Option<T>, ErrorReply> {
    let mut values = query_pairs(query).filter(|(key, _)| *key == name);
    let Some((_, value)) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        // one of them would be ignored
        let message = format!("the parameter `{name}` is given twice");
        return Err(ErrorReply::new(StatusCode::BAD_REQUEST, "repeated_parameter", message, "send it once"));
    }
    parse_parameter(&decoded(value, name)?, name).map(Some)
}

/// Returns whether a parameter is 1; it is 0 or left out otherwise.
pub(crate) fn query_flag(query: Option<&str>, name: &str) -> Result<bool, ErrorReply> {
    match query_parameter::<u8>(query, name)? {
        None | Some(0) => Ok(false),
        Some(1) => Ok(true),
        Some(_) => {
            let message = format!("`{name}` is neither 0 nor 1");
            Err(ErrorReply::bad_request(message, "send 1, or leave it out").about(name))
        }
    }
}

/// Returns the names and values of a query, percent-decoded.
pub(crate) fn decoded_pairs(query: Option<&str>) -> Result<Vec<(String, String)>, ErrorReply> {
    query_pairs(query).map(|(name, value)| Ok((decoded(name, name)?, decoded(value, name)?))).collect()
}

fn decoded(text: &str, name: &str) -> Result<String, ErrorReply> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| {
        ErrorReply::bad_request(
            format!("`{name}` cannot be decoded"),
            "write it in UTF-8, percent-encoded where needed",
        )
        .about(name)
    })?;
    Ok(decoded.into_owned())
}

/// Returns whether a client accepts a media type and says so by its name.
pub(crate) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let values = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    let mut types = values.flat_map(|value| value.split(','));
    types.any(|one| one.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type))
}

/// Parses an id or a number in the path or the query.
pub(crate) fn parse_parameter<T: FromStr>(text: &str, what: &str) -> Result<T, ErrorReply> {
    text.parse().map_err(|_| ErrorReply::bad_request(format!("`{text}` is not a valid {what}"), ""))
}

pub(crate) fn unsupported_type(content_type: &str, hint: &'static str) -> ErrorReply {
    let message = format!("this route does not read bodies of type `{content_type}`");
    ErrorReply::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type", message, hint)
}

fn too_large(limit: u64) -> ErrorReply {
    let message = format!("the body has more than {limit} bytes");
    ErrorReply::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, "send less at once")
}

fn too_slow() -> ErrorReply {
    let message = format!("less than {MIN_PROGRESS} bytes of the body arrived within {} s", PROGRESS_TIMEOUT.as_secs());
    ErrorReply::new(StatusCode::REQUEST_TIMEOUT, "slow_body", message, "send it over a faster line")
}
