//! The bucket over HTTP, with the real client and with raw requests. Each claim is written once and tested on both backends: a
//! folder, and a real S3 server that stores its objects in another folder.

mod claims;
mod gc;
mod s3_server;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::UNIX_EPOCH;

use bue_client::BucketClient;
use bue_hub::{Access, BlobStore, Bucket, Durability};
use bue_model::wire::{Collected, Collection};
use bue_model::{RunId, Timestamp};
use tempfile::TempDir;
use uuid::Uuid;

use crate::raw_http::{RawResponse, raw_request, send_bytes};
use crate::servers::spawn_bucket;
use s3_server::S3Server;

/// A bucket on port 0, with a clock that the test moves.
struct TestBucket {
    folder: TempDir,
    /// The folder in which the objects are files.
    objects: PathBuf,
    address: String,
    client: BucketClient,
    now: Arc<AtomicI64>,
    /// How often a test tries to hit a race. Fewer on S3, where the test server reads every object to list some.
    rounds: u32,
    /// Bytes of the longest name of a value. The test server stores an object's name in a file's name, twice.
    max_name: usize,
}

impl TestBucket {
    async fn in_folder() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = BlobStore::open(folder.path(), Durability::Full).expect("a store");
        let objects = folder.path().to_owned();
        Self::serve(blobs, folder, objects).await
    }

    async fn on_s3() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = S3Server::start(folder.path()).await;
        let blobs = BlobStore::s3(&server.location("a/b"), S3Server::variables()).expect("a store");
        let objects = folder.path().join(s3_server::BUCKET).join("a/b");
        Self { rounds: 2, max_name: 60, ..Self::serve(blobs, folder, objects).await }
    }

    async fn serve(blobs: BlobStore, folder: TempDir, objects: PathBuf) -> Self {
        // starts at the file system's time, by which the age of objects is measured
        let created = std::fs::metadata(folder.path()).and_then(|metadata| metadata.modified()).expect("a time");
        let created = created.duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        let now = Arc::new(AtomicI64::new(created as i64));
        let clock = now.clone();
        let bucket = Bucket::new(blobs, Access::open());
        let bucket = bucket.with_clock(Arc::new(move || Timestamp(clock.load(Ordering::Relaxed))));
        let address = spawn_bucket(bucket).await;
        let client = BucketClient::new(&address).expect("a client");
        Self { folder, objects, address, client, now, rounds: 20, max_name: 1024 }
    }

    async fn request(&self, method: &str, path: &str, body: &[u8]) -> RawResponse {
        raw_request(&self.address, method, path, "application/octet-stream", body).await
    }

    /// Sends a request without a body and with these header fields.
    async fn request_with_headers(&self, method: &str, path: &str, fields: &str) -> RawResponse {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\n{fields}connection: close\r\n\r\n");
        send_bytes(&self.address, head.as_bytes()).await
    }

    async fn value(&self, key: &str) -> Option<Vec<u8>> {
        let mut download = self.client.get_key(key).await.expect("an answer")?;
        let mut all = Vec::new();
        while let Some(piece) = download.next().await.expect("a piece") {
            all.extend_from_slice(&piece);
        }
        Some(all)
    }

    /// Collects as a hub that has these runs.
    async fn collect(&self, runs: &[RunId]) -> Collected {
        let started_at = self.client.begin_collection().await.expect("a time");
        self.collect_since(started_at, runs).await
    }

    async fn collect_since(&self, started_at: Timestamp, runs: &[RunId]) -> Collected {
        let collection = Collection { database: Uuid::from_u128(1), runs: runs.to_vec() };
        self.client.collect(started_at, &collection).await.expect("a collection")
    }

    fn advance(&self, seconds: i64) {
        self.now.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// The names of all objects, sorted, without those that stand for names of values.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        files(&self.objects, &self.objects, &mut names);
        names.retain(|name| !name.starts_with("part/") && !name.starts_with("names"));
        names.sort_unstable();
        names
    }

    /// Counts what is being written or was left behind: files in `part`, uploads and parts of the S3 server.
    fn unfinished_uploads(&self) -> usize {
        let count = |folder: &Path, counts: fn(&str) -> bool| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.filter(|entry| counts(&entry.file_name().to_string_lossy())).count()
        };
        let uploads = |name: &str| name.starts_with(".upload") || name.starts_with(".tmp");
        count(&self.folder.path().join("part"), |_| true) + count(self.folder.path(), uploads)
    }
}

