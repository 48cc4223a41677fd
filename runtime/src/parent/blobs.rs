//! Where blobs of steps are kept. This crate knows no bucket: whoever starts the hosts brings one.

use core::fmt;
use core::future::Future;
use core::pin::Pin;

use bue_model::BlobHash;
use bytes::Bytes;

/// A blob's bytes or name, later; or why not, in words for whoever wrote the step.
pub type Later<T> = Pin<Box<dyn Future<Output = Result<T, String>> + Send>>;

/// Keeps bytes under their hash.
pub trait Blobs: fmt::Debug + Send + Sync {
    /// Stores bytes.
    fn put(&self, bytes: Bytes) -> Later<BlobHash>;

    /// Stored bytes.
    fn get(&self, hash: BlobHash) -> Later<Bytes>;
}
