//! A bucket that is killed while jobs need it.

use bue_test_support::wait::wait_until;

use super::test_bed::{TestBed, count, rounds, upload, value, wait};
use crate::services::{Server, wait_for_count};

/// Seconds of a lease, longer than the test: no job runs again because its lease ended.
const LONG_LEASE: u64 = 3_600;
/// Results of this size are in the bucket.
const LARGE_RESULT: &str = "def round(n):\n    return 'x' * 100_000 + str(n)";
const ROUNDS: u64 = 300;

#[test]
fn jobs_wait_for_a_bucket_that_is_away() {
    let mut test_bed = TestBed::new(LONG_LEASE);
    let (hub, worker) = (test_bed.hub(), test_bed.worker(8));
    let project = test_bed.project(&rounds(ROUNDS, LARGE_RESULT));
    let run = upload(&project);
    wait_for_count("some rounds have ended", 3, || count(&project, run, 1, "completed"));
    test_bed.bucket.kill();
    wait_until("jobs wait for the bucket", || worker.stderr_count("jobs wait for the bucket") == 1);
    let address = test_bed.bucket.address.clone();
    test_bed.bucket = Server::start(&test_bed.folder, &["bucket", "-b", &address, "--store", "dir:blobs"]);
    wait(&project, run);
    let results = value(&project, run);
    let results = results.as_array().expect("a list");
    assert_eq!(results.len() as u64, ROUNDS);
    assert!((0..).zip(results).all(|(n, result)| result == &format!("{}{n}", "x".repeat(100_000))));
    assert!(worker.stderr_count("the bucket is back") > 0, "{}", worker.stderr());
    [worker, hub].into_iter().for_each(Server::stop);
}
