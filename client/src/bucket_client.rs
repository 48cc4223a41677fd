//! [`BucketClient`]: one method a route of the bucket.

use std::time::Duration;

use bue_model::keys::KeyPage;
use bue_model::wire::{CONTENT_TYPE, Collected, Collection};
use bue_model::{BlobHash, BlobRef, RunId, Timestamp, UploadId};
use bytes::{Bytes, BytesMut};
use futures_util::stream::unfold;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::connection::Connection;
use crate::download::Download;
use crate::error::ClientError;
use crate::options::ClientOptions;
use crate::percent::{PATH, QUERY, percent_encoded};
use crate::reply::{Reply, decode, decode_json, encode, expect_success, is_no_such_route};
use crate::request::Request;

/// The time for an answer to begin. The bucket writes a large blob to its disk first.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);
/// The size in bytes of the largest error.
const MAX_ERROR: usize = 64 * 1024;
/// The size in bytes of the largest page of names, of a thousand with 1,024 bytes each, escaped.
const MAX_KEYS: usize = 16 * 1024 * 1024;
/// The time for requests whose body a person types or another program produces, and for garbage collections. A bucket that is gone is
/// noticed earlier, because the connection breaks.
const LONG_REQUEST_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
/// The size in bytes of the chunks that are sent.
const CHUNK_BYTES: usize = 64 * 1024;
/// The media type of blobs and of values under keys.
const OCTET_STREAM: &str = "application/octet-stream";

/// A part of a value under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPart {
    /// Its bytes.
    pub bytes: Bytes,
    /// The length of the whole value in bytes.
    pub length: u64,
    /// The version of the value, for the next request.
    pub version: String,
}

/// A client of the bucket: blobs by their hash, and values under keys. All requests are idempotent, so all are retried for about two
/// seconds, long enough for the bucket to restart.
#[derive(Debug)]
pub struct BucketClient {
    connection: Connection,
}

impl BucketClient {
    /// Creates a client without connecting. The address is `host:port`, `http://host:port` or `https://host:port`.
    ///
    /// # Errors
    /// An address is invalid.
    pub fn new(address: &str) -> Result<Self, ClientError> {
        Self::with_options(address, ClientOptions::default())
    }

    /// Creates a client with these options, without connecting.
    ///
    /// # Errors
    /// The address is invalid, the token has characters that a header cannot contain, or a file of certificates cannot be used.
    pub fn with_options(address: &str, options: ClientOptions) -> Result<Self, ClientError> {
        Ok(Self { connection: Connection::new("bucket", &[address.to_owned()], options)? })
    }