fn files(root: &Path, folder: &Path, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => files(root, &path, names),
            false => names.push(path.strip_prefix(root).expect("below").to_string_lossy().into_owned()),
        }
    }
}

fn run(number: u128) -> RunId {
    RunId(Uuid::from_u128(number))
}

/// Makes two tests of each claim, one for each backend.
macro_rules! on_both_backends {
    ($($part:ident: $($claim:ident)*;)*) => {
        mod folder {
            $($(#[tokio::test] async fn $claim() { super::$part::$claim(super::TestBucket::in_folder().await).await })*)*
        }
        mod s3 {
            $($(#[tokio::test] async fn $claim() { super::$part::$claim(super::TestBucket::on_s3().await).await })*)*
        }
    };
}

on_both_backends! {
    claims:
        a_blob_comes_back_as_it_was
        a_missing_blob_is_reported_as_missing
        a_blob_under_a_wrong_hash_is_not_kept
        a_blob_damaged_on_the_disk_is_noticed
        an_interrupted_upload_leaves_nothing
        a_key_has_the_value_it_was_last_given
        a_key_expires_and_is_deleted
        an_invalid_expiry_time_is_refused
        a_value_that_breaks_off_is_not_stored
        a_range_of_a_value_is_returned_with_its_version
        a_value_is_made_of_the_parts_of_an_upload
        parts_that_are_missing_or_invalid_are_refused
        values_are_listed_by_the_beginning_of_their_names
        values_that_are_gone_are_not_listed
        a_value_that_is_stored_while_others_list_is_listed
        a_list_with_invalid_parameters_is_refused
        no_key_is_stored_outside_the_root
        other_methods_and_routes_are_refused;
    gc:
        unreferenced_blobs_are_collected_after_the_grace_period
        a_run_that_is_not_submitted_yet_keeps_its_blobs
        a_delayed_list_of_runs_collects_nothing_of_later_runs
        a_blob_shared_by_two_runs_is_collected_with_the_last_one
        a_blob_reported_as_present_is_kept
        keys_are_not_collected_with_blobs
        a_bucket_serves_one_database;
}

#[test]
fn a_folder_serves_one_process_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = BlobStore::open(folder.path(), Durability::Full).expect("a store");
    let refused = BlobStore::open(folder.path(), Durability::Full).expect_err("a refusal").to_string();
    assert!(refused.contains("in use by another process"), "{refused}");
    drop(first);
    BlobStore::open(folder.path(), Durability::Full).expect("the lock is released");
}

#[tokio::test]
async fn a_store_that_rejects_the_credentials_means_503() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = S3Server::start(folder.path()).await;
    let wrong = S3Server::variables().into_iter().map(|(name, value)| (name, format!("{value}x")));
    let blobs = BlobStore::s3(&server.location(""), wrong).expect("a store");
    let bucket = TestBucket::serve(blobs, folder, PathBuf::new()).await;
    // a multipart upload is refused before its first part
    let large = vec![b'x'; 9_000_000];
    for (method, path, body) in [
        ("GET", "/readyz", &b"x"[..]),
        ("GET", "/v1/keys/a", b"x"),
        ("PUT", "/v1/keys/a", b"x"),
        ("PUT", "/v1/keys/a", &large),
    ] {
        let answer = bucket.request(method, path, body).await;
        assert_eq!(answer.status, 503, "{method} {path}: {}", answer.body);
        assert!(answer.body.contains("\"store\"") && !answer.body.contains(s3_server::SECRET), "{}", answer.body);
    }
    assert_eq!(bucket.request("GET", "/healthz", b"").await.status, 200);
}
