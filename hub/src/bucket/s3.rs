//! [`S3`]: the backend in an S3 store or a compatible one, through `object_store`.
//!
//! A small object is one PUT request, a larger one a multipart upload that proceeds while the bytes arrive. An object appears
//! when its upload is completed; an upload that breaks off is aborted.

use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bue_model::Timestamp;
use bue_model::value_name::MAX_VALUE_NAME;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{
    BackoffConfig, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig,
    WriteMultipart,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use url::Url;

use super::object::{ListedObject, Object};
use super::object_name;
use super::s3_http_client::Connector;
use crate::error::HubError;

/// Bytes of a part. S3 allows 10,000 of them, which makes 80 GiB. An upload has at most three in memory.
const PART_SIZE: usize = 8 * 1024 * 1024;
/// Parts of one upload that are sent concurrently.
const MAX_CONCURRENT_PARTS: usize = 2;
/// Bytes that each upload may have in memory without a permit.
const SMALL_UPLOAD: usize = 256 * 1024;
/// Larger uploads at a time, with 192 MiB in all. Bodies of further ones are not read until one of them ends.
const MAX_LARGE_UPLOADS: usize = 8;
/// How long a request is retried while the store is away. Shorter than what the bucket's clients wait for.
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);

/// A bucket in S3, or a folder in one.
#[derive(Clone, Debug)]
pub(super) struct S3 {
    store: Arc<dyn ObjectStore>,
    /// Precedes every name.
    prefix: Path,
    large_uploads: Arc<Semaphore>,
}

/// An upload. Aborted when dropped before [`S3Upload::finish`].
pub(super) struct S3Upload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    state: UploadState,
    name: String,
    written: usize,
    large_uploads: Arc<Semaphore>,
    /// Held by a large upload.
    permit: Option<OwnedSemaphorePermit>,
}

enum UploadState {
    /// All bytes so far, less than a part.
    Buffered(Vec<u8>),
    /// The multipart upload is being created. This is a task, so that it completes even if the client goes away, and can then
    /// be aborted.
    Starting(JoinHandle<object_store::Result<WriteMultipart>>),
    Multipart(WriteMultipart),
    Ended,
}

