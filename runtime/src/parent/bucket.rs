//! The bucket as steps use it: blobs of compiled steps, and named values. This crate knows no bucket: the worker provides one.

use core::fmt;

use bue_model::{BlobHash, UploadId};
use bytes::Bytes;

use crate::step::box_future::BoxFuture;

/// Resolves to what was asked for, or to the reason why not, in words for the author of the step.
pub type BucketFuture<T> = BoxFuture<Result<T, String>>;

/// A part of a named value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValuePart {
    /// Its bytes.
    pub bytes: Bytes,
    /// The length of the whole value in bytes.
    pub length: u64,
    /// Tells the value from all others that have had or will have this name.
    pub version: String,
}

/// What a step may do in the bucket. The caller has checked that it may.
pub trait Bucket: fmt::Debug + Send + Sync {
    /// Stores bytes and returns their hash.
    fn put_blob(&self, bytes: Bytes) -> BucketFuture<BlobHash>;

    /// Returns stored bytes.
    fn get_blob(&self, hash: BlobHash) -> BucketFuture<Bytes>;

    /// Returns at most `max` bytes of a named value, from `offset` on; `None` if there is none. Fails if a version is given and the
    /// name has another value by now.
    fn read_value(
        &self,
        name: String,
        offset: u64,
        max: u32,
        version: Option<String>,
    ) -> BucketFuture<Option<ValuePart>>;

    /// Stores a named value, which expires after so many seconds or never. Replaces an older one.
    fn store_value(&self, name: String, bytes: Bytes, expires_s: Option<u64>) -> BucketFuture<()>;

    /// Begins a value that is sent in parts.
    fn begin_upload(&self) -> BucketFuture<UploadId>;

    /// Stores a part of an upload. They are numbered from 0.
    fn store_part(&self, upload: UploadId, part: u32, bytes: Bytes) -> BucketFuture<()>;

    /// Stores the value that consists of the first `parts` parts of an upload, as [`store_value`](Self::store_value) does. The parts
    /// remain.
    fn store_upload(&self, upload: UploadId, parts: u32, name: String, expires_s: Option<u64>) -> BucketFuture<()>;

    /// Deletes the first `parts` parts of an upload.
    fn delete_upload(&self, upload: UploadId, parts: u32) -> BucketFuture<()>;

    /// Deletes a named value, if there is one.
    fn delete_value(&self, name: String) -> BucketFuture<()>;
}
