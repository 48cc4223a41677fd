//! [`serve_bucket`]: the bucket's HTTP server. Blobs and values are streamed in both directions, a piece at a time. A client that cannot
//! keep a connection that long reads ranges of a value, and sends a value as the parts of an upload.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bue_model::value_name::MAX_LIFETIME_S;
use bue_model::wire::{Collection, MAX_MESSAGE};
use bue_model::{BlobHash, RunId, Timestamp, UploadId};
use bytes::Bytes;
use futures_util::StreamExt;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use prometheus_client::registry::Registry;
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::blob_backend::Upload;
use super::blob_store::BlobStore;
use super::expiry::delete_expired_keys;
use super::keys::KeyQuery;
use super::object::Object;
use super::object_name::Key;
use super::routes::{Operation, ROUTES};
use crate::auth::access::Access;
use crate::auth::role::Permission;
use crate::clock::{Clock, system_clock};
use crate::http::openapi::document::document;
use crate::http::openapi::operation_doc::Documented;
use crate::http::reply::{Body, ErrorReply, Refusals, empty, json, postcard, typed};
use crate::http::request::{
    BodyReader, check_length, decode_postcard, expect_known_parameters, parse_parameter, query_parameter, read_body,
};
use crate::http::request_metrics::{RequestContext, RequestMetrics};
use crate::http::routes::match_route;
use crate::http::server::{Listener, serve};
use crate::http::tls::Tls;

/// Bytes of a blob or a value.
const MAX_BLOB: u64 = 64 * 1024 * 1024 * 1024;
/// Bytes of a part of an upload: those that a sandbox host may send at once.
const MAX_PART: u64 = 64 * 1024 * 1024;
/// Parts of an upload. Those of steps have a mebibyte each, which makes 64 GiB.
pub(super) const MAX_PARTS: u32 = 65_536;
/// How long a part is kept if its upload is not finished: longer than steps run.
const PART_LIFETIME_MS: u64 = 2 * 24 * 60 * 60 * 1000;
/// How long a bucket that was found ready counts as ready.
const READY_INTERVAL: Duration = Duration::from_secs(1);
/// The media type of blobs and values.
const OCTETS: &str = "application/octet-stream";

/// A bucket: its bytes, who may use them, and a clock. Cheap to clone.
#[derive(Clone)]
pub struct Bucket {
    blobs: BlobStore,
    access: Access,
    clock: Clock,
    tls: Option<Tls>,
    request_metrics: RequestMetrics,
    /// When the backend was last found ready. Locked during the check, so that concurrent requests share one.
    ready_at: Arc<Mutex<Option<Instant>>>,
}

impl From<BlobStore> for Bucket {
    /// A bucket that is open to everyone.
    fn from(blobs: BlobStore) -> Self {
        Self::new(blobs, Access::open())
    }
}

impl Bucket {
    /// Creates a bucket with this machine's clock.
    #[must_use]
    pub fn new(blobs: BlobStore, access: Access) -> Self {
        let request_metrics = RequestMetrics::new("bucket", Registry::default());
        Self { blobs, access, clock: system_clock(), tls: None, request_metrics, ready_at: Arc::default() }
    }

    /// Serves over TLS if `tls` is set.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// Sets another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Checks that the backend can store bytes. That costs an fsync or a request to S3 and needs no token, so it is done at most
    /// once in [`READY_INTERVAL`].
    async fn check_ready(&self) -> Result<(), ErrorReply> {
        let mut ready_at = self.ready_at.lock().await;
        if ready_at.is_none_or(|at| at.elapsed() >= READY_INTERVAL) {
            *ready_at = None;
            self.blobs.check().await?;
            *ready_at = Some(Instant::now());
        }
        Ok(())
    }
}

/// Serves the bucket until `shutdown` completes, then lets requests in progress finish, which takes at most ten seconds.
/// Meanwhile deletes keys that have expired.
pub async fn serve_bucket(listener: impl Listener, bucket: impl Into<Bucket>, shutdown: impl Future<Output = ()>) {
    let bucket = bucket.into();
    let (close, closing) = watch::channel(false);
    let shutdown = async {
        shutdown.await;
        close.send_replace(true);
    };
    let expiry = delete_expired_keys(bucket.blobs.clone(), bucket.clock.clone(), closing);
    let tls = bucket.tls.clone();
    tokio::join!(serve(listener, tls, move |request| handle(bucket.clone(), request), shutdown), expiry);
}

