//! A shelf in an S3 store, or one that speaks like it, through `object_store`.
//!
//! Small objects are one request, larger ones are uploaded in parts while they arrive. An object appears when its upload is
//! completed; one that is broken off is aborted.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bue_model::Timestamp;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{BackoffConfig, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig, WriteMultipart};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use url::Url;

use super::backend::{Listed, Object};
use super::s3_client::Connector;
use crate::error::HubError;

/// Bytes of a part, of which S3 takes 10,000: 80 GiB. An upload has at most three of them in memory.
const PART: usize = 8 * 1024 * 1024;
/// Parts of an upload that are under way at a time.
const PARTS_AT_ONCE: usize = 2;
/// Bytes that any number of uploads may have in memory, each.
const SMALL: usize = 256 * 1024;
/// Uploads of more than that at a time; further ones are not read until one has ended. They have 192 MiB in all.
const LARGE_AT_ONCE: usize = 8;
/// How long a request is tried again while the store is away. Who waits for the bucket waits longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A bucket of S3, or a folder in one.
#[derive(Clone, Debug)]
pub(super) struct S3 {
    store: Arc<dyn ObjectStore>,
    /// In front of every name.
    prefix: Path,
    room: Arc<Semaphore>,
}

/// An upload. Aborted when dropped before it is kept.
pub(super) struct Multipart {
    store: Arc<dyn ObjectStore>,
    path: Path,
    upload: Upload,
    name: String,
    written: usize,
    room: Arc<Semaphore>,
    /// Among the large ones.
    place: Option<OwnedSemaphorePermit>,
}

enum Upload {
    /// All of it so far, less than a part.
    Small(Vec<u8>),
    /// The store is being told that parts will come. Whoever goes away meanwhile must not leave behind an upload that nobody
    /// knows of.
    Beginning(JoinHandle<object_store::Result<WriteMultipart>>),
    Large(WriteMultipart),
    Over,
}

impl S3 {
    /// `BUCKET/FOLDER`, `//BUCKET/FOLDER`, or `http(s)://HOST:PORT/BUCKET/FOLDER` of a store elsewhere. The variables are those
    /// whose names begin with `AWS_`: credentials, region, endpoint.
    pub(super) fn open(place: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Self, HubError> {
        // whatever stands before an `@` may be a secret
        let shown = place.rsplit_once('@').map_or(place, |(_, shown)| shown);
        let refuse = |why: String| HubError::BadRequest(format!("`s3:{shown}` is no store: {why}"));
        let mut builder = AmazonS3Builder::new();
        for (name, value) in variables {
            let key = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>();
            // what it does not know is meant for other programs
            builder = if let Ok(key) = key { builder.with_config(key, value) } else { builder };
        }
        let (endpoint, path) = split(place).map_err(|why| refuse(why.to_owned()))?;
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let (bucket, folder) = path.split_once('/').unwrap_or((&path, ""));
        if bucket.is_empty() {
            return Err(refuse("the bucket's name is missing; write it as s3:BUCKET or s3:BUCKET/FOLDER".to_owned()));
        }
        let prefix = Path::parse(folder.trim_end_matches('/')).map_err(|error| refuse(error.to_string()))?;
        let builder = builder.with_bucket_name(bucket).with_http_connector(Connector).with_retry(retry());
        // every store knows how to delete one object, and not all how to delete many
        let store = builder.with_disable_bulk_delete(true).build().map_err(|error| refuse(error.to_string()))?;
        Ok(Self { store: Arc::new(store), prefix, room: Arc::new(Semaphore::new(LARGE_AT_ONCE)) })
    }

    pub(super) fn multipart(&self, name: &str) -> Multipart {
        Multipart {
            store: Arc::clone(&self.store),
            path: self.path(name),
            upload: Upload::Small(Vec::new()),
            name: name.to_owned(),
            written: 0,
            room: Arc::clone(&self.room),
            place: None,
        }
    }

    pub(super) async fn mark(&self, name: &str) -> Result<(), HubError> {
        let put = self.store.put(&self.path(name), PutPayload::new()).await;
        put.map(drop).map_err(|source| refused(name, source))
    }

    pub(super) async fn open_object(&self, name: &str) -> Result<Option<Object>, HubError> {
        let found = found(self.store.get(&self.path(name)).await).map_err(|source| refused(name, source))?;
        Ok(found.map(|found| Object {
            length: found.meta.size,
            pieces: found.into_stream().map_err(io::Error::from).boxed(),
        }))
    }

    pub(super) async fn length(&self, name: &str) -> Result<Option<u64>, HubError> {
        let found = found(self.store.head(&self.path(name)).await).map_err(|source| refused(name, source))?;
        Ok(found.map(|found| found.size))
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), HubError> {
        let gone = found(self.store.delete(&self.path(name)).await);
        gone.map(drop).map_err(|source| refused(name, source))
    }

    pub(super) async fn list(&self, folder: &str) -> Result<Vec<Listed>, HubError> {
        let path = self.path(folder);
        let listed = self.store.list(Some(&path)).map_ok(|found| listed(&found));
        listed.try_collect().await.map_err(|source| refused(folder, source))
    }

    fn path(&self, name: &str) -> Path {
        // names are hexadecimal digits, so nothing in them is escaped
        Path::from_iter(self.prefix.parts().chain(Path::from(name).parts()))
    }
}

impl Multipart {
    pub(super) async fn write(&mut self, piece: &[u8]) -> Result<(), HubError> {
        self.written = self.written.saturating_add(piece.len());
        if self.written > SMALL && self.place.is_none() {
            // the semaphore is never closed
            self.place = Arc::clone(&self.room).acquire_owned().await.ok();
        }
        if let Upload::Small(bytes) = &mut self.upload {
            bytes.extend_from_slice(piece);
            if bytes.len() < PART {
                return Ok(());
            }
            let begun = begin(Arc::clone(&self.store), self.path.clone(), std::mem::take(bytes));
            self.upload = Upload::Beginning(tokio::spawn(begun));
        } else if let Upload::Large(upload) = &mut self.upload {
            upload.wait_for_capacity(PARTS_AT_ONCE).await.map_err(|source| refused(&self.name, source))?;
            upload.write(piece);
        }
        if let Upload::Beginning(task) = &mut self.upload {
            let begun = task.await;
            // a task that has ended must not be waited for again
            self.upload = Upload::Over;
            let begun = begun.map_err(|_| HubError::Stopped)?;
            self.upload = Upload::Large(begun.map_err(|source| refused(&self.name, source))?);
        }
        Ok(())
    }

