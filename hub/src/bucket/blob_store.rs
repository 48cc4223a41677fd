//! [`BlobStore`]: bytes by their hash, and values by their key.
//!
//! ```text
//! blobs/a7/a7c3…        a blob, named by the BLAKE3 hash of its bytes
//! refs/a7/a7c3…_0190…   a reference: this run needs that blob
//! names/7265…-          in S3: the name of a value, as hexadecimal digits; in a folder, the names are in `names.db`
//! keys/5e/5e01…         a value, named by the BLAKE3 hash of its key; its first eight bytes are the time it expires. Parts of
//!                       uploads are such values too, under keys that no client can name
//! expiring/…_5e01…      an entry for each value that expires, ordered by time
//! owner                 the id of the database whose runs the references name
//! ready                 written to check that the store is writable
//! part/17               in a folder: a file that is still being written
//! ```
//! They are in a [`BlobBackend`]: a folder or an S3 store. Names consist of hashes and numbers, never of text that a client
//! sent, so no name can point outside the backend's root.
//!
//! # What is collected when
//! A blob is kept as long as a run of the hub needs it. Before a client names a blob to the hub for a run, it uploads the blob
//! or asks for it in the run's name, which writes a reference. A [collection](BlobStore::collect) receives all runs that the
//! hub has. It deletes references of other runs that are older than the grace period, because the hub does not know a run yet
//! whose submission is still uploading; then it deletes blobs older than the grace period without a reference. It works on one
//! shard (the first byte of the hash) at a time and locks it exclusively; references are written and uploads are finished
//! under the same lock, shared. So a blob that was reported as present either has a reference that the collection saw, or was
//! asked for after the collection had passed. `docs/reliability.md` has the whole argument.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bue_model::{BlobHash, RunId, Timestamp, UploadId};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::{StreamExt, once};
use tokio::sync::{Mutex, Notify, RwLock};

use super::blob_backend::{BlobBackend, Upload};
use super::folder::Folder;
use super::object::Object;
use super::object_name::{self, Key};
use super::s3::S3;
use crate::durability::Durability;
use crate::error::HubError;

/// How long unreferenced objects are kept. Between the upload of a run's first blob and its submission lies the upload of all
/// others.
const GRACE_PERIOD: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes of a key's expiry time, in front of its value.
const EXPIRY_BYTES: usize = 8;
/// The expiry time of a value that does not expire.
pub(super) const NEVER: Timestamp = Timestamp(i64::MAX);

/// Blobs and keys in a folder or in an S3 store. Only one process at a time may serve it.
#[derive(Clone, Debug)]
pub struct BlobStore {
    pub(super) backend: BlobBackend,
    pub(super) grace_period: Duration,
    pub(super) shards: Arc<[RwLock<()>; 256]>,
    /// Only one collection runs at a time.
    pub(super) collecting: Arc<Mutex<()>>,
    /// Notified when a key with an expiry time is stored.
    pub(super) expiry_set: Arc<Notify>,
}

impl BlobStore {
    /// Opens a folder and creates it if it does not exist. Removes uploads that an earlier process left unfinished.
    ///
    /// # Errors
    /// The folder cannot be created or read, or another process serves it.
    pub fn open(root: &Path, durability: Durability) -> Result<Self, HubError> {
        Ok(Self::new(BlobBackend::Folder(Arc::new(Folder::open(root, durability)?))))
    }

