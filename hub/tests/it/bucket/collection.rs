//! What is thrown away, and what never is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bue_client::{BucketClient, ClientError};
use bue_model::wire::{Collected, Collection};
use bue_model::{BlobHash, BlobRef, RunId, Timestamp};
use bytes::Bytes;
use futures_util::future::join_all;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{Bucket, run};

const GONE: RunId = RunId(Uuid::from_u128(1));
const LIVING: RunId = RunId(Uuid::from_u128(2));

/// Longer than what nobody refers to is kept.
const LONG: i64 = 25 * 60 * 60;

async fn put(bucket: &Bucket, run: RunId, text: &'static str) -> BlobRef {
    bucket.client.put(run, Bytes::from_static(text.as_bytes())).await.expect("stored")
}

async fn is_there(bucket: &Bucket, blob: &BlobRef) -> bool {
    bucket.ask("GET", &format!("/v1/blobs/{}", blob.hash), b"").await.status == 200
}

pub(super) async fn what_no_run_wants_is_collected_after_the_grace(bucket: Bucket) {
    let (kept, gone) = (put(&bucket, run(1), "kept").await, put(&bucket, run(2), "gone").await);
    let nobodys = BlobRef { hash: hash_of(b"nobody's"), len: 8 };
    assert_eq!(bucket.ask("PUT", &format!("/v1/blobs/{}", nobodys.hash), b"nobody's").await.status, 200);
    // run 2 was deleted a moment ago; what is young stays all the same
    assert_eq!(bucket.collect(&[run(1)]).await, Collected::default());
    bucket.pass(LONG);
    assert_eq!(bucket.collect(&[run(1)]).await, Collected { references: 1, blobs: 2 });
    assert!(is_there(&bucket, &kept).await);
    assert!(!is_there(&bucket, &gone).await && !is_there(&bucket, &nobodys).await);
    assert_eq!(bucket.collect(&[run(1)]).await, Collected::default());
    assert_eq!(bucket.collect(&[]).await, Collected { references: 1, blobs: 1 });
    assert_eq!(bucket.names(), ["owner"]);
}

pub(super) async fn a_run_that_is_not_handed_in_yet_keeps_what_it_uploaded(bucket: Bucket) {
    // an old blob that nobody wants any more, and a client that is about to hand in a run with it
    let old = put(&bucket, run(1), "old").await;
    bucket.pass(LONG);
    let path = bucket.objects.join(bucket.names().into_iter().find(|name| name.starts_with("refs")).expect("one"));
    assert!(bucket.client.has(run(2), &old.hash).await.expect("an answer"));
    // the file of its reference is as young as the moved clock says
    let reference = path.with_file_name(format!("{}_{}", old.hash, run(2)));
    let made = std::fs::metadata(&path).and_then(|found| found.modified()).expect("a time");
    let young = made + std::time::Duration::from_secs(LONG.unsigned_abs());
    std::fs::File::options().append(true).open(reference).and_then(|file| file.set_modified(young)).expect("moved");
    assert_eq!(bucket.collect(&[]).await, Collected { references: 1, blobs: 0 });
    assert!(is_there(&bucket, &old).await);
}

pub(super) async fn a_list_of_runs_that_was_held_up_drops_nothing_of_later_ones(bucket: Bucket) {
    let begun = bucket.client.begin_collection().await.expect("a time");
    let blob = put(&bucket, run(7), "later").await;
    bucket.pass(LONG);
    assert_eq!(bucket.collect_since(begun, &[]).await, Collected::default());
    assert!(is_there(&bucket, &blob).await);
    // nobody can send a list from times to come
    bucket.pass(-LONG);
    assert_eq!(bucket.collect_since(Timestamp(i64::MAX), &[]).await, Collected::default());
    assert!(is_there(&bucket, &blob).await);
}

