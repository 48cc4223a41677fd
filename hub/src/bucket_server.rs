//! The bucket's HTTP server: blobs and keys, streamed both ways a piece at a time.

use std::future::Future;

use bue_model::BlobHash;
use bytes::{Bytes, BytesMut};
use futures_util::stream::unfold;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use prometheus_client::registry::Registry;
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use crate::access::Access;
use crate::blob_store::{BlobStore, Key, Part};
use crate::front::{Front, Visit};
use crate::openapi::document;
use crate::reply::{Body, Refusal, empty, json, typed};
use crate::request::{Pieces, check_length, parse};
use crate::role::Need;
use crate::routes::{Route, RouteView, find, route, views};
use crate::server::{Listener, serve};
use crate::tls::Tls;

/// Bytes of a blob or value.
const MAX_BLOB: u64 = 64 * 1024 * 1024 * 1024;
/// Bytes read from the disk at a time.
const PIECE: usize = 64 * 1024;
/// Type of blobs and values.
const OCTETS: &str = "application/octet-stream";

/// What a route does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    GetBlob,
    HasBlob,
    PutBlob,
    GetKey,
    PutKey,
    DeleteKey,
    Metrics,
    OpenApi,
    Health,
    Ready,
}

/// All routes of the bucket.
const ROUTES: &[Route<Call>] = &[
    route(Method::GET, "/v1/blobs/{hash}", Need::Know, Call::GetBlob),
    route(Method::HEAD, "/v1/blobs/{hash}", Need::Know, Call::HasBlob),
    route(Method::PUT, "/v1/blobs/{hash}", Need::Store, Call::PutBlob),
    route(Method::GET, "/v1/keys/{key...}", Need::Know, Call::GetKey),
    route(Method::PUT, "/v1/keys/{key...}", Need::Store, Call::PutKey),
    route(Method::DELETE, "/v1/keys/{key...}", Need::Operate, Call::DeleteKey),
    route(Method::GET, "/metrics", Need::Look, Call::Metrics),
    route(Method::GET, "/openapi.json", Need::Know, Call::OpenApi),
    route(Method::GET, "/healthz", Need::Health, Call::Health),
    route(Method::GET, "/readyz", Need::Health, Call::Ready),
];

/// The routes of the bucket, and who may use them.
#[must_use]
pub fn bucket_routes() -> Vec<RouteView> {
    views(ROUTES)
}

/// A bucket: its bytes, and who may use them.
#[derive(Clone, Debug)]
pub struct Bucket {
    blobs: BlobStore,
    access: Access,
    tls: Option<Tls>,
    front: Front,
}

impl From<BlobStore> for Bucket {
    /// Open to whoever reaches it.
    fn from(blobs: BlobStore) -> Self {
        Self::new(blobs, Access::open())
    }
}

impl Bucket {
    /// For those whom `access` lets in.
    #[must_use]
    pub fn new(blobs: BlobStore, access: Access) -> Self {
        Self { blobs, access, tls: None, front: Front::new("bucket", Registry::default()) }
    }

    /// The same over TLS, where there are files for it.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }
}

/// Serves the bucket until `shutdown`, then lets requests under way end, which takes at most ten seconds.
pub async fn serve_bucket(listener: impl Listener, bucket: impl Into<Bucket>, shutdown: impl Future<Output = ()>) {
    let bucket = bucket.into();
    let tls = bucket.tls.clone();
    serve(listener, tls, move |request| handle(bucket.clone(), request), shutdown).await;
}

async fn handle(bucket: Bucket, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut visit = Visit::new(&head);
    let answer = answer(&bucket, &head, body, &mut visit).await;
    bucket.front.close(&visit, answer)
}

async fn answer(
    Bucket { blobs, access, front, .. }: &Bucket,
    head: &Parts,
    body: Incoming,
    visit: &mut Visit<'_>,
) -> Result<Response<Body>, Refusal> {
    let (call, parts) = find(ROUTES, access, head, visit)?;
    let name = parts.first().copied().unwrap_or_default();
    let hash = || parse::<BlobHash>(name, "hash of a blob");
    let key = || Ok::<_, Refusal>(Key::new(&unescape(name)?)?);
    match call {
        Call::GetBlob => {
            found(blobs.blob(&hash()?).await?, "blob_not_found").map(|(file, length)| stream(file, length))
        }
        Call::HasBlob => found(blobs.blob(&hash()?).await?, "blob_not_found").map(|(_, length)| length_only(length)),
        Call::PutBlob => put_blob(blobs, &hash()?, body).await,
        Call::GetKey => found(blobs.key(&key()?).await?, "key_not_found").map(|(file, length)| stream(file, length)),
        Call::PutKey => put_key(blobs, &key()?, body).await,
        Call::DeleteKey => {
            let was_there = blobs.delete_key(&key()?).await?;
            found(was_there.then_some(()), "key_not_found").map(|()| empty())
        }
        Call::Metrics => front.metrics(),
        Call::OpenApi => json(&document("bue bucket", ROUTES)),
        Call::Health => Ok(typed("text/plain", "ok\n")),
        Call::Ready => blobs.check().await.map(|()| typed("text/plain", "ready\n")).map_err(Refusal::from),
    }
}

async fn put_blob(blobs: &BlobStore, hash: &BlobHash, body: Incoming) -> Result<Response<Body>, Refusal> {
    // the same bytes are there already: read past them, so that the client is not cut off
    let part = if blobs.blob(hash).await?.is_some() { None } else { Some(blobs.part().await?) };
    if let Some(part) = receive(part, body).await? {
        blobs.keep_blob(part, hash).await?;
    }
    Ok(empty())
}

async fn put_key(blobs: &BlobStore, key: &Key, body: Incoming) -> Result<Response<Body>, Refusal> {
    if let Some(part) = receive(Some(blobs.part().await?), body).await? {
        blobs.keep_key(part, key).await?;
    }
    Ok(empty())
}

fn found<T>(thing: Option<T>, code: &'static str) -> Result<T, Refusal> {
    thing.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, code, "there is nothing under this name", ""))
}

/// Writes a body to a file, or past it.
async fn receive(mut part: Option<Part>, body: Incoming) -> Result<Option<Part>, Refusal> {
    check_length(&body, MAX_BLOB)?;
    let (mut pieces, mut left) = (Pieces::new(body), MAX_BLOB);
    while let Some(piece) = pieces.next().await? {
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
