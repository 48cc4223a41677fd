//! Blobs that steps store and read themselves: in the bucket, beside values and code.

use std::sync::Arc;

use bue_client::BucketClient;
use bue_model::{BlobHash, RunId};
use bue_runtime::{BlobFuture, Blobs, Limits};
use bytes::Bytes;

/// The bucket, for the steps of a run.
#[derive(Debug)]
struct BucketBlobs {
    bucket: Arc<BucketClient>,
    run: RunId,
    /// Bytes of one blob that a step may read.
    most: usize,
}

/// The bucket, within what a step may give. Blobs stay for as long as the run exists.
pub(crate) fn of(bucket: &Arc<BucketClient>, run: RunId, limits: &Limits) -> Arc<dyn Blobs> {
    let most = usize::try_from(limits.result_bytes).unwrap_or(usize::MAX);
    Arc::new(BucketBlobs { bucket: Arc::clone(bucket), run, most })
}

impl Blobs for BucketBlobs {
    fn put(&self, bytes: Bytes) -> BlobFuture<BlobHash> {
        let (bucket, run) = (Arc::clone(&self.bucket), self.run);
        Box::pin(async move {
            let stored = bucket.put(run, bytes).await;
            stored.map(|blob| blob.hash).map_err(|error| format!("the blob could not be stored: {error}"))
        })
    }

    fn get(&self, hash: BlobHash) -> BlobFuture<Bytes> {
        let (bucket, most) = (Arc::clone(&self.bucket), self.most);
        Box::pin(async move {
            let found = bucket.find(hash, most).await;
            let found = found.map_err(|error| format!("the blob could not be read: {error}"))?;
            found.ok_or_else(|| format!("there is no blob {hash} in the bucket"))
        })
    }
}
