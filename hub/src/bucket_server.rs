//! The bucket's HTTP server: blobs and keys, streamed both ways a piece at a time.

use std::future::Future;

use bue_model::BlobHash;
use bytes::{Bytes, BytesMut};
use futures_util::stream::unfold;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use crate::blob_store::{BlobStore, Key, Part};
use crate::reply::{Body, Refusal, empty, typed};
use crate::request::{check_length, next_piece, parse};
use crate::server::{Listener, serve};

/// Bytes of a blob or value.
const MAX_BLOB: u64 = 64 * 1024 * 1024 * 1024;
/// Bytes read from the disk at a time.
const PIECE: usize = 64 * 1024;
/// Type of blobs and values.
const OCTETS: &str = "application/octet-stream";

/// Serves the bucket until `shutdown`, then lets requests under way end, which takes at most ten seconds.
pub async fn serve_bucket(listener: impl Listener, blobs: BlobStore, shutdown: impl Future<Output = ()>) {
    serve(listener, move |request| handle(blobs.clone(), request), shutdown).await;
}

async fn handle(blobs: BlobStore, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    route(&blobs, &head, body).await.unwrap_or_else(Refusal::into_response)
}

async fn route(blobs: &BlobStore, head: &Parts, body: Incoming) -> Result<Response<Body>, Refusal> {
    let path = head.uri.path();
    if let Some(hash) = path.strip_prefix("/v1/blobs/") {
        return blob(blobs, head, &parse(hash, "hash of a blob")?, body).await;
    }
    if let Some(key) = path.strip_prefix("/v1/keys/") {
        return value(blobs, head, &Key::new(&unescape(key)?)?, body).await;
    }
    match (path, &head.method) {
        ("/healthz" | "/readyz", &Method::GET) => Ok(typed("text/plain", "ok\n")),
        ("/healthz" | "/readyz", method) => Err(Refusal::method_not_allowed(method, &[Method::GET])),
        _ => Err(Refusal::no_such_route(path)),
    }
}

async fn blob(blobs: &BlobStore, head: &Parts, hash: &BlobHash, body: Incoming) -> Result<Response<Body>, Refusal> {
    match head.method {
        Method::GET => found(blobs.blob(hash).await?, "blob_not_found").map(|(file, length)| stream(file, length)),
        Method::HEAD => found(blobs.blob(hash).await?, "blob_not_found").map(|(_, length)| length_only(length)),
        Method::PUT => {
            // the same bytes are there already: read past them, so that the client is not cut off
            let part = if blobs.blob(hash).await?.is_some() { None } else { Some(blobs.part().await?) };
            if let Some(part) = receive(part, body).await? {
                blobs.keep_blob(part, hash).await?;
            }
            Ok(empty())
        }
        _ => Err(Refusal::method_not_allowed(&head.method, &[Method::GET, Method::HEAD, Method::PUT])),
    }
}

async fn value(blobs: &BlobStore, head: &Parts, key: &Key, body: Incoming) -> Result<Response<Body>, Refusal> {
    match head.method {
        Method::GET => found(blobs.key(key).await?, "key_not_found").map(|(file, length)| stream(file, length)),
        Method::PUT => {
            if let Some(part) = receive(Some(blobs.part().await?), body).await? {
                blobs.keep_key(part, key).await?;
            }
            Ok(empty())
        }
        Method::DELETE => found(blobs.delete_key(key).await?.then_some(()), "key_not_found").map(|()| empty()),
        _ => Err(Refusal::method_not_allowed(&head.method, &[Method::GET, Method::PUT, Method::DELETE])),
    }
}

fn found<T>(thing: Option<T>, code: &'static str) -> Result<T, Refusal> {
    thing.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, code, "there is nothing under this name", ""))
}

/// Writes a body to a file, or past it.
async fn receive(mut part: Option<Part>, mut body: Incoming) -> Result<Option<Part>, Refusal> {
    check_length(&body, MAX_BLOB)?;
    let mut left = MAX_BLOB;
    while let Some(piece) = next_piece(&mut body).await? {
        left = left.checked_sub(piece.len() as u64).ok_or_else(|| {
            let message = format!("more than {MAX_BLOB} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, "store it in pieces")
        })?;
        if let Some(part) = &mut part {
            part.write(&piece).await?;
        }
    }
    Ok(part)
}

fn stream(file: File, length: u64) -> Response<Body> {
    // what is added to the file meanwhile does not belong to the answer
    let pieces = unfold(file.take(length), |mut file| async move {
        match read_piece(&mut file).await {
            Ok(piece) if piece.is_empty() => None,
            piece => Some((piece.map(Frame::data), file)),
        }
    });
    let mut response = length_only(length);
    *response.body_mut() = StreamBody::new(pieces).boxed_unsync();
    response
}

async fn read_piece(file: &mut tokio::io::Take<File>) -> std::io::Result<Bytes> {
    let mut piece = BytesMut::with_capacity(PIECE);
    file.read_buf(&mut piece).await?;
    Ok(piece.freeze())
}

fn length_only(length: u64) -> Response<Body> {
    let mut response = typed(OCTETS, Bytes::new());
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// Undoes `%` and two digits.
fn unescape(text: &str) -> Result<String, Refusal> {
    let refuse = || Refusal::bad_request("the key's name cannot be read", "write it in UTF-8, `%` and two digits");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2).ok_or_else(refuse)?;
        // a sign would be taken for a number's
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+')).ok_or_else(refuse)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| refuse())?);
        rest = behind;
    }
    String::from_utf8(bytes).map_err(|_| refuse())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_read() {
        assert_eq!(unescape("a%20b/%C3%A9").expect("a name"), "a b/é");
        for text in ["%", "%4", "%zz", "%ff", "%+1"] {
            assert!(unescape(text).is_err(), "{text}");
        }
    }
}
