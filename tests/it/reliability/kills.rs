//! kill -9 of the hub and of workers at any time, while clients hand in runs and wait for them.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::json;
use tempfile::TempDir;

use super::ledger::Ledger;
use super::seeds::{replay, replayed, tries};
use super::site::{Site, count, keep_busy, rounds, upload, value, wait};
use crate::services::Server;

/// Clients that hand in runs.
const CLIENTS: usize = 2;
/// Jobs that each of the two workers holds.
const SLOTS: usize = 64;
/// Seconds of a lease: jobs of dead workers come back soon.
const LEASE: u64 = 2;
/// Seconds in which commits are counted to know the speed.
const WINDOW: f64 = 0.5;

/// What was done to the services.
#[derive(Default)]
struct Kills {
    /// When hubs were killed, in seconds since 1970.
    hubs: Vec<f64>,
    workers: u64,
    /// Jobs that were out on leases at those times, those of killed workers counted by their slots.
    leased: u64,
}

#[test]
fn hubs_and_workers_may_be_killed_at_any_time() {
    let seed = replayed().unwrap_or(1);
    println!("{}", replay(seed));
    let (kills, rounds_of_run) = (tries("BUE_KILLS", 4), tries("BUE_ROUNDS", 300));
    let longest_gap = tries("BUE_GAP_MS", 900);
    let site = Site::with_ledger(LEASE);
    let is_enough = AtomicBool::new(false);
    let script = rounds(rounds_of_run, "def round(n):\n    return n * 2");
    let mut services = Services::start(&site);
    let (runs, killed) = thread::scope(|scope| {
        let clients = scope.spawn(|| keep_busy(&site, &script, CLIENTS, &is_enough));
        let killed = services.kill_now_and_then(&mut Rng::with_seed(seed), kills, longest_gap);
        is_enough.store(true, Ordering::Relaxed);
        (clients.join().expect("clients that succeed"), killed)
    });
    services.stop();
    let doubled: Vec<u64> = (0..rounds_of_run).map(|n| n * 2).collect();
    assert!(runs.iter().all(|(_, value)| *value == json!(doubled)), "a result is wrong");
    let ledger = Ledger::open(&site.database());
    // each run has its source, its rounds, and the loop itself, which is never given away
    let jobs = runs.len() as u64 * (rounds_of_run + 1);
    let commits = jobs + runs.len() as u64;
    let again = ledger.given() - jobs;
    println!(
        "{} hubs and {} workers killed, {jobs} jobs in {} runs, {} lost, {} double; {again} leases given again, {} open at \
         the kills",
        killed.hubs.len(),
        killed.workers,
        runs.len(),
        commits.saturating_sub(ledger.commits()),
        ledger.double(),
        killed.leased,
    );
    say_when_speed_was_back(&ledger.commit_times(), &killed.hubs);
    assert_eq!((ledger.left(), ledger.runs_not_completed(), ledger.double()), (0, 0, 0));
    assert_eq!(ledger.commits(), commits);
    assert!(again <= killed.leased, "{again} jobs were given again, and {} could be lost", killed.leased);
}

struct Services<'a> {
    site: &'a Site,
    hub: Server,
    workers: [Server; 2],
}

impl<'a> Services<'a> {
    fn start(site: &'a Site) -> Self {
        Self { site, hub: site.hub(), workers: [site.worker(SLOTS), site.worker(SLOTS)] }
    }

    /// Kills the hub so many times, and a worker about every third time, and starts them again.
    fn kill_now_and_then(&mut self, chance: &mut Rng, kills: u64, longest_gap: u64) -> Kills {
        let mut killed = Kills::default();
        for _ in 0..kills {
            thread::sleep(Duration::from_millis(chance.u64(0..=longest_gap)));
            if chance.u8(0..3) == 0 {
                let worker = &mut self.workers[chance.usize(0..2)];
                worker.kill();
                *worker = self.site.worker(SLOTS);
                killed.workers += 1;
                killed.leased += SLOTS as u64;
            }
            killed.hubs.push(now());
            self.hub.kill();
            killed.leased += leased(self.site);
            self.hub = self.site.hub();
        }
        killed
    }