    /// Returns its address, as `host:port`.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        self.connection.addresses()
    }

    /// Checks that the bucket answers. Needs no token.
    ///
    /// # Errors
    /// It cannot be reached, or is not a bucket.
    pub async fn ping(&self) -> Result<(), ClientError> {
        self.connection.send_ok(&probe()).await.map(drop)
    }

    /// Stores a blob under its hash, for as long as the run exists.
    ///
    /// # Errors
    /// The bucket cannot be reached or cannot store it.
    pub async fn put(&self, run: RunId, content: Bytes) -> Result<BlobRef, ClientError> {
        let blob = BlobRef { hash: hash_of(&content), len: content.len() as u64 };
        let path = format!("{}?run={run}", blob_path(&blob.hash));
        let request = Request { content_type: OCTET_STREAM, body: content, ..request(Method::PUT, path, MAX_ERROR) };
        self.connection.send_ok(&request).await?;
        Ok(blob)
    }

    /// Returns a blob's bytes, verified against its hash. They are all in memory: at most `blob.len`.
    ///
    /// # Errors
    /// There is no such blob, it is corrupt, or the bucket cannot be reached.
    pub async fn get(&self, blob: &BlobRef) -> Result<Bytes, ClientError> {
        let max = usize::try_from(blob.len).unwrap_or(usize::MAX).max(MAX_ERROR);
        let reply = self.connection.send_ok(&request(Method::GET, blob_path(&blob.hash), max)).await?;
        match reply.body.len() as u64 == blob.len && hash_of(&reply.body) == blob.hash {
            true => Ok(reply.body),
            false => Err(ClientError::Corrupt { hash: blob.hash }),
        }
    }

    /// Returns the bytes of the blob with this hash, of at most `max` bytes, verified. `None` if there is no such blob.
    ///
    /// # Errors
    /// It is longer or corrupt, or the bucket cannot be reached.
    pub async fn get_by_hash(&self, hash: BlobHash, max: usize) -> Result<Option<Bytes>, ClientError> {
        let reply = self.send_optional(&request(Method::GET, blob_path(&hash), max.max(MAX_ERROR))).await?;
        match reply {
            Some(reply) if hash_of(&reply.body) != hash => Err(ClientError::Corrupt { hash }),
            reply => Ok(reply.map(|reply| reply.body)),
        }
    }

    /// Whether the bucket has a blob. If so, the blob is kept for as long as the run exists.
    ///
    /// # Errors
    /// The bucket cannot be reached.
    pub async fn has(&self, run: RunId, hash: &BlobHash) -> Result<bool, ClientError> {
        let path = format!("{}?run={run}", blob_path(hash));
        Ok(self.send_optional(&request(Method::HEAD, path, MAX_ERROR)).await?.is_some())
    }

    /// Stores a value under a key, replacing an older one, while it is read from `source`: it may have any length up to 64 GiB. It expires
    /// after so many seconds, or never. The source can be read only once, so this is not retried.
    ///
    /// # Errors
    /// The bucket refuses the key or the time, cannot be reached or cannot store it, or `source` cannot be read.
    pub async fn set_key(
        &self,
        key: &str,
        source: impl AsyncRead + Send + Unpin + 'static,
        expires_s: Option<u64>,
    ) -> Result<(), ClientError> {
        // so that an invalid key or token is refused before the value is read
        self.get_key(key).await.map(drop)?;
        let chunks = unfold(source, |mut source| async move {
            match read_chunk(&mut source).await {
                Ok(chunk) if chunk.is_empty() => None,
                chunk => Some((chunk.map(Frame::data), source)),
            }
        });
        let (body, path) = (StreamBody::new(chunks).boxed_unsync(), key_path(key) + &expiry_query("?", expires_s));
        let request = request(Method::PUT, path, MAX_ERROR);
        let request = Request { content_type: OCTET_STREAM, timeout: LONG_REQUEST_TIMEOUT, ..request };
        expect_success(self.connection.send_once(&probe(), &request, body).await?).map(drop)
    }

    /// Returns the value under a key as a stream. `None` if there is none.
    ///
    /// # Errors
    /// The bucket refuses the key or cannot be reached.
    pub async fn get_key(&self, key: &str) -> Result<Option<Download>, ClientError> {
        match self.connection.open(&probe(), &request(Method::GET, key_path(key), MAX_ERROR)).await? {
            Ok(download) => Ok(Some(download)),
            Err(reply) if is_not_found(&reply) => Ok(None),
            Err(reply) => Err(expect_success(reply).err().unwrap_or(ClientError::Token)),
        }
    }

    /// Stores a value that is in memory under a key, replacing an older one. It expires after so many seconds, or never.
    ///
    /// # Errors
    /// The bucket refuses the key or the time, cannot be reached or cannot store it.
    pub async fn put_key(&self, key: &str, value: Bytes, expires_s: Option<u64>) -> Result<(), ClientError> {
        let path = key_path(key) + &expiry_query("?", expires_s);
        let request = Request { content_type: OCTET_STREAM, body: value, ..request(Method::PUT, path, MAX_ERROR) };
        self.connection.send_ok(&request).await.map(drop)
    }

    /// Returns at most `max` bytes of the value under a key, from `offset` on, which must be less than its length. `None` if there is
    /// none. With the version of an earlier part, the part is one of the same value.
    ///
    /// # Errors
    /// The key has a value of another version by now; the bucket refuses the key or cannot be reached.
    pub async fn get_key_part(
        &self,
        key: &str,
        offset: u64,
        max: u32,
        version: Option<&str>,
    ) -> Result<Option<KeyPart>, ClientError> {
        let last = offset.saturating_add(u64::from(max.max(1)) - 1);
        let invalid = |error: header::InvalidHeaderValue| ClientError::Encode(error.to_string());
        let mut headers =
            vec![(header::RANGE, HeaderValue::from_str(&format!("bytes={offset}-{last}")).map_err(invalid)?)];
        if let Some(version) = version {
            headers.push((header::IF_MATCH, HeaderValue::from_str(version).map_err(invalid)?));
        }
        let max_reply = (max as usize).max(MAX_ERROR);
        let request = Request { headers, ..request(Method::GET, key_path(key), max_reply) };
        self.send_optional(&request).await?.map(key_part).transpose()
    }

    /// Starts an upload: a value that is sent in parts.
    ///
    /// # Errors
    /// The bucket cannot be reached.
    pub async fn start_upload(&self) -> Result<UploadId, ClientError> {
        decode(&self.connection.send_ok(&request(Method::POST, "/v1/uploads".to_owned(), MAX_ERROR)).await?)
    }

    /// Stores a part of an upload. They are numbered from 0.
    ///
    /// # Errors
    /// The bucket cannot be reached or cannot store it.
    pub async fn put_part(&self, upload: UploadId, part: u32, bytes: Bytes) -> Result<(), ClientError> {
        let path = format!("/v1/uploads/{upload}?part={part}");
        let request = Request { content_type: OCTET_STREAM, body: bytes, ..request(Method::PUT, path, MAX_ERROR) };
        self.connection.send_ok(&request).await.map(drop)
    }

    /// Stores the value that consists of the first `parts` parts of an upload under a key, replacing an older one. The parts remain.
    ///
    /// # Errors
    /// The bucket refuses the key or the time, has not all parts, cannot be reached or cannot store it.
    pub async fn put_key_from_parts(
        &self,
        key: &str,
        upload: UploadId,
        parts: u32,
        expires_s: Option<u64>,
    ) -> Result<(), ClientError> {
        let query = format!("?upload={upload}&parts={parts}") + &expiry_query("&", expires_s);
        let request = request(Method::PUT, key_path(key) + &query, MAX_ERROR);
        // all bytes are copied before the answer
        let request = Request { content_type: OCTET_STREAM, timeout: LONG_REQUEST_TIMEOUT, ..request };
        self.connection.send_ok(&request).await.map(drop)
    }

    /// Deletes the first `parts` parts of an upload.
    ///
    /// # Errors
    /// The bucket cannot be reached or cannot delete them.
    pub async fn delete_parts(&self, upload: UploadId, parts: u32) -> Result<(), ClientError> {
        let request = request(Method::DELETE, format!("/v1/uploads/{upload}?parts={parts}"), MAX_ERROR);
        self.connection.send_ok(&Request { timeout: LONG_REQUEST_TIMEOUT, ..request }).await.map(drop)
    }

    /// Returns a page of the values whose names begin with a prefix and come after `after`, at most `limit` of them.
    ///
    /// # Errors
    /// The bucket refuses the request or cannot be reached.
    pub async fn keys(&self, prefix: &str, after: &str, limit: u32) -> Result<KeyPage, ClientError> {
        let (prefix, after) = (percent_encoded(prefix, QUERY), percent_encoded(after, QUERY));
        let path = format!("/v1/keys?prefix={prefix}&after={after}&limit={limit}");
        decode_json(&self.connection.send_ok(&request(Method::GET, path, MAX_KEYS)).await?)
    }

    /// Deletes a key. Returns whether it existed.
    ///
    /// # Errors
    /// The bucket refuses the key or cannot be reached.
    pub async fn delete_key(&self, key: &str) -> Result<bool, ClientError> {
        Ok(self.send_optional(&request(Method::DELETE, key_path(key), MAX_ERROR)).await?.is_some())
    }

    /// Returns the bucket's time. To be called before the hub's runs are listed.
    ///
    /// # Errors
    /// The bucket cannot be reached.
    pub async fn begin_collection(&self) -> Result<Timestamp, ClientError> {
        decode(&self.connection.send_ok(&request(Method::GET, "/v1/collections".to_owned(), MAX_ERROR)).await?)
    }

    /// Collects garbage: given all runs of a hub's database, listed after `started_at`, the bucket deletes what none of them refers to.
    ///
    /// # Errors
    /// The bucket serves another database, cannot be reached, or cannot delete.
    pub async fn collect(&self, started_at: Timestamp, collection: &Collection) -> Result<Collected, ClientError> {
        let body = encode(collection)?;
        let path = format!("/v1/collections?begun={}", started_at.0);
        let request = request(Method::POST, path, MAX_ERROR);
        let request = Request { content_type: CONTENT_TYPE, body, timeout: LONG_REQUEST_TIMEOUT, ..request };
        decode(&self.connection.send_ok(&request).await?)
    }

    /// Sends a request and returns `None` if what it names does not exist.
    async fn send_optional(&self, request: &Request) -> Result<Option<Reply>, ClientError> {
        let reply = self.connection.send(request).await?;
        if is_not_found(&reply) { Ok(None) } else { expect_success(reply).map(Some) }
    }
}

