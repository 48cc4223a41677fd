//! [`BundleReader`]: how a hub gets the code of steps for people who look at a traceback. The code is in the bucket, of which this crate
//! has no client.

use std::pin::Pin;

use bue_model::BlobRef;
use bytes::Bytes;

/// The bytes of a bundle, or why they are not there.
pub type BundleFuture<'a> = Pin<Box<dyn Future<Output = Result<Bytes, String>> + Send + 'a>>;

/// Reads bundles from the bucket.
pub trait BundleReader: Send + Sync {
    /// Returns the bytes of a [`Bundle`](bue_model::Bundle), whose hash they have.
    fn read(&self, code: BlobRef) -> BundleFuture<'_>;
}