    pub(super) async fn keep(mut self) -> Result<(), HubError> {
        let kept = match std::mem::replace(&mut self.upload, Upload::Over) {
            Upload::Small(bytes) => self.store.put(&self.path, bytes.into()).await,
            Upload::Large(upload) => upload.finish().await,
            Upload::Beginning(_) | Upload::Over => return Err(HubError::Stopped),
        };
        kept.map(drop).map_err(|source| refused(&self.name, source))
    }

    pub(super) async fn discard(mut self) {
        abort(std::mem::replace(&mut self.upload, Upload::Over)).await;
    }
}

impl Drop for Multipart {
    fn drop(&mut self) {
        let upload = std::mem::replace(&mut self.upload, Upload::Over);
        // outside a runtime there is nothing left that could do it
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && matches!(upload, Upload::Beginning(_) | Upload::Large(_))
        {
            // its parts take memory until then
            let place = self.place.take();
            runtime.spawn(async move {
                abort(upload).await;
                drop(place);
            });
        }
    }
}

impl fmt::Debug for Multipart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Multipart").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Tells the store that an upload of parts begins, with these bytes.
async fn begin(store: Arc<dyn ObjectStore>, path: Path, bytes: Vec<u8>) -> object_store::Result<WriteMultipart> {
    let mut upload = WriteMultipart::new_with_chunk_size(store.put_multipart(&path).await?, PART);
    upload.put(bytes.into());
    Ok(upload)
}

/// Waits for the parts that are under way, because a store may keep one that comes after the abort. Where this fails, the store's
/// own rule for uploads that nobody completes takes them away; `docs/bucket.md` says how.
async fn abort(upload: Upload) {
    let mut upload = match upload {
        Upload::Small(_) | Upload::Over => return,
        Upload::Large(upload) => upload,
        Upload::Beginning(task) => match task.await {
            Ok(Ok(upload)) => upload,
            _ => return,
        },
    };
    // each failure is that of one part, and there are not more of them than parts
    while upload.wait_for_capacity(0).await.is_err() {}
    if let Err(error) = upload.abort().await {
        tracing::warn!(%error, "could not abort an upload to the S3 store");
    }
}

/// The endpoint, if the place names one, and the path in it.
fn split(place: &str) -> Result<(Option<String>, String), &'static str> {
    if !place.starts_with("http://") && !place.starts_with("https://") {
        return Ok((None, place.trim_start_matches('/').to_owned()));
    }
    let url = Url::parse(place).map_err(|_| "it cannot be read")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("credentials belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    }
    Ok((Some(url.origin().ascii_serialization()), url.path().trim_start_matches('/').to_owned()))
}

fn retry() -> RetryConfig {
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: 10, retry_timeout: PATIENCE }
}

fn listed(found: &ObjectMeta) -> Listed {
    let name = found.location.filename().unwrap_or_default().to_owned();
    Listed { name, modified: Timestamp(found.last_modified.timestamp_millis()) }
}

/// What is not there is `None`.
fn found<T>(answer: object_store::Result<T>) -> object_store::Result<Option<T>> {
    match answer {
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        answer => answer.map(Some),
    }
}

fn refused(name: &str, source: object_store::Error) -> HubError {
    HubError::S3 { what: name.to_owned(), source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> impl Iterator<Item = (String, String)> {
        let pairs = [("AWS_ACCESS_KEY_ID", "key"), ("AWS_SECRET_ACCESS_KEY", "canary"), ("AWS_PAGER", "less")];
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()))
    }

    #[test]
    fn a_place_is_read_in_all_spellings() {
        for (place, name) in [
            ("bucket", "blobs/a7/x"),
            ("//bucket/", "blobs/a7/x"),
            ("bucket/a/b", "a/b/blobs/a7/x"),
            ("http://127.0.0.1:9000/bucket/a/", "a/blobs/a7/x"),
        ] {
            let s3 = S3::open(place, variables()).expect(place);
            assert_eq!(s3.path("blobs/a7/x").as_ref(), name, "{place}");
        }
    }

    #[test]
    fn a_place_that_is_none_is_refused_and_no_secret_is_said() {
        for place in
            ["", "//", "http://host/", "http://", "https://key:canary@host/bucket", "bucket/a//b", "bucket/../b"]
        {
            let error = S3::open(place, variables()).expect_err(place);
            let HubError::BadRequest(text) = error else { panic!("{error}") };
            assert!(text.contains("is no store") && !text.contains("canary"), "{text}");
        }
        assert!(!format!("{:?}", S3::open("bucket", variables())).contains("canary"));
    }
}
