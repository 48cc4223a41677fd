//! [`BucketClient`]: one method a route of the bucket.

use std::time::Duration;

use bue_model::wire::{CONTENT_TYPE, Collected, Collection};
use bue_model::{BlobHash, BlobRef, RunId, Timestamp};
use bytes::{Bytes, BytesMut};
use futures_util::stream::unfold;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::connection::{Ask, Connection, Download, Repeat, Reply};
use crate::wire::{decode, encode, expect_success};
use crate::{ClientError, Dial, Trust};

/// Time until the bucket's answer begins; a large blob has been written to its disk by then.
const PATIENCE: Duration = Duration::from_secs(120);
/// Bytes of an error's text.
const ERROR_LIMIT: usize = 64 * 1024;
/// Time until a value is stored that somebody types, or that another program makes; a bucket that is gone is noticed before.
const LONG_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes sent at a time.
const PIECE: usize = 64 * 1024;
/// Type of blobs and of values under keys.
const OCTETS: &str = "application/octet-stream";

/// Blobs by their hash, and values under names. Everything may be done twice, so everything is repeated for about two
/// seconds when the bucket restarts.
#[derive(Debug)]
pub struct BucketClient {
    connection: Connection,
}

impl BucketClient {
    /// Connects to nothing yet. The address is `host:port`, `http://host:port` or `https://host:port`.
    ///
    /// # Errors
    /// An address that cannot be one.
    pub fn new(address: &str) -> Result<Self, ClientError> {
        Ok(Self { connection: Connection::new("bucket", &[address.to_owned()], Dial::tcp())? })
    }

    /// The same, showing this token with every request.
    ///
    /// # Errors
    /// A token that cannot travel.
    pub fn with_token(self, token: &str) -> Result<Self, ClientError> {
        Ok(Self { connection: self.connection.with_token(token)? })
    }

