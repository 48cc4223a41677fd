//! What comes in: bodies up to a limit, postcard, JSON, queries, ids.

use std::str::FromStr;
use std::time::Duration;

use bue_model::wire::{CONTENT_TYPE, WIRE_VERSION};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout};

use crate::error::HubError;
use crate::http::reply::Refusal;

/// Time in which a body must go on by [`PACE_BYTES`], or end.
const PACE_TIME: Duration = Duration::from_secs(30);
/// A kilobyte a second: slower than any line that is in use, and too slow to be waited for while others want to be served.
const PACE_BYTES: u64 = 32 * 1024;

/// The pieces of a body, each in time.
#[derive(Debug)]
pub(crate) struct Pieces {
    body: Incoming,
    /// Time we have waited for the bytes of this stretch. Not what we took to store them.
    waited: Duration,
    bytes: u64,
}

impl Pieces {
    pub(crate) fn new(body: Incoming) -> Self {
        Self { body, waited: Duration::ZERO, bytes: 0 }
    }

    /// The next one; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let began = Instant::now();
            let left = PACE_TIME.saturating_sub(self.waited);
            let frame = timeout(left, self.body.frame()).await.map_err(|_| too_slow())?;
            self.waited += began.elapsed();
            let Some(frame) = frame else { return Ok(None) };
            if let Ok(piece) = frame.map_err(|error| HubError::IncompleteBody(error.to_string()))?.into_data() {
                self.note(&piece);
                return Ok(Some(piece));
            }
        }
    }

    fn note(&mut self, piece: &Bytes) {
        self.bytes = self.bytes.saturating_add(piece.len() as u64);
        if self.bytes >= PACE_BYTES {
            (self.waited, self.bytes) = (Duration::ZERO, 0);
        }
    }
}

/// Refuses a body that says it is larger than `limit` before any of it is read.
pub(crate) fn check_length(body: &Incoming, limit: u64) -> Result<(), Refusal> {
    if body.size_hint().lower() > limit { Err(too_large(limit)) } else { Ok(()) }
}

/// All of a body, at most `limit` bytes.
pub(crate) async fn read_body(body: Incoming, limit: usize) -> Result<Bytes, Refusal> {
    check_length(&body, limit as u64)?;
    let mut pieces = Pieces::new(body);
    let mut all = Vec::new();
    while let Some(piece) = pieces.next().await? {
        let length = all.len().saturating_add(piece.len());
        if length > limit {
            return Err(too_large(limit as u64));
        }
        make_room(&mut all, length, limit);
        all.extend_from_slice(&piece);
    }
    Ok(Bytes::from(all))
}

/// Twice as much each time, and from half of the limit on all of it: while it grows, a body is there twice.
fn make_room(all: &mut Vec<u8>, length: usize, limit: usize) {
    if length > all.capacity() {
        let twice = length.max(all.capacity().saturating_mul(2));
        let capacity = if twice > limit / 2 { limit } else { twice };
        all.reserve_exact(capacity - all.len());
    }
}

/// The type of a request's body, without parameters.
pub(crate) fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// A postcard message behind our version byte.
pub(crate) fn decode<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T, Refusal> {
    let found = content_type(headers);
    if found != CONTENT_TYPE {
        return Err(wrong_type(found, "send application/vnd.bue.postcard"));
    }
    match body.split_first() {
        Some((&WIRE_VERSION, message)) => match postcard::take_from_bytes(message) {
            Ok((message, [])) => Ok(message),
            Ok((_, rest)) => Err(not_ours(&format!("{} bytes too many", rest.len()))),
            Err(error) => Err(not_ours(&error.to_string())),
        },
        Some((version, _)) => {
            let message = format!("the body is of version {version} and this server speaks version {WIRE_VERSION}");
            let hint = "install the same release of bue on both sides";
            Err(Refusal::new(StatusCode::BAD_REQUEST, "other_version", message, hint))
        }
        None => Err(Refusal::bad_request("the body is empty", "")),
    }
}

fn not_ours(why: &str) -> Refusal {
    Refusal::bad_request(format!("the body is no message of ours: {why}"), "send what the client of this release sends")
}

/// A JSON message.
pub(crate) fn decode_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("the body cannot be read: {error}"), ""))
}

/// A number of the query; `None` where it is not there.
pub(crate) fn query_number<T: FromStr>(query: Option<&str>, name: &str) -> Result<Option<T>, Refusal> {
    let pairs = query.unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let mut values = pairs.filter(|(key, _)| *key == name).map(|(_, value)| value);
    values.next().map(|value| parse(value, name)).transpose()
}

/// An id or a number in a path or query.
pub(crate) fn parse<T: FromStr>(text: &str, what: &str) -> Result<T, Refusal> {
    text.parse().map_err(|_| Refusal::bad_request(format!("`{text}` is no {what}"), ""))
}

pub(crate) fn wrong_type(found: &str, hint: &'static str) -> Refusal {
    let message = format!("a body of type `{found}` is not read here");
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type", message, hint)
}

fn too_large(limit: u64) -> Refusal {
    let message = format!("the body has more than {limit} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, "send less at once")
}

fn too_slow() -> Refusal {
    let message = format!("less than {PACE_BYTES} bytes of the body came within {} s", PACE_TIME.as_secs());
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "slow_body", message, "send it over a faster line")
}