    /// A store on S3 or a compatible server: `BUCKET/FOLDER`, or `http(s)://HOST:PORT/BUCKET/FOLDER`. `variables` are the
    /// environment variables that begin with `AWS_`, for credentials, region and endpoint. Sends no request yet.
    ///
    /// # Errors
    /// The location or a variable is invalid.
    pub fn s3(location: &str, variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, HubError> {
        Ok(Self::new(BlobBackend::S3(S3::open(location, variables.into_iter())?)))
    }

    /// Sets how long unreferenced objects are kept. Uploading a run must not take longer.
    #[must_use]
    pub fn with_grace_period(self, grace_period: Duration) -> Self {
        Self { grace_period, ..self }
    }

    fn new(backend: BlobBackend) -> Self {
        let shards = Arc::new(std::array::from_fn(|_| RwLock::default()));
        Self { backend, grace_period: GRACE_PERIOD, shards, collecting: Arc::default(), expiry_set: Arc::default() }
    }

    /// Checks that the store is writable by writing a small object.
    ///
    /// # Errors
    /// The disk is full, read-only or gone; or the S3 store does not answer or refuses the request.
    pub async fn check(&self) -> Result<(), HubError> {
        let mut upload = self.backend.upload(object_name::READY).await?;
        upload.write(b"ready").await?;
        upload.finish().await
    }

    /// Returns a blob; `None` if it does not exist.
    pub(crate) async fn blob(&self, hash: &BlobHash) -> Result<Option<Object>, HubError> {
        self.backend.open(&object_name::blob(hash)).await
    }

    /// Returns a blob's length in bytes; `None` if it does not exist. With a run, also writes the run's reference, which keeps
    /// the blob from now on. A blob that does not exist gets none: each would be a file, for a request without a body.
    pub(crate) async fn reference_blob(&self, hash: &BlobHash, run: Option<RunId>) -> Result<Option<u64>, HubError> {
        let _shared = self.shard(hash).read().await;
        let length = self.backend.length(&object_name::blob(hash)).await?;
        if let (Some(_), Some(run)) = (length, run) {
            self.backend.touch(&object_name::reference(hash, run)).await?;
        }
        Ok(length)
    }

    /// Starts to write a blob.
    pub(crate) async fn upload_blob(&self, hash: &BlobHash) -> Result<Upload, HubError> {
        self.backend.upload(&object_name::blob(hash)).await
    }

    /// Makes an uploaded blob visible if its bytes have the expected hash, else discards it. With a run, first writes the run's
    /// reference.
    pub(crate) async fn finish_blob(
        &self,
        upload: Upload,
        expected: &BlobHash,
        run: Option<RunId>,
    ) -> Result<(), HubError> {
        let actual = BlobHash(*upload.hash().as_bytes());
        if actual != *expected {
            upload.abort().await;
            return Err(HubError::WrongHash { expected: *expected, actual });
        }
        let _shared = self.shard(expected).read().await;
        if let Some(run) = run {
            self.backend.touch(&object_name::reference(expected, run)).await?;
        }
        upload.finish().await
    }

    /// Returns the value of a key; `None` if it does not exist or has expired.
    pub(crate) async fn key(&self, now: Timestamp, key: &Key) -> Result<Option<Object>, HubError> {
        Ok(self.value(&key.hash).await?.filter(|value| value.expires_at > now).map(|value| value.object))
    }

    /// Returns a range of a key's value, which ends where the value ends; `None` if the key does not exist or has expired. The
    /// version is the same for all ranges of one value.
    pub(crate) async fn key_range(
        &self,
        now: Timestamp,
        key: &Key,
        range: Range<u64>,
    ) -> Result<Option<Object>, HubError> {
        let name = object_name::key(&key.hash);
        // the value may be replaced in between
        loop {
            let Some(StoredValue { expires_at, object }) = self.value_head(&key.hash).await? else { return Ok(None) };
            if expires_at <= now {
                return Ok(None);
            }
            let start = range.start.min(object.length) + EXPIRY_BYTES as u64;
            let end = range.end.min(object.length) + EXPIRY_BYTES as u64;
            if start >= end {
                return Ok(Some(object));
            }
            match self.backend.open_range(&name, start..end).await? {
                Some(Object { version, pieces, .. }) if version == object.version => {
                    return Ok(Some(Object { length: object.length, version, pieces }));
                }
                _ => {}
            }
        }
    }

    /// Makes the first `parts` parts of an upload the value of a key. Replaces an older one. Returns false if a part is missing.
    pub(crate) async fn join_parts(
        &self,
        now: Timestamp,
        (upload, parts): (UploadId, u32),
        key: &Key,
        expires_at: Option<Timestamp>,
        max: u64,
    ) -> Result<bool, HubError> {
        let (mut value, mut length) = (self.upload_key(key, expires_at).await?, 0_u64);
        for part in 0..parts {
            let Some(mut object) = self.key(now, &Key::part(upload, part)).await? else {
                value.abort().await;
                return Ok(false);
            };
            length = length.saturating_add(object.length);
            if length > max {
                value.abort().await;
                return Err(HubError::BadRequest(format!("the parts have more than {max} bytes")));
            }
            while let Some(piece) = object.pieces.next().await {
                let what = || object_name::key(&Key::part(upload, part).hash).into();
                value.write(&piece.map_err(|source| HubError::Disk { what: what(), source })?).await?;
            }
        }
        self.finish_key(value, key, expires_at).await?;
        Ok(true)
    }

    /// Deletes the first `parts` parts of an upload, if they exist.
    pub(crate) async fn delete_parts(&self, upload: UploadId, parts: u32) -> Result<(), HubError> {
        for part in 0..parts {
            self.backend.delete(&object_name::key(&Key::part(upload, part).hash)).await?;
        }
        Ok(())
    }

    /// Starts to write a key's value, which expires at a time or never.
    pub(crate) async fn upload_key(&self, key: &Key, expires_at: Option<Timestamp>) -> Result<Upload, HubError> {
        let mut upload = self.backend.upload(&object_name::key(&key.hash)).await?;
        upload.write(&expires_at.unwrap_or(NEVER).0.to_be_bytes()).await?;
        Ok(upload)
    }

    /// Makes an uploaded value visible under its key. Replaces an older one.
    pub(crate) async fn finish_key(
        &self,
        upload: Upload,
        key: &Key,
        expires_at: Option<Timestamp>,
    ) -> Result<(), HubError> {
        let _shared = self.shard(&key.hash).read().await;
        if let Some(at) = expires_at {
            // written first, so that there is never a value that would not be expired
            self.backend.touch(&object_name::expiry(at, &key.hash)).await?;
        }
        if let Some(name) = &key.name {
            // written first, so that there is never a value that would not be listed
            self.backend.add_name(name).await?;
        }
        upload.finish().await?;
        if expires_at.is_some() {
            self.expiry_set.notify_one();
        }
        Ok(())
    }

    /// Deletes a key. Returns false if it did not exist.
    pub(crate) async fn delete_key(&self, now: Timestamp, key: &Key) -> Result<bool, HubError> {
        // alone: the name of a value that is stored meanwhile would be removed
        let _exclusive = self.shard(&key.hash).write().await;
        let existed = self.key(now, key).await?.is_some();
        self.backend.delete(&object_name::key(&key.hash)).await?;
        // a list removes the name of a value that has expired
        if let Some(name) = key.name.as_ref().filter(|_| existed) {
            self.backend.remove_name(name).await?;
        }
        Ok(existed)
    }

    /// Reads a key's expiry time and opens its value.
    pub(super) async fn value(&self, key: &BlobHash) -> Result<Option<StoredValue>, HubError> {
        let name = object_name::key(key);
        match self.backend.open(&name).await? {
            Some(object) => strip_expiry(&name, object).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads a key's expiry time, without its value.
    pub(super) async fn value_head(&self, key: &BlobHash) -> Result<Option<StoredValue>, HubError> {
        let name = object_name::key(key);
        match self.backend.open_range(&name, 0..EXPIRY_BYTES as u64).await? {
            Some(object) => strip_expiry(&name, object).await.map(Some),
            None => Ok(None),
        }
    }

    /// The lock of all blobs and keys whose hash begins with the same byte. Writers share it, a collection holds it alone.
    #[expect(clippy::indexing_slicing, reason = "there is one shard for each of the 256 values of a byte")]
    pub(super) fn shard(&self, hash: &BlobHash) -> &RwLock<()> {
        &self.shards[usize::from(hash.0[0])]
    }
}

/// Reads the expiry time in front of a value.
async fn strip_expiry(name: &str, object: Object) -> Result<StoredValue, HubError> {
    let Object { length, version, mut pieces } = object;
    let mut head = BytesMut::new();
    while head.len() < EXPIRY_BYTES {
        let piece = pieces.next().await.ok_or_else(|| HubError::damaged("a key's value has no expiry time"))?;
        head.extend_from_slice(&piece.map_err(|source| HubError::Disk { what: name.into(), source })?);
    }
    let expires_at = Timestamp(head.get_i64());
    let first_piece: Bytes = head.freeze();
    let pieces = once(async { Ok(first_piece) }).chain(pieces).boxed();
    Ok(StoredValue {
        expires_at,
        object: Object { length: length.saturating_sub(EXPIRY_BYTES as u64), version, pieces },
    })
}

/// A key's value as it is stored.
pub(super) struct StoredValue {
    pub(super) expires_at: Timestamp,
    object: Object,
}

impl StoredValue {
    /// Returns the value's length in bytes.
    pub(super) const fn length(&self) -> u64 {
        self.object.length
    }
}