pub(super) async fn a_blob_that_two_runs_want_goes_with_the_last_one(bucket: Bucket) {
    let blob = put(&bucket, run(1), "shared").await;
    assert_eq!(put(&bucket, run(2), "shared").await, blob);
    bucket.pass(LONG);
    assert_eq!(bucket.collect(&[run(2)]).await, Collected { references: 1, blobs: 0 });
    assert!(is_there(&bucket, &blob).await);
    assert_eq!(bucket.collect(&[]).await, Collected { references: 1, blobs: 1 });
    assert!(!is_there(&bucket, &blob).await);
}

/// The race that must not be lost: blobs of a run that is gone, all older than the grace, are thrown away while clients ask
/// whether they are there, for a run that the hub has. Whatever was answered must be true ever after.
pub(super) async fn a_blob_that_was_said_to_be_there_stays(bucket: Bucket) {
    bucket.pass(LONG);
    let client = Arc::new(BucketClient::new(&bucket.address).expect("a client"));
    let (rounds, thrown_away) = (bucket.rounds, Arc::new(AtomicU64::new(0)));
    let ask = |asker| tokio::spawn(ask(client.clone(), asker, rounds, thrown_away.clone()));
    let asking: Vec<_> = (0..8).map(ask).collect();
    while !asking.iter().all(JoinHandle::is_finished) {
        thrown_away.fetch_add(bucket.collect(&[LIVING]).await.blobs, Ordering::Relaxed);
    }
    bucket.collect(&[LIVING]).await;
    for blob in join_all(asking).await.into_iter().flat_map(|asker| asker.expect("no panic")) {
        client.get(&blob).await.expect("it is still there");
    }
}

/// Stores blobs for a run that is gone, then asks for them for one that is not: so often, and until something was thrown away
/// meanwhile.
async fn ask(client: Arc<BucketClient>, asker: u32, rounds: u32, thrown_away: Arc<AtomicU64>) -> Vec<BlobRef> {
    let mut wanted = Vec::new();
    for round in (0..).take_while(|round| *round < rounds || thrown_away.load(Ordering::Relaxed) == 0) {
        let contents: Vec<_> = (0..8).map(|number| neighbour(&format!("{asker} {round} {number}"))).collect();
        for content in &contents {
            client.put(GONE, content.clone()).await.expect("stored");
        }
        for content in contents {
            let blob = BlobRef { hash: hash_of(&content), len: content.len() as u64 };
            if !client.has(LIVING, &blob.hash).await.expect("an answer") {
                client.put(LIVING, content).await.expect("stored");
            }
            client.get(&blob).await.expect("it is there");
            wanted.push(blob);
        }
    }
    wanted
}

/// Bytes that are thrown away together with all others made so: their hashes begin alike.
fn neighbour(text: &str) -> Bytes {
    let mut tries = (0..).map(|number: u32| Bytes::from(format!("{text} {number}")));
    tries.find(|content| hash_of(content).0[0] == 0).expect("one of 256")
}

fn hash_of(content: &[u8]) -> BlobHash {
    BlobHash(*blake3::hash(content).as_bytes())
}

pub(super) async fn keys_are_not_collected_with_blobs(bucket: Bucket) {
    bucket.client.set_key("a/b", &b"value"[..], None).await.expect("set");
    bucket.pass(LONG);
    bucket.collect(&[]).await;
    assert_eq!(bucket.value("a/b").await.as_deref(), Some(&b"value"[..]));
}

pub(super) async fn a_bucket_serves_one_database(bucket: Bucket) {
    let blob = put(&bucket, run(1), "kept").await;
    bucket.collect(&[run(1)]).await;
    bucket.pass(LONG);
    let other = Collection { database: Uuid::from_u128(2), runs: vec![] };
    let refused = bucket.client.collect(Timestamp(0), &other).await.expect_err("a refusal");
    assert!(
        matches!(&refused, ClientError::Refused { status: 409, code, .. } if code == "other_database"),
        "{refused}"
    );
    assert!(is_there(&bucket, &blob).await);
}
