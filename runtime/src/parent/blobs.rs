//! Where blobs of steps are stored. This crate knows no bucket: the worker provides one.

use core::fmt;

use bue_model::BlobHash;
use bytes::Bytes;

use crate::step::box_future::BoxFuture;

/// Resolves to a blob's bytes or hash, or to the reason why not, in words for the author of the step.
pub type BlobFuture<T> = BoxFuture<Result<T, String>>;

/// Stores bytes under their hash.
pub trait Blobs: fmt::Debug + Send + Sync {
    /// Stores bytes and returns their hash.
    fn put(&self, bytes: Bytes) -> BlobFuture<BlobHash>;

    /// Returns stored bytes.
    fn get(&self, hash: BlobHash) -> BlobFuture<Bytes>;
}
