//! The bucket's HTTP server: blobs and keys, streamed both ways a piece at a time, and the keys' ends.

use std::future::Future;
use std::time::Duration;

use bue_model::wire::{Collection, MAX_MESSAGE};
use bue_model::{BlobHash, RunId, Timestamp};
use bytes::Bytes;
use futures_util::StreamExt;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use prometheus_client::registry::Registry;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::auth::access::Access;
use crate::auth::role::Need;
use crate::bucket::backend::{Object, Upload};
use crate::bucket::blob_store::BlobStore;
use crate::bucket::name::Key;
use crate::clock::{Clock, system_clock};
use crate::http::openapi::document;
use crate::http::reply::{Body, Refusal, empty, json, postcard, typed};
use crate::http::request::{Pieces, check_length, decode, parse, query_number, read_body};
use crate::http::request_metrics::{Front, Visit};
use crate::http::routes::{Route, RouteView, find, route, views};
use crate::http::server::{Listener, serve};
use crate::http::tls::Tls;

/// Bytes of a blob or value.
const MAX_BLOB: u64 = 64 * 1024 * 1024 * 1024;
/// Longest life that a key can be given: a hundred years, in seconds.
pub(crate) const MAX_LIFE: u64 = 100 * 366 * 24 * 60 * 60;
/// Time until keys are looked at again that ended, where none is known to end before.
const EXPIRY_REST: Duration = Duration::from_secs(60 * 60);
/// ... and where the store did not answer.
const EXPIRY_RETRY: Duration = Duration::from_secs(10);
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
    BeginCollection,
    Collect,
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
    route(Method::GET, "/v1/collections", Need::Operate, Call::BeginCollection),
    route(Method::POST, "/v1/collections", Need::Operate, Call::Collect),
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

/// A bucket: its bytes, who may use them, and a clock.
#[derive(Clone)]
pub struct Bucket {
    blobs: BlobStore,
    access: Access,
    clock: Clock,
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
    /// For those whom `access` lets in, with this machine's clock.
    #[must_use]
    pub fn new(blobs: BlobStore, access: Access) -> Self {
        let front = Front::new("bucket", Registry::default());
        Self { blobs, access, clock: system_clock(), tls: None, front }
    }

