//! The bucket, over HTTP with the real client and with bare requests. What it promises is written once and held by both of its
//! shelves: a folder, and a real S3 server on another folder.

mod claims;
mod collection;
mod s3_server;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::UNIX_EPOCH;

use bue_client::BucketClient;
use bue_hub::{Access, BlobStore, Bucket as Server, Durability, serve_bucket};
use bue_model::wire::{Collected, Collection};
use bue_model::{RunId, Timestamp};
use tempfile::TempDir;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::http::{Bare, raw};
use s3_server::S3Server;

/// A bucket on port 0, with a clock that is moved by hand.
struct Bucket {
    folder: TempDir,
    /// Where the objects are as files.
    objects: PathBuf,
    address: String,
    client: BucketClient,
    now: Arc<AtomicI64>,
    /// How often a test tries to hit a moment; the S3 server of the tests looks at every object to list some.
    rounds: u32,
}

impl Bucket {
    async fn in_folder() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = BlobStore::open(folder.path(), Durability::Full).expect("a store");
        let objects = folder.path().to_owned();
        Self::serve(blobs, folder, objects).await
    }

    async fn on_s3() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let server = S3Server::start(folder.path()).await;
        let blobs = BlobStore::s3(&server.place("a/b"), S3Server::variables()).expect("a store");
        let objects = folder.path().join(s3_server::BUCKET).join("a/b");
        Self { rounds: 2, ..Self::serve(blobs, folder, objects).await }
    }

    async fn serve(blobs: BlobStore, folder: TempDir, objects: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        // the time of files goes on by itself
        let made = std::fs::metadata(folder.path()).and_then(|found| found.modified()).expect("a time");
        let made = made.duration_since(UNIX_EPOCH).expect("after 1970").as_millis();
        let now = Arc::new(AtomicI64::new(made as i64));
        let clock = now.clone();
        let server = Server::new(blobs, Access::open());
        let server = server.with_clock(Arc::new(move || Timestamp(clock.load(Ordering::Relaxed))));
        tokio::spawn(serve_bucket(listener, server, std::future::pending()));
        let client = BucketClient::new(&address).expect("a client");
        Self { folder, objects, address, client, now, rounds: 20 }
    }

    async fn ask(&self, method: &str, path: &str, body: &[u8]) -> Bare {
        raw(&self.address, method, path, "application/octet-stream", body).await
    }

    async fn value(&self, key: &str) -> Option<Vec<u8>> {
        let mut download = self.client.get_key(key).await.expect("an answer")?;
        let mut all = Vec::new();
        while let Some(piece) = download.next().await.expect("a piece") {
            all.extend_from_slice(&piece);
        }
        Some(all)
    }

    /// A hub that has these runs.
    async fn collect(&self, runs: &[RunId]) -> Collected {
        let begun = self.client.begin_collection().await.expect("a time");
        self.collect_since(begun, runs).await
    }

    async fn collect_since(&self, begun: Timestamp, runs: &[RunId]) -> Collected {
        let collection = Collection { database: Uuid::from_u128(1), runs: runs.to_vec() };
        self.client.collect(begun, &collection).await.expect("a collection")
    }

    fn pass(&self, seconds: i64) {
        self.now.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// All objects, as paths.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        files(&self.objects, &self.objects, &mut names);
        names.retain(|name| !name.starts_with("part/"));
        names.sort_unstable();
        names
    }

    /// What is still being written, or was left behind: files in `part`, uploads and parts of the S3 server.
    fn half_written(&self) -> usize {
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

/// One test for each claim, on both shelves.
macro_rules! on_both_shelves {
    ($($part:ident: $($claim:ident)*;)*) => {
        mod folder {
            $($(#[tokio::test] async fn $claim() { super::$part::$claim(super::Bucket::in_folder().await).await })*)*
        }
        mod s3 {
            $($(#[tokio::test] async fn $claim() { super::$part::$claim(super::Bucket::on_s3().await).await })*)*
        }
    };
}

on_both_shelves! {
    claims:
        a_blob_comes_back_as_it_was
        a_blob_that_is_not_there_is_said_to_be_missing
        a_blob_under_a_wrong_hash_is_not_kept
        a_blob_damaged_on_the_disk_is_noticed
        half_a_blob_is_thrown_away
        a_key_has_the_value_it_was_last_given
        a_key_ends_when_its_time_is_over_and_is_collected
        a_key_cannot_be_given_a_time_that_is_none
        a_value_that_cannot_be_read_to_its_end_is_not_kept
        no_name_leads_out_of_the_root
        other_methods_and_routes_are_refused;
    collection:
        what_no_run_wants_is_collected_after_the_grace
        a_run_that_is_not_handed_in_yet_keeps_what_it_uploaded
        a_list_of_runs_that_was_held_up_drops_nothing_of_later_ones
        a_blob_that_two_runs_want_goes_with_the_last_one
        a_blob_that_was_said_to_be_there_stays
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
    BlobStore::open(folder.path(), Durability::Full).expect("it is free again");
}

#[tokio::test]
async fn a_store_that_does_not_let_us_in_means_503() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = S3Server::start(folder.path()).await;
    let wrong = S3Server::variables().into_iter().map(|(name, value)| (name, format!("{value}x")));
    let blobs = BlobStore::s3(&server.place(""), wrong).expect("a store");
    let bucket = Bucket::serve(blobs, folder, PathBuf::new()).await;
    // what is uploaded in parts is refused before the first of them
    let large = vec![b'x'; 9_000_000];
    for (method, path, body) in [
        ("GET", "/readyz", &b"x"[..]),
        ("GET", "/v1/keys/a", b"x"),
        ("PUT", "/v1/keys/a", b"x"),
        ("PUT", "/v1/keys/a", &large),
    ] {
        let answer = bucket.ask(method, path, body).await;
        assert_eq!(answer.status, 503, "{method} {path}: {}", answer.body);
        assert!(answer.body.contains("\"store\"") && !answer.body.contains(s3_server::SECRET), "{}", answer.body);
    }
    assert_eq!(bucket.ask("GET", "/healthz", b"").await.status, 200);
}
