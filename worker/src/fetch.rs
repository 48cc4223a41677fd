//! [`Fetch`]: fetches code and inputs by hash, through caches.

use std::sync::Arc;

use bue_client::ClientError;
use bue_model::wire::{Gathered, JobInput};
use bue_model::{BlobHash, BlobRef, Bundle, Chunk, Package, RunId, ValueRef, cbor};
use bue_runtime::{BadPackages, Bucket, Limits, Site, Sites};
use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::byte_budget::ByteBudget;
use crate::job_bucket::JobBucket;
use crate::step_bucket;

/// The size in bytes of the cache of values. The elements of a loop come in chunks, and each element of a chunk is soon a job here.
const MAX_CACHED_VALUE_BYTES: u64 = 128 * 1024 * 1024;

/// The size in bytes of the cache of bundles. One may have 128 MiB, which is a compiled step of an unusual size.
const MAX_CACHED_BUNDLE_BYTES: u64 = 256 * 1024 * 1024;

/// The number of bundles that the cache has room for. It determines the number of the cache's parts, each of which must have room
/// for a large bundle.
const EXPECTED_BUNDLES: usize = 64;

/// The largest number of files in a bundle. The command packs at most a thousand.
const MAX_BUNDLE_FILES: u64 = 10_000;

/// The size in bytes of unpacked packages on the disk that no step uses. A set may have 512 MiB.
const MAX_CACHED_SITE_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Mebibytes of bundles and wheels that are on their way at one time. Has room for four of the largest bundles or sets of packages.
const MAX_CODE_MIB: u32 = 512;