    /// The same over TLS, where there are files for it.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

/// Serves the bucket until `shutdown`, then lets requests under way end, which takes at most ten seconds. Throws keys away
/// meanwhile whose time is over.
pub async fn serve_bucket(listener: impl Listener, bucket: impl Into<Bucket>, shutdown: impl Future<Output = ()>) {
    let bucket = bucket.into();
    let (closing, closed) = watch::channel(false);
    let shutdown = async {
        shutdown.await;
        closing.send_replace(true);
    };
    let (tls, expiry) = (bucket.tls.clone(), expire(bucket.clone(), closed));
    tokio::join!(serve(listener, tls, move |request| handle(bucket.clone(), request), shutdown), expiry);
}

async fn handle(bucket: Bucket, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut visit = Visit::new(&head);
    let answer = answer(&bucket, &head, body, &mut visit).await;
    bucket.front.close(&visit, answer)
}

async fn answer(
    bucket: &Bucket,
    head: &Parts,
    body: Incoming,
    visit: &mut Visit<'_>,
) -> Result<Response<Body>, Refusal> {
    let (call, parts) = find(ROUTES, &bucket.access, head, visit)?;
    let blobs = &bucket.blobs;
    let name = parts.first().copied().unwrap_or_default();
    let hash = || parse::<BlobHash>(name, "hash of a blob");
    let key = || Ok::<_, Refusal>(Key::new(&unescape(name)?)?);
    let run = || query_number::<RunId>(head.uri.query(), "run");
    match call {
        Call::GetBlob => found(blobs.blob(&hash()?).await?, "blob_not_found").map(stream),
        Call::HasBlob => {
            if run()?.is_some() {
                // it is kept from then on
                visit.visitor.as_ref().map_or(Ok(()), |visitor| visitor.expect_may(Need::Store))?;
            }
            found(blobs.want_blob(&hash()?, run()?).await?, "blob_not_found").map(length_only)
        }
        Call::PutBlob => put_blob(blobs, &hash()?, run()?, body).await,
        Call::GetKey => found(blobs.key(bucket.now(), &key()?).await?, "key_not_found").map(stream),
        Call::PutKey => put_key(blobs, &key()?, end(bucket, head)?, body).await,
        Call::DeleteKey => {
            let was_there = blobs.delete_key(bucket.now(), &key()?).await?;
            found(was_there.then_some(()), "key_not_found").map(|()| empty())
        }
        Call::BeginCollection => postcard(&bucket.now()),
        Call::Collect => collect(bucket, head, body).await,
        Call::Metrics => bucket.front.metrics(),
        Call::OpenApi => json(&document("bue bucket", ROUTES)),
        Call::Health => Ok(typed("text/plain", "ok\n")),
        Call::Ready => blobs.check().await.map(|()| typed("text/plain", "ready\n")).map_err(Refusal::from),
    }
}

/// What is young is so by the time at which the hub had not yet listed its runs. A list that was held up on its way is a list
/// of that time.
async fn collect(bucket: &Bucket, head: &Parts, body: Incoming) -> Result<Response<Body>, Refusal> {
    let collection: Collection = decode(&head.headers, &read_body(body, MAX_MESSAGE).await?)?;
    let begun = query_number(head.uri.query(), "begun")?.map(Timestamp);
    let begun = begun.ok_or_else(|| {
        Refusal::bad_request("the collection has no beginning", "ask for the time with GET, list the runs, send both")
    })?;
    postcard(&bucket.blobs.collect(begun.min(bucket.now()), collection).await?)
}

async fn put_blob(
    blobs: &BlobStore,
    hash: &BlobHash,
    run: Option<RunId>,
    body: Incoming,
) -> Result<Response<Body>, Refusal> {
    check_length(&body, MAX_BLOB)?;
    // Kept for the run from here on; without one it might be collected while the body comes.
    if run.is_some() && blobs.want_blob(hash, run).await?.is_some() {
        read_past(body).await?;
        return Ok(empty());
    }
    let upload = receive(blobs.upload_blob(hash).await?, body).await?;
    blobs.keep_blob(upload, hash).await?;
    Ok(empty())
}

async fn put_key(
    blobs: &BlobStore,
    key: &Key,
    expires: Option<Timestamp>,
    body: Incoming,
) -> Result<Response<Body>, Refusal> {
    check_length(&body, MAX_BLOB)?;
    let upload = receive(blobs.upload_key(key, expires).await?, body).await?;
    blobs.keep_key(upload, key, expires).await?;
    Ok(empty())
}

/// When a key's value ends, if the request says it.
fn end(bucket: &Bucket, head: &Parts) -> Result<Option<Timestamp>, Refusal> {
    match query_number::<u64>(head.uri.query(), "expires_s")? {
        Some(seconds @ 1..=MAX_LIFE) => Ok(Some(bucket.now().plus_ms(seconds * 1000))),
        Some(seconds) => Err(Refusal::bad_request(
            format!("a key cannot expire after {seconds} seconds"),
            "write ?expires_s= and a number from 1 on, or nothing for a key that stays",
        )),
        None => Ok(None),
    }
}

fn found<T>(thing: Option<T>, code: &'static str) -> Result<T, Refusal> {
    thing.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, code, "there is nothing under this name", ""))
}

/// Writes a body to where it is kept. What breaks off leaves nothing behind.
async fn receive(mut upload: Upload, body: Incoming) -> Result<Upload, Refusal> {
    let (mut pieces, mut left) = (Pieces::new(body), MAX_BLOB);
    while let Some(piece) = pieces.next().await? {
        left = count(left, &piece)?;
        upload.write(&piece).await?;
    }
    Ok(upload)
}

/// The same bytes are there already. They are read all the same, so that the client is not cut off.
async fn read_past(body: Incoming) -> Result<(), Refusal> {
    let (mut pieces, mut left) = (Pieces::new(body), MAX_BLOB);
    while let Some(piece) = pieces.next().await? {
        left = count(left, &piece)?;
    }
    Ok(())
}

fn count(left: u64, piece: &Bytes) -> Result<u64, Refusal> {
    left.checked_sub(piece.len() as u64).ok_or_else(|| {
        let message = format!("more than {MAX_BLOB} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, "store it in pieces")
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

/// Throws keys away when their time is over. Wakes for the first that ends, and when one is given an end.
async fn expire(bucket: Bucket, mut closed: watch::Receiver<bool>) {
    while !*closed.borrow() {
        let rest = match bucket.blobs.expire(bucket.now()).await {
            Ok(next) => next.map_or(EXPIRY_REST, |at| Duration::from_millis(at.since_ms(bucket.now()))),
            Err(error) => {
                tracing::error!(%error, "could not look for keys whose time is over");
                EXPIRY_RETRY
            }
        };
        tokio::select! {
            biased;
            _ = closed.changed() => {}
            () = sleep(rest.min(EXPIRY_REST)) => {}
            () = bucket.blobs.expiry_set() => {}
        }
    }
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