/// Whether the bucket has no such value. A server without the route is no bucket.
fn is_not_found(reply: &Reply) -> bool {
    reply.status == StatusCode::NOT_FOUND && !is_no_such_route(reply)
}

/// Reads a part of a value. An empty value is returned as a whole, which has no range.
fn key_part(reply: Reply) -> Result<KeyPart, ClientError> {
    let text = |name| reply.headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::to_owned);
    let length = match text(header::CONTENT_RANGE) {
        Some(range) => range.rsplit_once('/').and_then(|(_, length)| length.parse().ok()),
        None => Some(reply.body.len() as u64),
    };
    let missing = || reply.endpoint.unexpected_server("it does not say of which value it has sent a part".to_owned());
    let (Some(length), Some(version)) = (length, text(header::ETAG)) else { return Err(missing()) };
    Ok(KeyPart { bytes: reply.body, length, version })
}

fn expiry_query(separator: &str, expires_s: Option<u64>) -> String {
    expires_s.map_or_else(String::new, |seconds| format!("{separator}expires_s={seconds}"))
}

/// Returns a request that finds an address that answers, before something is sent that can be sent only once.
fn probe() -> Request {
    request(Method::GET, "/healthz".to_owned(), MAX_ERROR)
}

async fn read_chunk(source: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Bytes> {
    let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
    source.read_buf(&mut chunk).await?;
    Ok(chunk.freeze())
}

/// Returns a request without a body.
fn request(method: Method, path: String, max_reply: usize) -> Request {
    Request::without_body(method, path, REQUEST_TIMEOUT, max_reply)
}

fn hash_of(content: &[u8]) -> BlobHash {
    BlobHash(*blake3::hash(content).as_bytes())
}

fn blob_path(hash: &BlobHash) -> String {
    format!("/v1/blobs/{hash}")
}

/// Returns the path of a key. Any text is one path, and the bucket decides whether it is a valid key.
fn key_path(key: &str) -> String {
    format!("/v1/keys/{}", percent_encoded(key, PATH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_becomes_one_path() {
        assert_eq!(key_path("a/b-c_1.txt"), "/v1/keys/a/b-c_1.txt");
        assert_eq!(key_path("a b?é#%"), "/v1/keys/a%20b%3F%C3%A9%23%25");
    }
}