    fn stop(self) {
        self.workers.into_iter().chain([self.hub]).for_each(Server::stop);
    }
}

/// Jobs on leases in the database that a killed hub left. Looked at in a copy: its own next life is to mend it.
fn leased(site: &Site) -> u64 {
    let copy = TempDir::new().expect("a folder");
    for name in ["hub.db", "hub.db-wal"] {
        fs::copy(site.folder.path().join(name), copy.path().join(name)).expect("a copy");
    }
    Ledger::open(&copy.path().join("hub.db")).leased()
}

/// After each kill, until as much is committed again as in the usual half second. Said and not judged: machines differ.
fn say_when_speed_was_back(commits: &[f64], kills: &[f64]) {
    let within = |from: f64| {
        let before = |time: f64| commits.partition_point(|at| *at < time);
        before(from + WINDOW) - before(from)
    };
    let (Some(first), Some(last)) = (commits.first(), commits.last()) else { return };
    let steps = |from: f64, step: f64| (0..).map(move |at| from + f64::from(at) * step);
    let speeds = steps(*first, WINDOW).take_while(|from| from < last).map(within);
    let mut speeds: Vec<usize> = speeds.filter(|speed| *speed > 0).collect();
    speeds.sort_unstable();
    let usual = speeds.get(speeds.len() / 2).copied().unwrap_or_default();
    let is_back = |from: &f64| within(*from) * 10 >= usual * 9;
    let mut waits: Vec<f64> = Vec::new();
    for (at, kill) in kills.iter().enumerate() {
        let until = kills.get(at + 1).copied().unwrap_or(*last);
        waits.extend(steps(*kill, 0.05).take_while(|from| *from < until).find(is_back).map(|back| back - kill));
    }
    waits.sort_by(f64::total_cmp);
    let at = |part: usize| waits.get(waits.len() * part / 100).or(waits.last()).copied().unwrap_or_default();
    println!(
        "{:.0} jobs/s as a rule; after {} of {} kills 90 % of that again before the next one, within {:.2} s (half), \
         {:.2} s (95 %), {:.2} s (all)",
        usual as f64 / WINDOW,
        waits.len(),
        kills.len(),
        at(50),
        at(95),
        at(100),
    );
}

#[expect(clippy::disallowed_methods, reason = "held against times that a database wrote")]
fn now() -> f64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs_f64()
}

/// With the lease as it is where nobody says otherwise.
#[test]
fn what_a_killed_worker_held_runs_elsewhere() {
    const JOBS: u8 = 8;
    let site = Site::with_ledger(8);
    let hub = site.hub();
    let mut first = site.worker(JOBS.into());
    let project = site.project(&rounds(JOBS.into(), "import time\ndef round(n):\n    time.sleep(1)\n    return n"));
    let run = upload(&project);
    while count(&project, run, 1, "running") < u64::from(JOBS) {}
    let killed = Instant::now();
    first.kill();
    let second = site.worker(JOBS.into());
    wait(&project, run);
    println!("{JOBS} jobs of a killed worker were done elsewhere after {:.1} s", killed.elapsed().as_secs_f64());
    assert_eq!(value(&project, run), json!((0..JOBS).collect::<Vec<_>>()));
    [second, hub].into_iter().for_each(Server::stop);
    let ledger = Ledger::open(&site.database());
    assert_eq!((ledger.given(), ledger.double(), ledger.left()), (1 + 2 * u64::from(JOBS), 0, 0));
    let commits: Vec<u64> = ledger.commits_by_worker().into_values().collect();
    let (one, all) = (1, u64::from(JOBS));
    assert!(commits == [one, all] || commits == [all, one], "the source alone is the first one's: {commits:?}");
}
