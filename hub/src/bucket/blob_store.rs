//! [`BlobStore`]: bytes by their hash, and values under names.
//!
//! ```text
//! blobs/a7/a7c3…        a blob, named by the BLAKE3 of its bytes
//! refs/a7/a7c3…_0190…   a run wants it
//! keys/5e/5e01…         a value, named by the BLAKE3 of its key; the first eight bytes say when it expires
//! expiring/…_5e01…      it does, at that time
//! owner                 the hub's database whose runs these are
//! ready                 what was written to see whether anything can be
//! part/17               in a folder: a file that is still being written
//! ```
//! They are on a [`Shelf`], which is a folder or an S3 store. No name is ever made of what a client sent, only of
//! hashes, so none leads out of it.
//!
//! # What is collected when
//! A blob is there for as long as a run of the hub wants it. Whoever is about to hand its name to the hub for a run first has it
//! put or asked for in the run's name, which writes a reference. A [collection](BlobStore::collect) is told all runs that the hub
//! has. It drops references of other runs that are older than the grace, because a run that nobody has handed in yet is not known
//! to the hub either; and then blobs older than that without a reference. It does so for one shard (the first byte of the hash) at a
//! time and alone there: references are written and uploads are completed under the same lock. So what is answered as being
//! there has a reference that the collection saw, or was collected before the question. `docs/reliability.md` has the argument.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bue_model::{BlobHash, RunId, Timestamp};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream::{StreamExt, once};
use tokio::sync::{Mutex, Notify, RwLock};

use super::backend::{Object, Shelf, Upload};
use super::folder::Folder;
use super::name::{self, Key};
use super::s3::S3;
use crate::durability::Durability;
use crate::error::HubError;

/// How long what nobody refers to is kept. Between the upload of a run's first blob and the hub's taking of the run lies the
/// upload of all others.
const GRACE: Duration = Duration::from_secs(24 * 60 * 60);
/// Bytes in front of a key's value.
const HEADER: usize = 8;
/// What stands there for a value that stays.
const NEVER: Timestamp = Timestamp(i64::MAX);

/// Blobs and keys in a folder or in an S3 store. One process at a time may serve it.
#[derive(Clone, Debug)]
pub struct BlobStore {
    pub(super) shelf: Shelf,
    pub(super) grace: Duration,
    pub(super) shards: Arc<[RwLock<()>; 256]>,
    /// One collection at a time.
    pub(super) collecting: Arc<Mutex<()>>,
    /// A key was given a time to end.
    pub(super) expiry_set: Arc<Notify>,
}

impl BlobStore {
    /// Opens a folder, made if missing. What was half written when an earlier process ended is thrown away.
    ///
    /// # Errors
    /// The folder cannot be made or read, or another process serves it.
    pub fn open(root: &Path, durability: Durability) -> Result<Self, HubError> {
        Ok(Self::on(Shelf::Folder(Arc::new(Folder::open(root, durability)?))))
    }

    /// A store on S3, or on what speaks like it: `BUCKET/FOLDER`, or `http(s)://HOST:PORT/BUCKET/FOLDER`. `variables` are those
    /// whose names begin with `AWS_`, for credentials, region and endpoint. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// A place that cannot be one, or variables that make no sense.
    pub fn s3(place: &str, variables: impl IntoIterator<Item = (String, String)>) -> Result<Self, HubError> {
        Ok(Self::on(Shelf::S3(S3::open(place, variables.into_iter())?)))
    }