    /// The same, believing and showing over TLS what these files say.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn with_trust(self, trust: Trust) -> Result<Self, ClientError> {
        Ok(Self { connection: self.connection.with_trust(trust)? })
    }

    /// Where it is, as `host:port`: one address.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        self.connection.addresses()
    }

    /// Whether the bucket is there, whoever asks.
    ///
    /// # Errors
    /// It cannot be reached, or is no bucket.
    pub async fn ping(&self) -> Result<(), ClientError> {
        self.expect(&probe()).await.map(drop)
    }

    /// Stores a blob under its hash, for as long as the run exists.
    ///
    /// # Errors
    /// The bucket cannot be reached or cannot store it.
    pub async fn put(&self, run: RunId, content: Bytes) -> Result<BlobRef, ClientError> {
        let blob = BlobRef { hash: hash_of(&content), len: content.len() as u64 };
        let path = format!("{}?run={run}", blob_path(&blob.hash));
        let ask = Ask { content_type: OCTETS, body: content, ..ask(Method::PUT, path, ERROR_LIMIT) };
        self.expect(&ask).await?;
        Ok(blob)
    }

    /// A blob's bytes, checked against its hash. Holds all of them in memory: at most `blob.len`.
    ///
    /// # Errors
    /// There is no such blob, it is damaged, or the bucket cannot be reached.
    pub async fn get(&self, blob: &BlobRef) -> Result<Bytes, ClientError> {
        let limit = usize::try_from(blob.len).unwrap_or(usize::MAX).max(ERROR_LIMIT);
        let reply = self.expect(&ask(Method::GET, blob_path(&blob.hash), limit)).await?;
        match reply.body.len() as u64 == blob.len && hash_of(&reply.body) == blob.hash {
            true => Ok(reply.body),
            false => Err(ClientError::Damaged { hash: blob.hash }),
        }
    }

    /// The bytes of a name, of at most `most` bytes, checked against it; `None` where there is no such blob.
    ///
    /// # Errors
    /// It is longer or damaged, or the bucket cannot be reached.
    pub async fn find(&self, hash: BlobHash, most: usize) -> Result<Option<Bytes>, ClientError> {
        let reply = self.expect_or_absent(&ask(Method::GET, blob_path(&hash), most.max(ERROR_LIMIT))).await?;
        match reply {
            Some(reply) if hash_of(&reply.body) != hash => Err(ClientError::Damaged { hash }),
            reply => Ok(reply.map(|reply| reply.body)),
        }
    }

    /// Whether a blob is there. If it is, it stays for as long as the run exists.
    ///
    /// # Errors
    /// The bucket cannot be reached.
    pub async fn has(&self, run: RunId, hash: &BlobHash) -> Result<bool, ClientError> {
        let path = format!("{}?run={run}", blob_path(hash));
        Ok(self.expect_or_absent(&ask(Method::HEAD, path, ERROR_LIMIT)).await?.is_some())
    }

    /// Stores a value under a name, in place of an older one, as it is read from somewhere: it may have any length up to
    /// 64 GiB. It ends so many seconds from now, or never. What can be read once is sent once: a bucket that goes away
    /// meanwhile is an error.
    ///
    /// # Errors
    /// The bucket refuses the name or the time, cannot be reached or cannot store it, or `source` cannot be read.
    pub async fn set_key(
        &self,
        key: &str,
        source: impl AsyncRead + Send + Unpin + 'static,
        expires_s: Option<u64>,
    ) -> Result<(), ClientError> {
        // a name that is none, and a token that is not known, are refused before anything is sent
        self.get_key(key).await.map(drop)?;
        let pieces = unfold(source, |mut source| async move {
            match read_piece(&mut source).await {
                Ok(piece) if piece.is_empty() => None,
                piece => Some((piece.map(Frame::data), source)),
            }
        });
        let query = expires_s.map_or_else(String::new, |seconds| format!("?expires_s={seconds}"));
        let (body, path) = (StreamBody::new(pieces).boxed_unsync(), key_path(key) + &query);
        let ask = Ask { content_type: OCTETS, patience: LONG_PATIENCE, ..ask(Method::PUT, path, ERROR_LIMIT) };
        expect_success(self.connection.send_once(&probe(), &ask, body).await?).map(drop)
    }

    /// The value under a name, to be read as it comes; `None` where there is none.
    ///
    /// # Errors
    /// The bucket refuses the name or cannot be reached.
    pub async fn get_key(&self, key: &str) -> Result<Option<Download<'_>>, ClientError> {
        match self.connection.open(&probe(), &ask(Method::GET, key_path(key), ERROR_LIMIT)).await? {
            Ok(download) => Ok(Some(download)),
            Err(reply) if is_missing(&reply) => Ok(None),
            Err(reply) => Err(expect_success(reply).err().unwrap_or(ClientError::Token)),
        }
    }

    /// Takes a name away; whether it was there.
    ///
    /// # Errors
    /// The bucket refuses the name or cannot be reached.
    pub async fn delete_key(&self, key: &str) -> Result<bool, ClientError> {
        Ok(self.expect_or_absent(&ask(Method::DELETE, key_path(key), ERROR_LIMIT)).await?.is_some())
    }

    /// The bucket's time, to be asked for before the hub's runs are listed.
    ///
    /// # Errors
    /// The bucket cannot be reached.
    pub async fn begin_collection(&self) -> Result<Timestamp, ClientError> {
        decode(&self.expect(&ask(Method::GET, "/v1/collections".to_owned(), ERROR_LIMIT)).await?)
    }

    /// Tells the bucket all runs of a hub's database, listed after `begun`, so that it throws away what none of them refers to.
    ///
    /// # Errors
    /// The bucket serves another database, cannot be reached, or cannot throw things away.
    pub async fn collect(&self, begun: Timestamp, collection: &Collection) -> Result<Collected, ClientError> {
        let body = encode(collection)?;
        let path = format!("/v1/collections?begun={}", begun.0);
        let ask =
            Ask { content_type: CONTENT_TYPE, body, patience: LONG_PATIENCE, ..ask(Method::POST, path, ERROR_LIMIT) };
        decode(&self.expect(&ask).await?)
    }

    async fn expect(&self, ask: &Ask) -> Result<Reply, ClientError> {
        expect_success(self.connection.send(ask).await?)
    }

    async fn expect_or_absent(&self, ask: &Ask) -> Result<Option<Reply>, ClientError> {
        let reply = self.connection.send(ask).await?;
        if is_missing(&reply) { Ok(None) } else { expect_success(reply).map(Some) }
    }
}

fn is_missing(reply: &Reply) -> bool {
    reply.status == StatusCode::NOT_FOUND
}

/// Finds out which address answers, before something is sent that can be sent once.
fn probe() -> Ask {
    ask(Method::GET, "/healthz".to_owned(), ERROR_LIMIT)
}

async fn read_piece(source: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Bytes> {
    let mut piece = BytesMut::with_capacity(PIECE);
    source.read_buf(&mut piece).await?;
    Ok(piece.freeze())
}

fn ask(method: Method, path: String, limit: usize) -> Ask {
    Ask { method, path, content_type: "", body: Bytes::new(), repeat: Repeat::Always, patience: PATIENCE, limit }
}

fn hash_of(content: &[u8]) -> BlobHash {
    BlobHash(*blake3::hash(content).as_bytes())
}

fn blob_path(hash: &BlobHash) -> String {
    format!("/v1/blobs/{hash}")
}

/// Everything but letters, digits, `-`, `_`, `.` and the `/` between parts travels as `%` and two digits, so any text is
/// one path and the bucket decides whether it is a name.
fn key_path(key: &str) -> String {
    let mut path = String::from("/v1/keys/");
    for byte in key.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => path.push(char::from(byte)),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_is_one_path() {
        assert_eq!(key_path("a/b-c_1.txt"), "/v1/keys/a/b-c_1.txt");
        assert_eq!(key_path("a b?é#%"), "/v1/keys/a%20b%3F%C3%A9%23%25");
    }
}
