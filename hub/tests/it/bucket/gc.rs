//! What the garbage collection deletes, and what it never does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bue_client::{BucketClient, ClientError};
use bue_model::wire::{Collected, Collection};
use bue_model::{BlobHash, BlobRef, RunId, Timestamp};
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{TestBucket, run};

const GONE: RunId = RunId(Uuid::from_u128(1));
const LIVING: RunId = RunId(Uuid::from_u128(2));

/// Longer than the grace period, in seconds.
const LONG: i64 = 25 * 60 * 60;

async fn put(bucket: &TestBucket, run: RunId, text: &'static str) -> BlobRef {
    bucket.client.put(run, Bytes::from_static(text.as_bytes())).await.expect("stored")
}

async fn is_there(bucket: &TestBucket, blob: &BlobRef) -> bool {
    bucket.request("GET", &format!("/v1/blobs/{}", blob.hash), b"").await.status == 200
}

pub(super) async fn unreferenced_blobs_are_collected_after_the_grace_period(bucket: TestBucket) {
    let (kept, gone) = (put(&bucket, run(1), "kept").await, put(&bucket, run(2), "gone").await);
    let unreferenced = BlobRef { hash: hash_of(b"nobody's"), len: 8 };
    assert_eq!(bucket.request("PUT", &format!("/v1/blobs/{}", unreferenced.hash), b"nobody's").await.status, 200);
    // run 2 was deleted a moment ago, but its blob is younger than the grace period
    assert_eq!(bucket.collect(&[run(1)]).await, Collected::default());
    bucket.advance(LONG);
    assert_eq!(bucket.collect(&[run(1)]).await, Collected { references: 1, blobs: 2 });
    assert!(is_there(&bucket, &kept).await);
    assert!(!is_there(&bucket, &gone).await && !is_there(&bucket, &unreferenced).await);
    assert_eq!(bucket.collect(&[run(1)]).await, Collected::default());
    assert_eq!(bucket.collect(&[]).await, Collected { references: 1, blobs: 1 });
    assert_eq!(bucket.names(), ["owner"]);
}

pub(super) async fn a_run_that_is_not_submitted_yet_keeps_its_blobs(bucket: TestBucket) {
    // an old blob that no run needs any more, and a client that is about to submit a run with it
    let old = put(&bucket, run(1), "old").await;
    bucket.advance(LONG);
    let path = bucket.objects.join(bucket.names().into_iter().find(|name| name.starts_with("refs")).expect("one"));
    assert!(bucket.client.has(run(2), &old.hash).await.expect("an answer"));
    // the reference is new by the moved clock, but its file has the time of the system
    let reference = path.with_file_name(format!("{}_{}", old.hash, run(2)));
    let created = std::fs::metadata(&path).and_then(|metadata| metadata.modified()).expect("a time");
    let young = created + std::time::Duration::from_secs(LONG.unsigned_abs());
    std::fs::File::options().append(true).open(reference).and_then(|file| file.set_modified(young)).expect("moved");
    assert_eq!(bucket.collect(&[]).await, Collected { references: 1, blobs: 0 });
    assert!(is_there(&bucket, &old).await);
}

pub(super) async fn a_delayed_list_of_runs_collects_nothing_of_later_runs(bucket: TestBucket) {
    let started_at = bucket.client.begin_collection().await.expect("a time");
    let blob = put(&bucket, run(7), "later").await;
    bucket.advance(LONG);
    assert_eq!(bucket.collect_since(started_at, &[]).await, Collected::default());
    assert!(is_there(&bucket, &blob).await);
    // a time in the future is replaced by the bucket's own
    bucket.advance(-LONG);
    assert_eq!(bucket.collect_since(Timestamp(i64::MAX), &[]).await, Collected::default());
    assert!(is_there(&bucket, &blob).await);
}

