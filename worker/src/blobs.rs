//! The blobs that steps store and read: in the bucket, beside values and code.

use std::sync::Arc;

use bue_client::BucketClient;
use bue_model::{BlobHash, RunId};
use bue_runtime::{BlobFuture, Blobs, Limits};
use bytes::Bytes;

/// The bucket, as the steps of a run use it.
#[derive(Debug)]
struct BucketBlobs {
    bucket: Arc<BucketClient>,
    run: RunId,
    /// The size in bytes of the largest blob that a step may read.
    max: usize,
}

/// Returns the blobs of a run, each no larger than a result may be. They are kept for as long as the run exists.
pub(crate) fn for_run(bucket: &Arc<BucketClient>, run: RunId, limits: &Limits) -> Arc<dyn Blobs> {
    let max = usize::try_from(limits.result_bytes).unwrap_or(usize::MAX);
    Arc::new(BucketBlobs { bucket: Arc::clone(bucket), run, max })
}

impl Blobs for BucketBlobs {
    fn put(&self, bytes: Bytes) -> BlobFuture<BlobHash> {
        let (bucket, run) = (Arc::clone(&self.bucket), self.run);
        Box::pin(async move {
            let blob = bucket.put(run, bytes).await;
            blob.map(|blob| blob.hash).map_err(|error| format!("the blob could not be stored: {error}"))
        })
    }

    fn get(&self, hash: BlobHash) -> BlobFuture<Bytes> {
        let (bucket, max) = (Arc::clone(&self.bucket), self.max);
        Box::pin(async move {
            let blob = bucket.get_by_hash(hash, max).await;
            let blob = blob.map_err(|error| format!("the blob could not be read: {error}"))?;
            blob.ok_or_else(|| format!("there is no blob {hash} in the bucket"))
        })
    }
}
