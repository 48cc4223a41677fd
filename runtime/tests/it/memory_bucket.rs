//! A bucket in memory, for steps that run without a worker. It fails or waits where a test says so. The bucket that there really is has
//! tests of its own, and `tests/it/step_bucket.rs` those of both together.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use bue_model::{BlobHash, UploadId};
use bue_runtime::{Bucket, BucketFuture, ValuePart};
use bytes::Bytes;
use tokio::sync::Barrier;

/// What a request did.
type Answer<T> = Result<T, String>;

#[derive(Debug, Default)]
pub(crate) struct MemoryBucket {
    state: Mutex<State>,
    /// What requests that read a value wait at.
    readers: Option<Arc<Barrier>>,
    /// Requests that fail, by their names: `read`, `part 1`, `store`, `join`.
    broken: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct State {
    blobs: HashMap<BlobHash, Bytes>,
    /// With the number of the request that stored them.
    values: BTreeMap<String, (u64, Bytes)>,
    parts: BTreeMap<(UploadId, u32), Bytes>,
    requests: u64,
}

impl MemoryBucket {
    /// A bucket in which these requests fail.
    pub(crate) fn broken(requests: &[&str]) -> Self {
        Self { broken: requests.iter().map(|name| (*name).to_owned()).collect(), ..Self::default() }
    }

    /// A bucket in which requests that read a value wait until there are so many.
    pub(crate) fn with_readers(count: usize) -> Self {
        Self { readers: Some(Arc::new(Barrier::new(count))), ..Self::default() }
    }

    /// Returns a value.
    pub(crate) fn value(&self, name: &str) -> Option<Bytes> {
        self.lock().values.get(name).map(|(_, bytes)| bytes.clone())
    }

    /// Sets a value.
    pub(crate) fn set(&self, name: &str, bytes: impl Into<Bytes>) {
        self.lock().set(name, bytes.into());
    }

    /// Returns the number of parts of values that are not complete.
    pub(crate) fn parts(&self) -> usize {
        self.lock().parts.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic")
    }

    fn answer<T: Send + 'static>(&self, request: &str, work: impl FnOnce(&mut State) -> Answer<T>) -> BucketFuture<T> {
        let answer = match self.broken.contains(request) {
            true => Err(format!("{request} is broken")),
            false => work(&mut self.lock()),
        };
        Box::pin(async move { answer })
    }
}

impl State {
    fn set(&mut self, name: &str, bytes: Bytes) {
        self.requests += 1;
        self.values.insert(name.to_owned(), (self.requests, bytes));
    }

    /// The time until a value expires is a value itself, so that steps can read it.
    fn store(&mut self, name: &str, bytes: Bytes, expires_s: Option<u64>) {
        self.set(name, bytes);
        let lifetime = expires_s.map_or_else(|| "null".to_owned(), |seconds| seconds.to_string());
        self.set(&format!("lifetime of {name}"), lifetime.into());
    }
}

impl Bucket for MemoryBucket {
    fn put_blob(&self, bytes: Bytes) -> BucketFuture<BlobHash> {
        let hash = BlobHash(*blake3::hash(&bytes).as_bytes());
        self.lock().blobs.insert(hash, bytes);
        Box::pin(async move { Ok(hash) })
    }

    fn get_blob(&self, hash: BlobHash) -> BucketFuture<Bytes> {
        let blob = self.lock().blobs.get(&hash).cloned();
        Box::pin(async move { blob.ok_or_else(|| "there is no such blob".to_owned()) })
    }

    fn read_value(
        &self,
        name: String,
        offset: u64,
        max: u32,
        version: Option<String>,
    ) -> BucketFuture<Option<ValuePart>> {
        let answer = self.answer("read", |state| {
            let Some((number, value)) = state.values.get(&name) else { return Ok(None) };
            if version.is_some_and(|version| version != number.to_string()) {
                return Err(format!("`{name}` could not be read: the key has another value by now"));
            }
            let start = usize::try_from(offset).expect("small").min(value.len());
            let end = (start + max as usize).min(value.len());
            let (bytes, length) = (value.slice(start..end), value.len() as u64);
            Ok(Some(ValuePart { bytes, length, version: number.to_string() }))
        });
        let readers = self.readers.clone();
        Box::pin(async move {
            if let Some(readers) = readers {
                readers.wait().await;
            }
            answer.await
        })
    }

    fn store_value(&self, name: String, bytes: Bytes, expires_s: Option<u64>) -> BucketFuture<()> {
        self.answer("store", |state| {
            state.store(&name, bytes, expires_s);
            Ok(())
        })
    }

    fn begin_upload(&self) -> BucketFuture<UploadId> {
        self.answer("begin", |state| {
            state.requests += 1;
            Ok(UploadId(uuid::Uuid::from_u128(state.requests.into())))
        })
    }

    fn store_part(&self, upload: UploadId, part: u32, bytes: Bytes) -> BucketFuture<()> {
        self.answer(&format!("part {part}"), |state| {
            state.parts.insert((upload, part), bytes);
            Ok(())
        })
    }

    fn store_upload(&self, upload: UploadId, parts: u32, name: String, expires_s: Option<u64>) -> BucketFuture<()> {
        self.answer("join", |state| {
            let parts: Option<Vec<Bytes>> = (0..parts).map(|part| state.parts.get(&(upload, part)).cloned()).collect();
            let value = parts.ok_or_else(|| "a part is missing".to_owned())?.concat();
            state.store(&name, value.into(), expires_s);
            Ok(())
        })
    }

    fn delete_upload(&self, upload: UploadId, parts: u32) -> BucketFuture<()> {
        self.answer("delete parts", |state| {
            state.parts.retain(|(id, part), _| *id != upload || *part >= parts);
            Ok(())
        })
    }

    fn delete_value(&self, name: String) -> BucketFuture<()> {
        self.answer("delete", |state| {
            state.values.remove(&name);
            Ok(())
        })
    }
}