async fn handle(bucket: Bucket, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut context = RequestContext::new(&head);
    let result = dispatch(&bucket, &head, body, &mut context).await;
    bucket.request_metrics.finish(&context, result)
}

/// Carries out a request. Records what is known about it in `context`.
async fn dispatch(
    bucket: &Bucket,
    head: &Parts,
    body: Incoming,
    context: &mut RequestContext<'_>,
) -> Result<Response<Body>, ErrorReply> {
    let route = match_route(ROUTES, &bucket.access, head, context)?;
    expect_known_parameters(head.uri.query(), route.operation.doc().query)?;
    let blobs = &bucket.blobs;
    let hash = || parse_parameter::<BlobHash>(route.parameter(), "hash of a blob");
    let key = || Ok::<_, ErrorReply>(Key::new(&percent_decode(route.parameter())?)?);
    let run = || query_parameter::<RunId>(head.uri.query(), "run");
    let upload = || parse_parameter::<UploadId>(route.parameter(), "id of an upload");
    match route.operation {
        Operation::GetBlob => or_not_found(blobs.blob(&hash()?).await?, "blob_not_found").map(stream),
        Operation::HeadBlob => {
            if let (Some(_), Some(principal)) = (run()?, &context.principal) {
                // with a run, the request writes a reference
                principal.expect_permission(Permission::Store)?;
            }
            or_not_found(blobs.reference_blob(&hash()?, run()?).await?, "blob_not_found").map(length_only)
        }
        Operation::PutBlob => put_blob(blobs, &hash()?, run()?, body).await,
        Operation::ListKeys => list_keys(bucket, head).await,
        Operation::GetKey => get_key(bucket, head, &key()?).await,
        Operation::PutKey => put_key(bucket, head, &key()?, body).await,
        Operation::DeleteKey => {
            let existed = blobs.delete_key(bucket.now(), &key()?).await?;
            or_not_found(existed.then_some(()), "key_not_found").map(|()| empty())
        }
        Operation::StartUpload => {
            check_length(&body, 0)?;
            postcard(&new_upload())
        }
        Operation::PutPart => put_part(bucket, head, upload()?, body).await,
        Operation::DeleteUpload => {
            blobs.delete_parts(upload()?, expect_parts(head)?).await?;
            Ok(empty())
        }
        Operation::StartCollection => postcard(&bucket.now()),
        Operation::Collect => collect(bucket, head, body).await,
        Operation::GetMetrics => bucket.request_metrics.reply(),
        Operation::GetOpenApi => json(&document("bue bucket", ROUTES)),
        Operation::CheckHealth => Ok(typed("text/plain", "ok\n")),
        Operation::CheckReady => bucket.check_ready().await.map(|()| typed("text/plain", "ready\n")),
    }
}

/// The grace period is measured at the time before the hub listed its runs, which the request carries. So a request that was
/// delayed on its way does not collect the blobs of runs submitted since.
async fn collect(bucket: &Bucket, head: &Parts, body: Incoming) -> Result<Response<Body>, ErrorReply> {
    let collection: Collection = decode_postcard(&head.headers, &read_body(body, MAX_MESSAGE).await?)?;
    let started_at = query_parameter(head.uri.query(), "begun")?.map(Timestamp);
    let started_at = started_at.ok_or_else(|| {
        let hint = "get the time with GET, list the runs, then send both";
        ErrorReply::bad_request("the parameter `begun` is missing", hint)
    })?;
    postcard(&bucket.blobs.collect(started_at.min(bucket.now()), collection).await?)
}

async fn put_blob(
    blobs: &BlobStore,
    hash: &BlobHash,
    run: Option<RunId>,
    body: Incoming,
) -> Result<Response<Body>, ErrorReply> {
    check_length(&body, MAX_BLOB)?;
    // the reference keeps an existing blob from here on; without one it could be collected while the body arrives
    if run.is_some() && blobs.reference_blob(hash, run).await?.is_some() {
        discard(body).await?;
        return Ok(empty());
    }
    let upload = receive(blobs.upload_blob(hash).await?, body, MAX_BLOB).await?;
    blobs.finish_blob(upload, hash, run).await?;
    Ok(empty())
}

/// Returns a page of the named values.
async fn list_keys(bucket: &Bucket, head: &Parts) -> Result<Response<Body>, ErrorReply> {
    let query = head.uri.query();
    let mut refusals = Refusals::default();
    let mut text = |name| refusals.keep(query_parameter::<String>(query, name)).unwrap_or_default();
    let (prefix, after) = (text("prefix"), text("after"));
    let limit = refusals.keep(query_parameter::<u32>(query, "limit"));
    refusals.finish()?;
    let query = KeyQuery::new(prefix, after, limit)?;
    json(&bucket.blobs.keys(bucket.now(), &query).await?)
}

