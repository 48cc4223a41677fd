//! A worker that is paused for longer than its leases last: its jobs are leased to another worker meanwhile, and its late outcomes
//! change nothing.

use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use bue_model::RunId;
use fastrand::Rng;
use serde_json::Value;

use super::ledger::Ledger;
use super::seeds::{replay, replayed, tries};
use super::test_bed::{EnoughOnDrop, TestBed, keep_busy, rounds, upload, value, wait};
use crate::services::Server;

/// Returns its start time, which distinguishes the attempts of a job. Takes as long as a lease lasts, so that the lease ends while
/// its worker is paused.
const STEP: &str = "import time\ndef round(n):\n    started_at = time.time()\n    time.sleep(1)\n    return started_at";
/// Rounds of a run.
const ROUNDS: u64 = 200;
/// The most jobs of the worker that is paused, and of the one that is not.
const SLOTS: [usize; 2] = [30, 60];
/// How long to wait for the hub to notice that a lease has ended; if it takes longer, that pause gives no stale outcome.
const REAP_TIMEOUT: Duration = Duration::from_secs(20);
/// What the hub logs when it requeues jobs, and a worker when its outcome was refused.
const REAPED: &str = "requeued jobs whose leases expired";
const REFUSED: &str = "the lease ended before the report arrived";
/// Seconds by which two readings of a machine's clock may differ when they are rounded to milliseconds.
const CLOCK_ERROR: f64 = 0.002;

/// What happened in one test bed.
struct Counts {
    /// Stale outcomes that the hub refused.
    refused: usize,
    /// Jobs leased more than once.
    leased_again: usize,
    /// Values of attempts whose lease had ended.
    accepted_stale: usize,
}

#[test]
fn late_outcomes_of_a_paused_worker_change_nothing() {
    let seed = replayed().unwrap_or(1);
    println!("{}", replay(seed));
    let (pauses, sites) = (tries("BUE_PAUSES", 4), tries("BUE_SITES", 1));
    let all: Vec<Counts> = thread::scope(|scope| {
        let sites: Vec<_> = (0..sites).map(|test_bed| scope.spawn(move || pause(seed + test_bed, pauses))).collect();
        sites.into_iter().map(|test_bed| test_bed.join().expect("a test_bed")).collect()
    });
    let sum = |of: fn(&Counts) -> usize| all.iter().map(of).sum::<usize>();
    let (refused, leased_again, accepted_stale) =
        (sum(|counts| counts.refused), sum(|counts| counts.leased_again), sum(|counts| counts.accepted_stale));
    println!(
        "{} pauses at {sites} hubs, {leased_again} jobs leased again, {refused} stale outcomes refused, {accepted_stale} accepted",
        pauses * sites
    );
    assert_eq!(accepted_stale, 0);
    assert!(refused > 0, "no outcome was late");
}

fn pause(seed: u64, pauses: u64) -> Counts {
    let mut random = Rng::with_seed(seed);
    let test_bed = TestBed::with_ledger(1);
    let hub = test_bed.hub();
    let [paused, steady] = SLOTS.map(|slots| test_bed.worker(slots));
    let is_enough = AtomicBool::new(false);
    let runs = thread::scope(|scope| {
        let clients = scope.spawn(|| keep_busy(&test_bed, &rounds(ROUNDS, STEP), 2, &is_enough));
        let enough = EnoughOnDrop(&is_enough);
        for _ in 0..pauses {
            // requeued jobs complete before the next pause, so that no job is requeued so often that it fails
            thread::sleep(Duration::from_millis(random.u64(1_300..2_300)));
            let reaped = hub.stderr_count(REAPED);
            paused.send_signal("STOP");
            let paused_at = Instant::now();
            while hub.stderr_count(REAPED) == reaped && paused_at.elapsed() < REAP_TIMEOUT {
                thread::sleep(Duration::from_millis(20));
            }
            thread::sleep(Duration::from_millis(random.u64(0..600)));
            paused.send_signal("CONT");
        }
        drop(enough);
        clients.join().expect("clients that succeed")
    });
    steady.stop();
    expect_work(&test_bed);
    let refused = paused.stderr_count(REFUSED);
    [paused, hub].into_iter().for_each(Server::stop);
    let ledger = Ledger::open(&test_bed.database());
    assert_eq!((ledger.unfinished(), ledger.runs_not_completed(), ledger.committed_twice()), (0, 0, 0));
    count_attempts(&ledger, &runs, refused)
}

/// Checks that the worker that was paused, now the only one, still works.
fn expect_work(test_bed: &TestBed) {
    let project = test_bed.project(&rounds(5, "def round(n):\n    return n"));
    let run = upload(&project);
    wait(&project, run);
    assert_eq!(value(&project, run), serde_json::json!([0, 1, 2, 3, 4]));
}

/// An attempt that started before the last lease of its job is stale, and its value must not have been accepted.
fn count_attempts(ledger: &Ledger, runs: &[(RunId, Value)], refused: usize) -> Counts {
    let (mut leased_again, mut accepted_stale) = (0, 0);
    for (run, value) in runs {
        let start_times = value.as_array().expect("a list");
        let rounds = ledger.rounds(run.0.as_u128());
        assert_eq!((start_times.len() as u64, rounds.len() as u64), (ROUNDS, ROUNDS));
        for (started_at, (leased_at, leases)) in start_times.iter().zip(rounds) {
            leased_again += usize::from(leases > 1);
            accepted_stale += usize::from(started_at.as_f64().expect("a time") < leased_at - CLOCK_ERROR);
        }
    }
    Counts { refused, leased_again, accepted_stale }
}