    /// The same, keeping what nobody refers to for so long. The upload of a run must not take longer.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    fn on(shelf: Shelf) -> Self {
        let shards = Arc::new(std::array::from_fn(|_| RwLock::default()));
        Self { shelf, grace: GRACE, shards, collecting: Arc::default(), expiry_set: Arc::default() }
    }

    /// Whether anything can be stored: writes a small object, in place of the one before.
    ///
    /// # Errors
    /// The disk is full, read-only or gone; the store does not answer, or lets us not write.
    pub async fn check(&self) -> Result<(), HubError> {
        let mut upload = self.shelf.upload(name::READY).await?;
        upload.write(b"ready").await?;
        upload.keep().await
    }

    /// A blob; `None` where there is none.
    pub(crate) async fn blob(&self, hash: &BlobHash) -> Result<Option<Object>, HubError> {
        self.shelf.open(&name::blob(hash)).await
    }

    /// A blob's length. With a run, the blob is kept for it from now on, if it is there.
    pub(crate) async fn want_blob(&self, hash: &BlobHash, run: Option<RunId>) -> Result<Option<u64>, HubError> {
        let _quiet = self.shard(hash).read().await;
        if let Some(run) = run {
            self.shelf.mark(&name::reference(hash, run)).await?;
        }
        self.shelf.length(&name::blob(hash)).await
    }

    /// Begins to write a blob.
    pub(crate) async fn upload_blob(&self, hash: &BlobHash) -> Result<Upload, HubError> {
        self.shelf.upload(&name::blob(hash)).await
    }

    /// Keeps what was written, if its bytes are what the name says.
    pub(crate) async fn keep_blob(&self, upload: Upload, expected: &BlobHash) -> Result<(), HubError> {
        let actual = BlobHash(*upload.hash().as_bytes());
        if actual != *expected {
            upload.discard().await;
            return Err(HubError::WrongHash { expected: *expected, actual });
        }
        let _quiet = self.shard(expected).read().await;
        upload.keep().await
    }

    /// The value of a key; `None` where there is none, or its time is over.
    pub(crate) async fn key(&self, now: Timestamp, key: &Key) -> Result<Option<Object>, HubError> {
        Ok(self.value(&key.0).await?.filter(|(expires, _)| *expires > now).map(|(_, object)| object))
    }

    /// Begins to write a key's value, which ends at a time or never.
    pub(crate) async fn upload_key(&self, key: &Key, expires: Option<Timestamp>) -> Result<Upload, HubError> {
        let mut upload = self.shelf.upload(&name::key(&key.0)).await?;
        upload.write(&expires.unwrap_or(NEVER).0.to_be_bytes()).await?;
        Ok(upload)
    }

    /// Keeps what was written as the value of the key, in place of an older one.
    pub(crate) async fn keep_key(&self, upload: Upload, key: &Key, expires: Option<Timestamp>) -> Result<(), HubError> {
        let _quiet = self.shard(&key.0).read().await;
        if let Some(at) = expires {
            // first, so that no value is there that nobody would collect
            self.shelf.mark(&name::expiry(at, &key.0)).await?;
        }
        upload.keep().await?;
        if expires.is_some() {
            self.expiry_set.notify_one();
        }
        Ok(())
    }

    /// Takes a key away; whether it was there.
    pub(crate) async fn delete_key(&self, now: Timestamp, key: &Key) -> Result<bool, HubError> {
        let was_there = self.key(now, key).await?.is_some();
        self.shelf.delete(&name::key(&key.0)).await?;
        Ok(was_there)
    }

    /// What is under a key, and when it expires.
    pub(super) async fn value(&self, key: &BlobHash) -> Result<Option<(Timestamp, Object)>, HubError> {
        let Some(Object { length, mut pieces }) = self.shelf.open(&name::key(key)).await? else { return Ok(None) };
        let mut head = BytesMut::new();
        while head.len() < HEADER {
            let piece = pieces.next().await.ok_or_else(|| HubError::damaged("a key's value has no beginning"))?;
            head.extend_from_slice(&piece.map_err(|source| HubError::Disk { what: name::key(key).into(), source })?);
        }
        let expires = Timestamp(head.get_i64());
        let rest: Bytes = head.freeze();
        let pieces = once(async { Ok(rest) }).chain(pieces).boxed();
        Ok(Some((expires, Object { length: length.saturating_sub(HEADER as u64), pieces })))
    }

    /// The lock of all blobs and keys whose hash begins like this one. Whoever writes shares it, a collection has it alone.
    pub(super) fn shard(&self, hash: &BlobHash) -> &RwLock<()> {
        // a byte is below the number of shards
        &self.shards[usize::from(hash.0[0])]
    }
}
