//! [`BucketBundles`]: reads the code of steps from the bucket, for the tracebacks that a hub shows.

use bue_client::BucketClient;
use bue_hub::{BundleFuture, BundleReader};
use bue_model::BlobRef;

/// A bucket whose bundles a hub may show.
pub(crate) struct BucketBundles(pub(crate) BucketClient);

impl BundleReader for BucketBundles {
    fn read(&self, code: BlobRef) -> BundleFuture<'_> {
        Box::pin(async move { self.0.get(&code).await.map_err(|error| error.to_string()) })
    }
}