impl S3 {
    /// Opens `BUCKET/FOLDER`, `//BUCKET/FOLDER`, or `http(s)://HOST:PORT/BUCKET/FOLDER` of a compatible server. The variables
    /// are those that begin with `AWS_`: credentials, region, endpoint.
    pub(super) fn open(location: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Self, HubError> {
        // what precedes an `@` may be a secret
        let redacted = location.rsplit_once('@').map_or(location, |(_, redacted)| redacted);
        let invalid = |reason: String| HubError::BadRequest(format!("`s3:{redacted}` is not a store: {reason}"));
        let mut builder = AmazonS3Builder::new();
        for (name, value) in variables {
            let key = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>();
            // unknown variables are meant for other programs
            builder = if let Ok(key) = key { builder.with_config(key, value) } else { builder };
        }
        let (endpoint, path) = split_endpoint(location).map_err(|reason| invalid(reason.to_owned()))?;
        if let Some(endpoint) = endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let (bucket, folder) = path.split_once('/').unwrap_or((&path, ""));
        if bucket.is_empty() {
            return Err(invalid("the bucket's name is missing; write it as s3:BUCKET or s3:BUCKET/FOLDER".to_owned()));
        }
        let prefix = Path::parse(folder.trim_end_matches('/')).map_err(|error| invalid(error.to_string()))?;
        let builder = builder.with_bucket_name(bucket).with_http_connector(Connector).with_retry(retry_config());
        // not every compatible server supports bulk delete
        let store = builder.with_disable_bulk_delete(true).build().map_err(|error| invalid(error.to_string()))?;
        Ok(Self { store: Arc::new(store), prefix, large_uploads: Arc::new(Semaphore::new(MAX_LARGE_UPLOADS)) })
    }

    /// Starts an upload. Sends no request yet.
    pub(super) fn upload(&self, name: &str) -> S3Upload {
        S3Upload {
            store: Arc::clone(&self.store),
            path: self.path(name),
            state: UploadState::Buffered(Vec::new()),
            name: name.to_owned(),
            written: 0,
            large_uploads: Arc::clone(&self.large_uploads),
            permit: None,
        }
    }

    /// Writes an empty object. If it exists, its modification time is renewed.
    pub(super) async fn touch(&self, name: &str) -> Result<(), HubError> {
        let put = self.store.put(&self.path(name), PutPayload::new()).await;
        put.map(drop).map_err(|source| s3_error(name, source))
    }

    /// Opens an object, or a range of it.
    pub(super) async fn open_object(&self, name: &str, range: Option<Range<u64>>) -> Result<Option<Object>, HubError> {
        let options = GetOptions { range: range.map(GetRange::Bounded), ..GetOptions::default() };
        let result = none_if_missing(self.store.get_opts(&self.path(name), options).await)
            .map_err(|source| s3_error(name, source))?;
        Ok(result.map(|result| Object {
            length: result.meta.size,
            version: version_of(&result.meta),
            pieces: result.into_stream().map_err(io::Error::from).boxed(),
        }))
    }

    pub(super) async fn length(&self, name: &str) -> Result<Option<u64>, HubError> {
        let meta = none_if_missing(self.store.head(&self.path(name)).await).map_err(|source| s3_error(name, source))?;
        Ok(meta.map(|meta| meta.size))
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), HubError> {
        let deleted = none_if_missing(self.store.delete(&self.path(name)).await);
        deleted.map(drop).map_err(|source| s3_error(name, source))
    }

    pub(super) async fn list(&self, folder: &str) -> Result<Vec<ListedObject>, HubError> {
        let path = self.path(folder);
        let listed = self.store.list(Some(&path)).map_ok(|meta| to_listed(&meta));
        listed.try_collect().await.map_err(|source| s3_error(folder, source))
    }

    /// Adds the name of a value.
    pub(super) async fn add_name(&self, name: &str) -> Result<(), HubError> {
        let object = object_name::value_name(name);
        // only the names that are cut off are in their objects
        let content = match object_name::parse_value_name(&object) {
            Some(Some(_)) => PutPayload::new(),
            _ => PutPayload::from(name.as_bytes().to_vec()),
        };
        let put = self.store.put(&self.path(&object), content).await;
        put.map(drop).map_err(|source| s3_error(&object, source))
    }

    /// Returns the first names of values behind `after` that begin with a prefix, in order. The store lists the objects that stand for them
    /// from there on, in parts of a thousand.
    pub(super) async fn list_names(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, HubError> {
        let first = object_name::value_name_prefix(prefix.as_bytes());
        let offset = match after {
            "" => first.clone(),
            after => object_name::value_name(after).max(first.clone()),
        };
        let error = |source| s3_error(object_name::NAMES, source);
        let mut listed = self.store.list_with_offset(Some(&self.path(object_name::NAMES)), &self.path(&offset));
        let mut names = Vec::new();
        while names.len() < limit
            && let Some(meta) = listed.try_next().await.map_err(error)?
        {
            let object = self.name_of(&meta.location);
            if !object.starts_with(&first) {
                break;
            }
            let name = match object_name::parse_value_name(&object) {
                Some(Some(name)) => Some(name),
                Some(None) => self.read_name(&object).await?,
                None => None,
            };
            names.extend(name.filter(|name| name.starts_with(prefix)));
        }
        Ok(names)
    }

    /// Reads the name that an object contains; `None` if it was deleted meanwhile, or contains none.
    async fn read_name(&self, object: &str) -> Result<Option<String>, HubError> {
        let result =
            none_if_missing(self.store.get(&self.path(object)).await).map_err(|error| s3_error(object, error))?;
        let Some(result) = result.filter(|result| result.meta.size <= MAX_VALUE_NAME as u64) else { return Ok(None) };
        let bytes = result.bytes().await.map_err(|source| s3_error(object, source))?;
        Ok(String::from_utf8(bytes.to_vec()).ok())
    }

    /// Returns the name of an object without the folder of this store.
    fn name_of(&self, path: &Path) -> String {
        let parts = path.parts().skip(self.prefix.parts().count());
        parts.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/")
    }

    fn path(&self, name: &str) -> Path {
        // names are hexadecimal digits, `-` and `_`, so nothing in them needs to be escaped
        Path::from_iter(self.prefix.parts().chain(Path::from(name).parts()))
    }
}

impl S3Upload {
    pub(super) async fn write(&mut self, piece: &[u8]) -> Result<(), HubError> {
        self.written = self.written.saturating_add(piece.len());
        if self.written > SMALL_UPLOAD && self.permit.is_none() {
            // the semaphore is never closed
            self.permit = Arc::clone(&self.large_uploads).acquire_owned().await.ok();
        }
        if let UploadState::Buffered(bytes) = &mut self.state {
            bytes.extend_from_slice(piece);
            if bytes.len() < PART_SIZE {
                return Ok(());
            }
            let multipart = start_multipart(Arc::clone(&self.store), self.path.clone(), std::mem::take(bytes));
            self.state = UploadState::Starting(tokio::spawn(multipart));
        } else if let UploadState::Multipart(upload) = &mut self.state {
            upload.wait_for_capacity(MAX_CONCURRENT_PARTS).await.map_err(|source| s3_error(&self.name, source))?;
            upload.write(piece);
        }
        if let UploadState::Starting(task) = &mut self.state {
            let started = task.await;
            // a task that has ended must not be awaited again
            self.state = UploadState::Ended;
            let started = started.map_err(|_| HubError::Stopped)?;
            self.state = UploadState::Multipart(started.map_err(|source| s3_error(&self.name, source))?);
        }
        Ok(())
    }

    pub(super) async fn finish(mut self) -> Result<(), HubError> {
        let finished = match std::mem::replace(&mut self.state, UploadState::Ended) {
            UploadState::Buffered(bytes) => self.store.put(&self.path, bytes.into()).await,
            UploadState::Multipart(upload) => upload.finish().await,
            UploadState::Starting(_) | UploadState::Ended => return Err(HubError::Stopped),
        };
        finished.map(drop).map_err(|source| s3_error(&self.name, source))
    }

    pub(super) async fn abort(mut self) {
        abort(std::mem::replace(&mut self.state, UploadState::Ended)).await;
    }
}

impl Drop for S3Upload {
    fn drop(&mut self) {
        let state = std::mem::replace(&mut self.state, UploadState::Ended);
        // the runtime is gone only when the process ends
        if let Ok(runtime) = tokio::runtime::Handle::try_current()
            && matches!(state, UploadState::Starting(_) | UploadState::Multipart(_))
        {
            // its parts are in memory until the abort is done
            let permit = self.permit.take();
            runtime.spawn(async move {
                abort(state).await;
                drop(permit);
            });
        }
    }
}

impl fmt::Debug for S3Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Upload").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Creates a multipart upload with these bytes as its first part.
async fn start_multipart(
    store: Arc<dyn ObjectStore>,
    path: Path,
    bytes: Vec<u8>,
) -> object_store::Result<WriteMultipart> {
    let mut upload = WriteMultipart::new_with_chunk_size(store.put_multipart(&path).await?, PART_SIZE);
    upload.put(bytes.into());
    Ok(upload)
}

/// Aborts a multipart upload. First waits for the parts in flight, because a store may keep a part that arrives after the abort.
/// If the abort fails, the store's lifecycle rule for incomplete uploads removes the parts; `docs/bucket.md` shows that rule.
async fn abort(state: UploadState) {
    let mut upload = match state {
        UploadState::Buffered(_) | UploadState::Ended => return,
        UploadState::Multipart(upload) => upload,
        UploadState::Starting(task) => match task.await {
            Ok(Ok(upload)) => upload,
            _ => return,
        },
    };
    // each error belongs to one part, so this ends
    while upload.wait_for_capacity(0).await.is_err() {}
    if let Err(error) = upload.abort().await {
        tracing::warn!(%error, "failed to abort an upload to the S3 store");
    }
}

/// Returns the endpoint, if the location names one, and the path in it.
fn split_endpoint(location: &str) -> Result<(Option<String>, String), &'static str> {
    if !location.starts_with("http://") && !location.starts_with("https://") {
        return Ok((None, location.trim_start_matches('/').to_owned()));
    }
    let url = Url::parse(location).map_err(|_| "the URL cannot be parsed")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("write credentials into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
    }
    Ok((Some(url.origin().ascii_serialization()), url.path().trim_start_matches('/').to_owned()))
}

fn retry_config() -> RetryConfig {
    let backoff = BackoffConfig { max_backoff: Duration::from_secs(5), ..BackoffConfig::default() };
    RetryConfig { backoff, max_retries: 10, retry_timeout: RETRY_TIMEOUT }
}

/// Every S3 store gives objects an entity tag, which depends on their content.
fn version_of(meta: &ObjectMeta) -> String {
    let tag: String = meta.e_tag.iter().flat_map(|tag| tag.chars()).filter(char::is_ascii_alphanumeric).collect();
    format!("{:x}-{:x}-{tag}", meta.size, meta.last_modified.timestamp_millis())
}

fn to_listed(meta: &ObjectMeta) -> ListedObject {
    let name = meta.location.filename().unwrap_or_default().to_owned();
    ListedObject { name, modified: Timestamp(meta.last_modified.timestamp_millis()) }
}

/// Turns a "not found" error into `None`.
fn none_if_missing<T>(result: object_store::Result<T>) -> object_store::Result<Option<T>> {
    match result {
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        result => result.map(Some),
    }
}

fn s3_error(name: &str, source: object_store::Error) -> HubError {
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
    fn a_location_is_parsed_in_all_spellings() {
        for (location, name) in [
            ("bucket", "blobs/a7/x"),
            ("//bucket/", "blobs/a7/x"),
            ("bucket/a/b", "a/b/blobs/a7/x"),
            ("http://127.0.0.1:9000/bucket/a/", "a/blobs/a7/x"),
        ] {
            let s3 = S3::open(location, variables()).expect(location);
            assert_eq!(s3.path("blobs/a7/x").as_ref(), name, "{location}");
        }
    }

    #[test]
    fn an_invalid_location_is_refused_and_no_secret_is_shown() {
        for location in
            ["", "//", "http://host/", "http://", "https://key:canary@host/bucket", "bucket/a//b", "bucket/../b"]
        {
            let error = S3::open(location, variables()).expect_err(location);
            let HubError::BadRequest(text) = error else { panic!("{error}") };
            assert!(text.contains("is not a store") && !text.contains("canary"), "{text}");
        }
        assert!(!format!("{:?}", S3::open("bucket", variables())).contains("canary"));
    }

    /// A store whose objects are in memory, which allows longer names than the server of the other tests.
    fn in_memory() -> S3 {
        let store = Arc::new(object_store::memory::InMemory::new());
        S3 { store, prefix: Path::from("a/b"), large_uploads: Arc::new(Semaphore::new(1)) }
    }

    #[tokio::test]
    async fn names_as_long_as_they_may_be_are_listed_by_their_beginning() {
        let s3 = in_memory();
        let long = |end: &str| format!("{}{end}", "x".repeat(MAX_VALUE_NAME - end.len()));
        let mut names =
            vec![long("1"), long("2"), long("33"), "x".repeat(349), "x".repeat(350), "x".repeat(351), "y".into()];
        for name in &names {
            s3.add_name(name).await.expect("added");
        }
        let list = async |prefix: &str, limit: usize| {
            let (mut all, mut after) = (Vec::new(), String::new());
            loop {
                let page = s3.list_names(prefix, &after, limit).await.expect("names");
                all.extend(page.iter().cloned());
                match page.last() {
                    Some(last) if page.len() == limit => after.clone_from(last),
                    _ => return all,
                }
            }
        };
        let all = list("", 100).await;
        for limit in 1..=3 {
            assert_eq!(list("", limit).await, all);
        }
        assert_eq!(all[..2], names[3..5], "in order as far as their first bytes tell");
        names.sort();
        let mut sorted = all.clone();
        sorted.sort();
        assert_eq!(sorted, names);
        assert_eq!(
            list(&"x".repeat(1_000), 100).await.len(),
            3,
            "the prefix may be longer than what decides the order"
        );
        assert_eq!(list(&long("33"), 1).await, [long("33")]);
        assert_eq!(list("y", 1).await, ["y"]);
        assert_eq!(list("z", 1).await, Vec::<String>::new());
    }
}
