//! The bucket as steps use it: blobs of compiled steps, which are kept for as long as the run exists, and named values, which people and
//! other runs share.

use std::sync::Arc;

use bue_client::{BucketClient, ClientError};
use bue_model::{BlobHash, RunId, UploadId};
use bue_runtime::{Bucket, BucketFuture, Limits, ValuePart};
use bytes::Bytes;

/// The bucket, as the steps of a run use it.
#[derive(Debug)]
struct StepBucket {
    bucket: Arc<BucketClient>,
    run: RunId,
    /// The size in bytes of the largest blob that a step may read.
    max: usize,
}

/// Returns the bucket of a run's steps. Each blob is no larger than a result may be.
pub(crate) fn for_run(bucket: &Arc<BucketClient>, run: RunId, limits: &Limits) -> Arc<dyn Bucket> {
    let max = usize::try_from(limits.result_bytes).unwrap_or(usize::MAX);
    Arc::new(StepBucket { bucket: Arc::clone(bucket), run, max })
}

impl StepBucket {
    /// Makes a request about a value. `what` could not be done if it fails.
    fn request<T, F>(&self, what: String, request: impl FnOnce(Arc<BucketClient>) -> F) -> BucketFuture<T>
    where
        F: Future<Output = Result<T, ClientError>> + Send + 'static,
    {
        let answer = request(Arc::clone(&self.bucket));
        Box::pin(async move { answer.await.map_err(|error| format!("{what}: {error}")) })
    }
}

impl Bucket for StepBucket {
    fn put_blob(&self, bytes: Bytes) -> BucketFuture<BlobHash> {
        let run = self.run;
        self.request("the blob could not be stored".to_owned(), move |bucket| async move {
            bucket.put(run, bytes).await.map(|blob| blob.hash)
        })
    }

    fn get_blob(&self, hash: BlobHash) -> BucketFuture<Bytes> {
        let (bucket, max) = (Arc::clone(&self.bucket), self.max);
        Box::pin(async move {
            let blob = bucket.get_by_hash(hash, max).await;
            let blob = blob.map_err(|error| format!("the blob could not be read: {error}"))?;
            blob.ok_or_else(|| format!("there is no blob {hash} in the bucket"))
        })
    }

    fn read_value(
        &self,
        name: String,
        offset: u64,
        max: u32,
        version: Option<String>,
    ) -> BucketFuture<Option<ValuePart>> {
        self.request(format!("`{name}` could not be read"), move |bucket| async move {
            let part = bucket.get_key_part(&name, offset, max, version.as_deref()).await?;
            Ok(part.map(|part| ValuePart { bytes: part.bytes, length: part.length, version: part.version }))
        })
    }

    fn store_value(&self, name: String, bytes: Bytes, expires_s: Option<u64>) -> BucketFuture<()> {
        self.request(not_stored(&name), move |bucket| async move { bucket.put_key(&name, bytes, expires_s).await })
    }

    fn begin_upload(&self) -> BucketFuture<UploadId> {
        self.request(
            "an upload could not be started".to_owned(),
            move |bucket| async move { bucket.start_upload().await },
        )
    }

    fn store_part(&self, upload: UploadId, part: u32, bytes: Bytes) -> BucketFuture<()> {
        self.request("a part of the value could not be stored".to_owned(), move |bucket| async move {
            bucket.put_part(upload, part, bytes).await
        })
    }

    fn store_upload(&self, upload: UploadId, parts: u32, name: String, expires_s: Option<u64>) -> BucketFuture<()> {
        self.request(not_stored(&name), move |bucket| async move {
            bucket.put_key_from_parts(&name, upload, parts, expires_s).await
        })
    }

    fn delete_upload(&self, upload: UploadId, parts: u32) -> BucketFuture<()> {
        self.request("the parts could not be deleted".to_owned(), move |bucket| async move {
            bucket.delete_parts(upload, parts).await
        })
    }

    fn delete_value(&self, name: String) -> BucketFuture<()> {
        self.request(format!("`{name}` could not be deleted"), move |bucket| async move {
            bucket.delete_key(&name).await.map(drop)
        })
    }
}

fn not_stored(name: &str) -> String {
    format!("`{name}` could not be stored")
}