pub(super) async fn a_blob_shared_by_two_runs_is_collected_with_the_last_one(bucket: TestBucket) {
    let blob = put(&bucket, run(1), "shared").await;
    assert_eq!(put(&bucket, run(2), "shared").await, blob);
    bucket.advance(LONG);
    assert_eq!(bucket.collect(&[run(2)]).await, Collected { references: 1, blobs: 0 });
    assert!(is_there(&bucket, &blob).await);
    assert_eq!(bucket.collect(&[]).await, Collected { references: 1, blobs: 1 });
    assert!(!is_there(&bucket, &blob).await);
}

/// The critical race: blobs of a deleted run, all older than the grace period, are collected while clients ask whether they
/// exist, for a run that the hub has. A blob that was reported as present must stay.
pub(super) async fn a_blob_reported_as_present_is_kept(bucket: TestBucket) {
    bucket.advance(LONG);
    let client = Arc::new(BucketClient::new(&bucket.address).expect("a client"));
    let (rounds, deleted) = (bucket.rounds, Arc::new(AtomicU64::new(0)));
    let spawn = |asker| tokio::spawn(store_and_ask(client.clone(), asker, rounds, deleted.clone()));
    let asking: Vec<_> = (0..8).map(spawn).collect();
    while !asking.iter().all(JoinHandle::is_finished) {
        deleted.fetch_add(bucket.collect(&[LIVING]).await.blobs, Ordering::Relaxed);
    }
    bucket.collect(&[LIVING]).await;
    for blob in join_all(asking).await.into_iter().flat_map(|asker| asker.expect("no panic")) {
        client.get(&blob).await.expect("the blob is kept");
    }
    assert!(deleted.load(Ordering::Relaxed) > 0, "no collection deleted anything, so nothing was tested");
}

/// Rounds after which the test gives up waiting for a collection that deletes something.
const MAX_ROUNDS: u32 = 1_000;

/// Stores blobs for a deleted run, then asks for them for a living one: for so many rounds, and until a collection has deleted
/// something meanwhile.
async fn store_and_ask(client: Arc<BucketClient>, asker: u32, rounds: u32, deleted: Arc<AtomicU64>) -> Vec<BlobRef> {
    let mut wanted = Vec::new();
    for round in (0..MAX_ROUNDS).take_while(|round| *round < rounds || deleted.load(Ordering::Relaxed) == 0) {
        let contents: Vec<_> = (0..8).map(|number| neighbour(&format!("{asker} {round} {number}"))).collect();
        for content in &contents {
            client.put(GONE, content.clone()).await.expect("stored");
        }
        for content in contents {
            let blob = BlobRef { hash: hash_of(&content), len: content.len() as u64 };
            if !client.has(LIVING, &blob.hash).await.expect("an answer") {
                client.put(LIVING, content).await.expect("stored");
            }
            client.get(&blob).await.expect("the blob exists");
            wanted.push(blob);
        }
    }
    wanted
}

/// Bytes in the same shard as all others made by this function: their hashes begin with the same byte.
fn neighbour(text: &str) -> Bytes {
    let mut tries = (0..).map(|number: u32| Bytes::from(format!("{text} {number}")));
    tries.find(|content| hash_of(content).0[0] == 0).expect("one of 256")
}

fn hash_of(content: &[u8]) -> BlobHash {
    BlobHash(*blake3::hash(content).as_bytes())
}

pub(super) async fn keys_are_not_collected_with_blobs(bucket: TestBucket) {
    bucket.client.set_key("a/b", &b"value"[..], None).await.expect("set");
    bucket.advance(LONG);
    bucket.collect(&[]).await;
    assert_eq!(bucket.value("a/b").await.as_deref(), Some(&b"value"[..]));
}

pub(super) async fn a_bucket_serves_one_database(bucket: TestBucket) {
    let blob = put(&bucket, run(1), "kept").await;
    bucket.collect(&[run(1)]).await;
    bucket.advance(LONG);
    let other = Collection { database: Uuid::from_u128(2), runs: vec![] };
    let refused = bucket.client.collect(Timestamp(0), &other).await.expect_err("a refusal");
    assert!(
        matches!(&refused, ClientError::Refused { status: 409, code, .. } if code == "other_database"),
        "{refused}"
    );
    assert!(is_there(&bucket, &blob).await);
}
