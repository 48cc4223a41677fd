//! kill -9 of the hub and of workers at any time, while clients submit runs and wait for them.

use std::fs;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::json;
use tempfile::TempDir;

use super::ledger::Ledger;
use super::seeds::{replay, replayed, tries};
use super::test_bed::{EnoughOnDrop, TestBed, count, keep_busy, rounds, upload, value, wait};
use crate::services::{Server, wait_for_count};

/// Clients that submit runs.
const CLIENTS: usize = 2;
/// The most jobs of each of the two workers.
const SLOTS: usize = 64;
/// Seconds of a lease; short, so that jobs of dead workers are soon available again.
const LEASE: u64 = 2;
/// Seconds over which commits are counted to measure the throughput.
const WINDOW: f64 = 0.5;

/// The kills of a test.
#[derive(Default)]
struct Kills {
    /// When hubs were killed, in seconds since 1970.
    hubs: Vec<f64>,
    workers: u64,
    /// Jobs on leases at those times; for killed workers, their slots.
    leased: u64,
}

#[test]
fn hubs_and_workers_may_be_killed_at_any_time() {
    let seed = replayed().unwrap_or(1);
    println!("{}", replay(seed));
    let (kills, rounds_of_run) = (tries("BUE_KILLS", 4), tries("BUE_ROUNDS", 300));
    let longest_gap = tries("BUE_GAP_MS", 900);
    let test_bed = TestBed::with_ledger(LEASE);
    let is_enough = AtomicBool::new(false);
    let script = rounds(rounds_of_run, "def round(n):\n    return n * 2");
    let mut services = Services::start(&test_bed);
    let (runs, killed) = thread::scope(|scope| {
        let clients = scope.spawn(|| keep_busy(&test_bed, &script, CLIENTS, &is_enough));
        let enough = EnoughOnDrop(&is_enough);
        let killed = services.kill_repeatedly(&mut Rng::with_seed(seed), kills, longest_gap);
        drop(enough);
        (clients.join().expect("clients that succeed"), killed)
    });
    services.stop();
    let doubled: Vec<u64> = (0..rounds_of_run).map(|n| n * 2).collect();
    assert!(runs.iter().all(|(_, value)| *value == json!(doubled)), "a result is wrong");
    let ledger = Ledger::open(&test_bed.database());
    // each run has its source, its rounds, and the loop itself, which is never leased
    let jobs = runs.len() as u64 * (rounds_of_run + 1);
    let commits = jobs + runs.len() as u64;
    let leased_again = ledger.leases() - jobs;
    println!(
        "{} hubs and {} workers killed, {jobs} jobs in {} runs, {} lost, {} double; {leased_again} leased again, {} leases at the kills",
        killed.hubs.len(),
        killed.workers,
        runs.len(),
        commits.saturating_sub(ledger.commits()),
        ledger.committed_twice(),
        killed.leased,
    );
    print_recovery_times(&ledger.commit_times(), &killed.hubs);
    assert_eq!((ledger.unfinished(), ledger.runs_not_completed(), ledger.committed_twice()), (0, 0, 0));
    assert_eq!(ledger.commits(), commits);
    assert!(
        leased_again <= killed.leased,
        "{leased_again} jobs were leased again, but only {} leases can have been lost",
        killed.leased
    );
}

struct Services<'a> {
    test_bed: &'a TestBed,
    hub: Server,
    workers: [Server; 2],
}

impl<'a> Services<'a> {
    fn start(test_bed: &'a TestBed) -> Self {
        Self { test_bed, hub: test_bed.hub(), workers: [test_bed.worker(SLOTS), test_bed.worker(SLOTS)] }
    }

    /// Kills the hub so many times, and a worker about every third time, and restarts them.
    fn kill_repeatedly(&mut self, random: &mut Rng, kills: u64, longest_gap: u64) -> Kills {
        let mut killed = Kills::default();
        for _ in 0..kills {
            thread::sleep(Duration::from_millis(random.u64(0..=longest_gap)));
            if random.u8(0..3) == 0 {
                let worker = &mut self.workers[random.usize(0..2)];
                worker.kill();
                *worker = self.test_bed.worker(SLOTS);
                killed.workers += 1;
                killed.leased += SLOTS as u64;
            }
            killed.hubs.push(now());
            self.hub.kill();
            killed.leased += leased(self.test_bed);
            self.hub = self.test_bed.hub();
        }
        killed
    }

