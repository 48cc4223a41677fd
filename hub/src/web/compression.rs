//! Compresses pages, style sheet and module for browsers that accept it, which all of them do.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Response, header};
use http_body_util::BodyExt;

use crate::http::reply::{Body, full};

/// Bytes of a body from which on it is compressed: less fits into one packet.
const MIN_BYTES: usize = 1_400;

/// Whether a browser accepts gzip.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).into_iter().filter_map(|value| value.to_str().ok());
    let mut codings = values.flat_map(|value| value.split(','));
    codings.any(|coding| match coding.split_once(';') {
        Some((name, weight)) => name.trim() == "gzip" && weight.trim() != "q=0",
        None => coding.trim() == "gzip",
    })
}

/// Compresses bytes. `None` if that fails, which it cannot in memory.
pub(super) fn gzip(bytes: &[u8], level: Compression) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

/// Compresses a page, if its reader accepts that. A page contains no secret that an attacker could find by its length.
pub(super) async fn compressed(response: Response<Body>, request: &HeaderMap) -> Response<Body> {
    if !accepts_gzip(request) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    head.headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    let smaller = (bytes.len() >= MIN_BYTES).then(|| gzip(&bytes, Compression::fast())).flatten();
    let bytes = match smaller {
        Some(smaller) => {
            head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            Bytes::from(smaller)
        }
        None => bytes,
    };
    Response::from_parts(head, full(bytes))
}
