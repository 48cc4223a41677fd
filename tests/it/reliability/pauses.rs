//! A worker that stands still for longer than its lease: what it held was given to another one meanwhile, and its late
//! outcomes change nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bue_model::RunId;
use fastrand::Rng;
use serde_json::Value;

use super::ledger::Ledger;
use super::seeds::{replay, replayed, tries};
use super::site::{Site, keep_busy, rounds, upload, value, wait};
use crate::services::Server;

/// Says when it began, which tells the attempts of a job apart. As long as a lease, so that it ends while its worker stands.
const STEP: &str = "import time\ndef round(n):\n    began = time.time()\n    time.sleep(1)\n    return began";
/// Rounds of a run.
const ROUNDS: u64 = 200;
/// Jobs of the worker that is paused, and of the one that is not.
const SLOTS: [usize; 2] = [30, 60];
/// Time for the hub to notice that a lease ended; if it takes longer, no outcome is stale that time.
const PATIENCE: Duration = Duration::from_secs(20);
/// What the hub says when it puts jobs back, and a worker when its outcome was refused.
const REAPED: &str = "requeued jobs whose leases expired";
const REFUSED: &str = "the lease had ended before the report";
/// Seconds by which two clocks of one machine may differ when they are read as milliseconds.
const TICK: f64 = 0.002;

/// What was seen at a site.
struct Seen {
    refused: usize,
    /// Jobs given away more than once.
    again: usize,
    /// Values of attempts whose lease was over.
    taken: usize,
}

#[test]
fn late_outcomes_of_a_paused_worker_change_nothing() {
    let seed = replayed().unwrap_or(1);
    println!("{}", replay(seed));
    let (pauses, sites) = (tries("BUE_PAUSES", 4), tries("BUE_SITES", 1));
    let all: Vec<Seen> = thread::scope(|scope| {
        let sites: Vec<_> = (0..sites).map(|site| scope.spawn(move || pause(seed + site, pauses))).collect();
        sites.into_iter().map(|site| site.join().expect("a site")).collect()
    });
    let sum = |of: fn(&Seen) -> usize| all.iter().map(of).sum::<usize>();
    let (refused, again, taken) = (sum(|seen| seen.refused), sum(|seen| seen.again), sum(|seen| seen.taken));
    println!(
        "{} pauses at {sites} hubs, {again} jobs given again, {refused} stale outcomes offered, {taken} taken",
        pauses * sites
    );
    assert_eq!(taken, 0);
    assert!(refused > 0, "no outcome was late");
}

fn pause(seed: u64, pauses: u64) -> Seen {
    let mut chance = Rng::with_seed(seed);
    let site = Site::with_ledger(1);
    let hub = site.hub();
    let [paused, steady] = SLOTS.map(|slots| site.worker(slots));
    let is_enough = AtomicBool::new(false);
    let runs = thread::scope(|scope| {
        let clients = scope.spawn(|| keep_busy(&site, &rounds(ROUNDS, STEP), 2, &is_enough));
        for _ in 0..pauses {
            // what was given back is done before the next pause, so that no job is given back too often to be chance
            thread::sleep(Duration::from_millis(chance.u64(1_300..2_300)));
            let reaped = hub.said_times(REAPED);
            paused.tell("STOP");
            let begun = Instant::now();
            while hub.said_times(REAPED) == reaped && begun.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(20));
            }
            thread::sleep(Duration::from_millis(chance.u64(0..600)));
            paused.tell("CONT");
        }
        is_enough.store(true, Ordering::Relaxed);
        clients.join().expect("clients that succeed")
    });
    steady.stop();
    goes_on(&site);
    let refused = paused.said_times(REFUSED);
    [paused, hub].into_iter().for_each(Server::stop);
    let ledger = Ledger::open(&site.database());
    assert_eq!((ledger.left(), ledger.runs_not_completed(), ledger.double()), (0, 0, 0));
    look(&ledger, &runs, refused)
}

/// Whether the worker that was paused, now the only one, still works.
fn goes_on(site: &Site) {
    let project = site.project(&rounds(5, "def round(n):\n    return n"));
    let run = upload(&project);
    wait(&project, run);
    assert_eq!(value(&project, run), serde_json::json!([0, 1, 2, 3, 4]));
}

/// An attempt that began before its job was last given away was not the one to be heard.
fn look(ledger: &Ledger, runs: &[(RunId, Value)], refused: usize) -> Seen {
    let (mut again, mut taken) = (0, 0);
    for (run, value) in runs {
        let began = value.as_array().expect("a list");
        let rounds = ledger.rounds(run.0.as_u128());
        assert_eq!((began.len() as u64, rounds.len() as u64), (ROUNDS, ROUNDS));
        for (began, (given, times)) in began.iter().zip(rounds) {
            again += usize::from(times > 1);
            taken += usize::from(began.as_f64().expect("a time") < given - TICK);
        }
    }
    Seen { refused, again, taken }
}