    fn stop(self) {
        self.workers.into_iter().chain([self.hub]).for_each(Server::stop);
    }
}

/// Returns the number of jobs on leases in the database of a killed hub. Opens a copy, because the hub itself must recover the
/// original.
fn leased(test_bed: &TestBed) -> u64 {
    let copy = TempDir::new().expect("a folder");
    for name in ["hub.db", "hub.db-wal"] {
        fs::copy(test_bed.folder.path().join(name), copy.path().join(name)).expect("a copy");
    }
    Ledger::open(&copy.path().join("hub.db")).leased()
}

/// Prints how long it took after each kill until the throughput was back at 90 % of the median. Not an assertion, because it
/// depends on the machine.
fn print_recovery_times(commits: &[f64], kills: &[f64]) {
    let within = |from: f64| {
        let before = |time: f64| commits.partition_point(|at| *at < time);
        before(from + WINDOW) - before(from)
    };
    let (Some(first), Some(last)) = (commits.first(), commits.last()) else { return };
    let steps = |from: f64, step: f64| (0..).map(move |at| from + f64::from(at) * step);
    let speeds = steps(*first, WINDOW).take_while(|from| from < last).map(within);
    let mut speeds: Vec<usize> = speeds.filter(|speed| *speed > 0).collect();
    speeds.sort_unstable();
    let median = speeds.get(speeds.len() / 2).copied().unwrap_or_default();
    let has_recovered = |from: &f64| within(*from) * 10 >= median * 9;
    let mut waits: Vec<f64> = Vec::new();
    for (at, kill) in kills.iter().enumerate() {
        let until = kills.get(at + 1).copied().unwrap_or(*last);
        waits.extend(steps(*kill, 0.05).take_while(|from| *from < until).find(has_recovered).map(|at| at - kill));
    }
    waits.sort_by(f64::total_cmp);
    let at = |part: usize| waits.get(waits.len() * part / 100).or(waits.last()).copied().unwrap_or_default();
    println!(
        "{:.0} jobs/s in the median; after {} of {} kills 90 % of that again before the next one, within {:.2} s (half), \
         {:.2} s (95 %), {:.2} s (all)",
        median as f64 / WINDOW,
        waits.len(),
        kills.len(),
        at(50),
        at(95),
        at(100),
    );
}

#[expect(clippy::disallowed_methods, reason = "compared with times that a database wrote")]
fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// With the default lease.
#[test]
fn what_a_killed_worker_held_runs_elsewhere() {
    const JOBS: u8 = 8;
    let test_bed = TestBed::with_ledger(8);
    let hub = test_bed.hub();
    let mut first = test_bed.worker(JOBS.into());
    let project = test_bed.project(&rounds(JOBS.into(), "import time\ndef round(n):\n    time.sleep(1)\n    return n"));
    let run = upload(&project);
    wait_for_count("all jobs run", JOBS.into(), || count(&project, run, 1, "running"));
    let killed = Instant::now();
    first.kill();
    let second = test_bed.worker(JOBS.into());
    wait(&project, run);
    println!("{JOBS} jobs of a killed worker completed elsewhere after {:.1} s", killed.elapsed().as_secs_f64());
    assert_eq!(value(&project, run), json!((0..JOBS).collect::<Vec<_>>()));
    [second, hub].into_iter().for_each(Server::stop);
    let ledger = Ledger::open(&test_bed.database());
    assert_eq!((ledger.leases(), ledger.committed_twice(), ledger.unfinished()), (1 + 2 * u64::from(JOBS), 0, 0));
    let commits: Vec<u64> = ledger.commits_by_worker().into_values().collect();
    let (one, all) = (1, u64::from(JOBS));
    assert!(commits == [one, all] || commits == [all, one], "the first worker committed the source only: {commits:?}");
}