/// Returns a value, or a range of it, with its version as entity tag.
async fn get_key(bucket: &Bucket, head: &Parts, key: &Key) -> Result<Response<Body>, ErrorReply> {
    let range = requested_range(&head.headers);
    let value = match range.clone() {
        Some(range) => bucket.blobs.key_range(bucket.now(), key, range).await?,
        None => bucket.blobs.key(bucket.now(), key).await?,
    };
    let value = or_not_found(value, "key_not_found")?;
    let (length, tag) = (value.length, format!("\"{}\"", value.version));
    if head.headers.get(header::IF_MATCH).is_some_and(|wanted| wanted != "*" && wanted != tag.as_str()) {
        let message = "the key has another value by now";
        let hint = "read it from the beginning";
        return Err(ErrorReply::new(StatusCode::PRECONDITION_FAILED, "value_changed", message, hint));
    }
    let mut response = match range {
        // an empty value has no ranges
        Some(range) if length > 0 => partial(value, range)?,
        _ => stream(value),
    };
    set_header(&mut response, header::ETAG, &tag);
    Ok(response)
}

/// Returns the range that a request is for. Several ranges, or a range in another unit, are answered with the whole value, as the
/// protocol allows.
fn requested_range(headers: &HeaderMap) -> Option<Range<u64>> {
    let (first, last) = headers.get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let last = if last.is_empty() { u64::MAX - 1 } else { last.parse().ok()? };
    let range = first.parse().ok()?..last.checked_add(1)?;
    (!range.is_empty()).then_some(range)
}

/// Returns a range of a value. The object has no other pieces.
fn partial(value: Object, range: Range<u64>) -> Result<Response<Body>, ErrorReply> {
    let length = value.length;
    let end = range.end.min(length);
    if range.start >= end {
        let message = format!("the value has {length} bytes, and the range begins at {}", range.start);
        return Err(ErrorReply::new(StatusCode::RANGE_NOT_SATISFIABLE, "range", message, "read less"));
    }
    let mut response = stream(Object { length: end - range.start, ..value });
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    set_header(&mut response, header::CONTENT_RANGE, &format!("bytes {}-{}/{length}", range.start, end - 1));
    Ok(response)
}