const NO_ARRAY: FetchError = FetchError::Malformed("a chunk of a list", "a CBOR array");
const NO_PARTS: FetchError = FetchError::Malformed("an element of a list", "a list with a part for each name");
const WRONG_LENGTH: FetchError = FetchError::Malformed("a chunk of a list", "as long as it should be");

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// The bucket refused it. Another attempt, here or elsewhere, may succeed.
    #[error("failed to fetch {0} from the bucket: {1}")]
    Bucket(BlobHash, #[source] ClientError),
    /// The bytes do not match their hash. Another attempt would get the same.
    #[error("the package `{0}` is damaged in the bucket; upload the script again")]
    Corrupt(String),
    /// The packages cannot be unpacked.
    #[error(transparent)]
    Packages(#[from] BadPackages),
    /// The bytes are not of the expected form. Another attempt would get the same.
    #[error("{0} in the bucket is not {1}")]
    Malformed(&'static str, &'static str),
}

/// Reads from the bucket through bounded caches.
#[derive(Debug)]
pub(crate) struct Fetch {
    bucket: JobBucket,
    values: Cache<BlobHash, Bytes, ByteWeighter>,
    bundles: Cache<BlobHash, Arc<Bundle>, ByteWeighter>,
    /// Unpacked packages, by their content.
    unpacked: Cache<BlobHash, Arc<Site>, ByteWeighter>,
    sites: Sites,
    /// Memory for bundles until they are in the cache, and for wheels until they are unpacked.
    code_budget: ByteBudget,
}

#[derive(Clone, Debug)]
struct ByteWeighter;

impl Weighter<BlobHash, Bytes> for ByteWeighter {
    fn weight(&self, _: &BlobHash, value: &Bytes) -> u64 {
        value.len() as u64 + 64
    }
}

impl Weighter<BlobHash, Arc<Bundle>> for ByteWeighter {
    fn weight(&self, _: &BlobHash, bundle: &Arc<Bundle>) -> u64 {
        let files = bundle.files.iter().map(|file| file.path.len() + file.content.len() + size_of_val(file));
        let packages = bundle.packages.iter().map(|package| package.file.len() + size_of_val(package));
        files.chain(packages).sum::<usize>() as u64 + 4096
    }
}

impl Weighter<BlobHash, Arc<Site>> for ByteWeighter {
    fn weight(&self, _: &BlobHash, site: &Arc<Site>) -> u64 {
        site.bytes() + 4096
    }
}

impl Fetch {
    pub(crate) fn new(bucket: JobBucket, sites: Sites) -> Self {
        Self {
            bucket,
            values: Cache::with_weighter(10_000, MAX_CACHED_VALUE_BYTES, ByteWeighter),
            bundles: Cache::with_weighter(EXPECTED_BUNDLES, MAX_CACHED_BUNDLE_BYTES, ByteWeighter),
            unpacked: Cache::with_weighter(100, MAX_CACHED_SITE_BYTES, ByteWeighter),
            sites,
            code_budget: ByteBudget::new(MAX_CODE_MIB),
        }
    }

    /// Stores a value of a run under its hash.
    pub(crate) async fn store(&self, run: RunId, value: Bytes) -> Result<BlobRef, ClientError> {
        self.bucket.put(run, value).await
    }

    /// Returns the bucket as the steps of a run use it.
    pub(crate) fn step_bucket(&self, run: RunId, limits: &Limits) -> Arc<dyn Bucket> {
        step_bucket::for_run(self.bucket.client(), run, limits)
    }

    /// Fetches a step's code.
    pub(crate) async fn bundle(&self, code: &BlobRef) -> Result<Arc<Bundle>, FetchError> {
        let load = async {
            let _reserved = self.code_budget.reserve(code.len).await;
            let bytes = self.bucket.get(code).await.map_err(|error| FetchError::Bucket(code.hash, error))?;
            decode_bundle(&bytes).map(Arc::new).ok_or(FetchError::Malformed("the step's code", "a bundle"))
        };
        self.bundles.get_or_insert_async(&code.hash, load).await
    }

    /// Fetches and unpacks a step's packages. `None` if it has none.
    pub(crate) async fn packages(&self, bundle: &Bundle, limits: &Limits) -> Result<Option<Arc<Site>>, FetchError> {
        if bundle.packages.is_empty() {
            return Ok(None);
        }
        let unpack = self.unpack(&bundle.packages, limits);
        self.unpacked.get_or_insert_async(&content_key(&bundle.packages), unpack).await.map(Some)
    }

    async fn unpack(&self, packages: &[Package], limits: &Limits) -> Result<Arc<Site>, FetchError> {
        check_declared_sizes(packages, limits)?;
        let reserved = self.code_budget.reserve(packages.iter().map(|package| package.wheel.len).sum()).await;
        let mut wheels = Vec::with_capacity(packages.len());
        for package in packages {
            wheels.push((package.file.clone(), self.wheel(package).await?));
        }
        let (sites, limits) = (self.sites.clone(), limits.clone());
        let task = tokio::task::spawn_blocking(move || {
            let wheels: Vec<(&str, &[u8])> =
                wheels.iter().map(|(file, bytes)| (file.as_str(), bytes.as_ref())).collect();
            let site = sites.unpack(&wheels, &limits);
            // here, because the thread goes on if the job is cancelled
            drop(reserved);
            site
        });
        let site = task.await.map_err(|_| FetchError::Malformed("a package", "one that can be unpacked"))?;
        Ok(Arc::new(site?))
    }

    /// Fetches a wheel. Not cached: the unpacked files are.
    async fn wheel(&self, package: &Package) -> Result<Bytes, FetchError> {
        self.bucket.get(&package.wheel).await.map_err(|error| match error {
            ClientError::Corrupt { .. } => FetchError::Corrupt(package.file.clone()),
            error => FetchError::Bucket(package.wheel.hash, error),
        })
    }

    /// Fetches an argument, as one CBOR value.
    pub(crate) async fn input(&self, input: &JobInput) -> Result<Bytes, FetchError> {
        match input {
            JobInput::Value(value) => self.value(value).await,
            JobInput::Element { chunk, index } => self.element(chunk, *index).await,
            JobInput::Part { chunk, index, part } => {
                let element = self.element(chunk, *index).await?;
                let mut parts = cbor::array_items(&element).ok().flatten().ok_or(NO_PARTS)?;
                let part = parts.nth(*part as usize).ok_or(NO_PARTS)?.map_err(|_| NO_PARTS)?;
                Ok(element.slice_ref(part))
            }
            JobInput::Gathered(rounds) => self.gathered(rounds).await,
        }
    }

    async fn value(&self, value: &ValueRef) -> Result<Bytes, FetchError> {
        match value {
            ValueRef::Inline(bytes) => Ok(bytes.clone()),
            ValueRef::Blob(blob) => self.blob(blob).await,
            ValueRef::List(chunks) => self.list(chunks).await,
        }
    }

    async fn blob(&self, blob: &BlobRef) -> Result<Bytes, FetchError> {
        let load = async { self.bucket.get(blob).await.map_err(|error| FetchError::Bucket(blob.hash, error)) };
        self.values.get_or_insert_async(&blob.hash, load).await
    }

    /// Fetches a chunk of a list, which cannot be a list itself.
    async fn chunk(&self, chunk: &Chunk) -> Result<Bytes, FetchError> {
        match &*chunk.value {
            ValueRef::Inline(bytes) => Ok(bytes.clone()),
            ValueRef::Blob(blob) => self.blob(blob).await,
            ValueRef::List(_) => Err(NO_ARRAY),
        }
    }

    async fn element(&self, chunk: &Chunk, index: u32) -> Result<Bytes, FetchError> {
        let bytes = self.chunk(chunk).await?;
        let item = items_of(&bytes)?.nth(index as usize).ok_or(WRONG_LENGTH)?;
        Ok(bytes.slice_ref(item?))
    }

    /// Fetches the elements of a chunk.
    pub(crate) async fn elements(&self, chunk: &Chunk) -> Result<Vec<Bytes>, FetchError> {
        let bytes = self.chunk(chunk).await?;
        let items: Vec<Bytes> =
            items_of(&bytes)?.map(|item| Ok(bytes.slice_ref(item?))).collect::<Result<_, FetchError>>()?;
        if items.len() == chunk.count as usize { Ok(items) } else { Err(WRONG_LENGTH) }
    }

    async fn list(&self, chunks: &[Chunk]) -> Result<Bytes, FetchError> {
        let count = chunks.iter().map(|chunk| u64::from(chunk.count)).sum();
        let mut list = cbor::array_head(count);
        for chunk in chunks {
            let bytes = self.chunk(chunk).await?;
            let mut count = 0_u64;
            for item in items_of(&bytes)? {
                list.extend_from_slice(item?);
                count += 1;
            }
            if count != u64::from(chunk.count) {
                return Err(WRONG_LENGTH);
            }
        }
        Ok(list.into())
    }

    async fn gathered(&self, rounds: &[Gathered]) -> Result<Bytes, FetchError> {
        let mut list = cbor::array_head(rounds.len() as u64);
        for round in rounds {
            match round {
                Gathered::Value(value) => list.extend_from_slice(&self.value(value).await?),
                Gathered::Nothing => list.extend_from_slice(cbor::NULL),
            }
        }
        Ok(list.into())
    }
}

/// Decodes a bundle; `None` if the bytes are none, or one with too many files. The number of files is checked first: two bytes of an
/// empty file become dozens in memory, so that a bundle of the size that is allowed could take gigabytes.
fn decode_bundle(bytes: &[u8]) -> Option<Bundle> {
    // the fields before the files, and the length of their list
    let ((_, _, files), _) = postcard::take_from_bytes::<(&str, u32, u64)>(bytes).ok()?;
    if files > MAX_BUNDLE_FILES {
        return None;
    }
    postcard::from_bytes(bytes).ok()
}

/// Refuses packages whose declared sizes are over the limits, before any is fetched.
fn check_declared_sizes(packages: &[Package], limits: &Limits) -> Result<(), BadPackages> {
    let bytes = packages.iter().fold(0_u64, |sum, package| sum.saturating_add(package.wheel.len));
    if packages.len() > limits.packages as usize {
        return Err(BadPackages::number(limits));
    }
    if bytes > limits.packages_packed_bytes { Err(BadPackages::packed(limits)) } else { Ok(()) }
}

/// Returns a key of the packages' content.
fn content_key(packages: &[Package]) -> BlobHash {
    let mut key = blake3::Hasher::new();
    for package in packages {
        key.update(&package.wheel.hash.0);
    }
    BlobHash(*key.finalize().as_bytes())
}

fn items_of(chunk: &Bytes) -> Result<impl Iterator<Item = Result<&[u8], FetchError>>, FetchError> {
    let items = cbor::array_items(chunk).ok().flatten().ok_or(NO_ARRAY)?;
    Ok(items.map(|item| item.map_err(|_| NO_ARRAY)))
}

#[cfg(test)]
mod tests {
    use bue_model::SourceFile;

    use super::*;

    fn bundle(files: usize, content: &Bytes) -> Bundle {
        let file = SourceFile { path: "a.py".to_owned(), content: content.clone() };
        Bundle { entry: "a.py".to_owned(), first_line: 1, files: vec![file; files], packages: Vec::new() }
    }

    #[test]
    fn a_bundle_with_too_many_files_is_refused_before_it_is_read() {
        let encode = |files| postcard::to_allocvec(&bundle(files, &Bytes::new())).expect("postcard");
        assert_eq!(decode_bundle(&encode(10_000)), Some(bundle(10_000, &Bytes::new())));
        assert_eq!(decode_bundle(&encode(10_001)), None);
        // a length without the files that it announces
        let mut announced = postcard::to_allocvec(&("a.py", 1_u32, u64::MAX)).expect("postcard");
        assert_eq!(decode_bundle(&announced), None);
        announced.truncate(6);
        assert_eq!(decode_bundle(&announced), None);
    }

    #[test]
    fn cached_bundles_are_limited_in_bytes() {
        let cache = Cache::with_weighter(EXPECTED_BUNDLES, MAX_CACHED_BUNDLE_BYTES, ByteWeighter);
        let content = Bytes::from(vec![0; 32 << 20]);
        for number in 0..100 {
            cache.insert(BlobHash([number; 32]), Arc::new(bundle(1, &content)));
        }
        assert!(cache.weight() <= MAX_CACHED_BUNDLE_BYTES && cache.len() >= 4, "{} bundles", cache.len());
    }
}