/// Sets a header whose value is ours. If it could not be one, it would be left out.
fn set_header(response: &mut Response<Body>, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

/// Stores the body, or the parts of an upload, as the value of a key.
async fn put_key(bucket: &Bucket, head: &Parts, key: &Key, body: Incoming) -> Result<Response<Body>, ErrorReply> {
    let (blobs, expires_at) = (&bucket.blobs, expiry_time(bucket, head)?);
    let Some(upload) = query_parameter::<UploadId>(head.uri.query(), "upload")? else {
        // a client that means an upload would otherwise replace the value by its empty body
        if query_parameter::<u32>(head.uri.query(), "parts")?.is_some() {
            let hint = "write `upload`, or leave `parts` out and send the value as the body";
            return Err(ErrorReply::bad_request("`parts` is given, but no `upload`", hint).about("parts"));
        }
        check_length(&body, MAX_BLOB)?;
        let upload = receive(blobs.upload_key(key, expires_at).await?, body, MAX_BLOB).await?;
        blobs.finish_key(upload, key, expires_at).await?;
        return Ok(empty());
    };
    let parts = expect_parts(head)?;
    check_length(&body, 0)?;
    match blobs.join_parts(bucket.now(), (upload, parts), key, expires_at, MAX_BLOB).await? {
        true => Ok(empty()),
        false => {
            let message = "a part of the upload was not stored, or has expired";
            Err(ErrorReply::new(StatusCode::NOT_FOUND, "part_not_found", message, "send all parts of the value again"))
        }
    }
}

/// Returns the id of a new upload, which exists as soon as it has parts.
#[expect(clippy::disallowed_methods, reason = "only the client that starts an upload may know its id")]
fn new_upload() -> UploadId {
    UploadId(Uuid::new_v4())
}

/// Stores a part of an upload, or replaces it by the same one.
async fn put_part(
    bucket: &Bucket,
    head: &Parts,
    upload: UploadId,
    body: Incoming,
) -> Result<Response<Body>, ErrorReply> {
    let Some(part @ 0..MAX_PARTS) = query_parameter::<u32>(head.uri.query(), "part")? else {
        return Err(ErrorReply::bad_request("`part` is missing or too large", "number the parts from 0").about("part"));
    };
    check_length(&body, MAX_PART)?;
    let (blobs, key) = (&bucket.blobs, Key::part(upload, part));
    let expires_at = Some(bucket.now().plus_ms(PART_LIFETIME_MS));
    let object = receive(blobs.upload_key(&key, expires_at).await?, body, MAX_PART).await?;
    blobs.finish_key(object, &key, expires_at).await?;
    Ok(empty())
}

/// Returns the number of parts that a request is for.
fn expect_parts(head: &Parts) -> Result<u32, ErrorReply> {
    match query_parameter::<u32>(head.uri.query(), "parts")? {
        Some(parts @ 1..=MAX_PARTS) => Ok(parts),
        _ => {
            let hint = "write the number of the upload's parts";
            Err(ErrorReply::bad_request("`parts` is missing, 0 or too large", hint).about("parts"))
        }
    }
}

/// When a key's value expires, if the request says so.
fn expiry_time(bucket: &Bucket, head: &Parts) -> Result<Option<Timestamp>, ErrorReply> {
    match query_parameter::<u64>(head.uri.query(), "expires_s")? {
        Some(seconds @ 1..=MAX_LIFETIME_S) => Ok(Some(bucket.now().plus_ms(seconds * 1000))),
        Some(seconds) => Err(ErrorReply::bad_request(
            format!("a key cannot expire after {seconds} seconds"),
            "write ?expires_s= and a number from 1 on; leave it out for a key that does not expire",
        )
        .about("expires_s")),
        None => Ok(None),
    }
}

fn or_not_found<T>(found: Option<T>, code: &'static str) -> Result<T, ErrorReply> {
    found.ok_or_else(|| ErrorReply::new(StatusCode::NOT_FOUND, code, "nothing is stored under this name", ""))
}

/// Writes a body to an upload. If the connection breaks, dropping the upload removes what was written.
async fn receive(mut upload: Upload, body: Incoming, max: u64) -> Result<Upload, ErrorReply> {
    let (mut reader, mut remaining) = (BodyReader::new(body), max);
    while let Some(piece) = reader.next().await? {
        remaining = subtract(remaining, &piece)?;
        upload.write(&piece).await?;
    }
    Ok(upload)
}

/// Reads a body whose bytes are stored already: a client that is still sending would see a reset instead of the reply.
async fn discard(body: Incoming) -> Result<(), ErrorReply> {
    let (mut reader, mut remaining) = (BodyReader::new(body), MAX_BLOB);
    while let Some(piece) = reader.next().await? {
        remaining = subtract(remaining, &piece)?;
    }
    Ok(())
}

fn subtract(remaining: u64, piece: &Bytes) -> Result<u64, ErrorReply> {
    remaining.checked_sub(piece.len() as u64).ok_or_else(|| {
        let message = "the body has more bytes than it may have";
        ErrorReply::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, "store it in parts")
    })
}

fn stream(object: Object) -> Response<Body> {
    let mut response = length_only(object.length);
    *response.body_mut() = StreamBody::new(object.pieces.map(|piece| piece.map(Frame::data))).boxed_unsync();
    response
}

fn length_only(length: u64) -> Response<Body> {
    let mut response = typed(OCTETS, Bytes::new());
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

/// Decodes `%` followed by two hexadecimal digits.
fn percent_decode(text: &str) -> Result<String, ErrorReply> {
    let malformed =
        || ErrorReply::bad_request("the key cannot be decoded", "write it in UTF-8, percent-encoded where needed");
    let mut bytes = Vec::with_capacity(text.len());
    let mut remaining = text.as_bytes();
    while let Some((byte, rest)) = remaining.split_first() {
        remaining = rest;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, rest) = remaining.split_at_checked(2).ok_or_else(malformed)?;
        // from_str_radix would accept a sign
        let digits =
            std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+')).ok_or_else(malformed)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| malformed())?);
        remaining = rest;
    }
    String::from_utf8(bytes).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoded_names_are_decoded() {
        assert_eq!(percent_decode("a%20b/%C3%A9").expect("a name"), "a b/é");
        for text in ["%", "%4", "%zz", "%ff", "%+1"] {
            assert!(percent_decode(text).is_err(), "{text}");
        }
    }
}
