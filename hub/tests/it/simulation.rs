//! A hub, three workers and some submitters on a faulty network, with power cuts at the hub and a clock that jumps: whatever
//! the seed, no acknowledged run is lost, every job has one result, no stale or forged report is accepted, no more jobs are leased
//! than an `!at_most` allows, a final failure calls its handler once, and once the network works again all runs end, with `finally`.
//!
//! ```text
//! submitter, worker --HubClient--> Net --serve_hub--> Witness --> SqliteStore --> Disk
//!                                   ^        ^           |                         ^
//!                                 faults: cuts, delays, replays, deaths, clock jumps, power
//! ```
//! The client, the server and the store are the real ones; outcomes of sandboxes are random. Everything runs on one thread with
//! tokio's paused time, which advances when every task waits. This fits better than turmoil: leases, long polls and backoffs
//! take many seconds, which turmoil simulates in ticks of a millisecond on every host, and tokio in one step; and turmoil's
//! choices inside the runtime cannot be seeded in a build like ours.
//!
//! `BUE_SEEDS=1000` runs that many seeds, `BUE_SEED=n` replays one.

mod forger;
mod ledger;
mod net;
mod witness;
mod worker;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bue_client::{ClientError, ClientOptions, HubClient};
use bue_hub::{Clock, Durability, Hub, SqliteStore, serve_hub};
use bue_model::plan::AtMost;
use bue_model::wire::RoundValue;
use bue_model::{Input, RunId, RunState, Timestamp, ValueRef};
use fastrand::Rng;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use crate::disk::Disk;
use crate::script::{Script, submission};
use crate::seeds;
use ledger::{AT_MOST, Ledger};
use net::Net;
use witness::Witness;

/// Seeds that have found bugs.
const REGRESSIONS: &[u64] = &[];
/// Hosts of the network: workers, then submitters, then one that replays the requests of others and guesses leases.
const WORKERS: usize = 3;
const SUBMITTERS: usize = 4;
const REPLAYER: usize = WORKERS + SUBMITTERS;
/// How long faults are injected.
const FAULT_PERIOD: Duration = Duration::from_secs(90);
/// How long runs may take to end afterwards, in virtual time, which costs nothing.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(4 * 3_600);

/// The random numbers of a seed, shared by all.
type SimRng = Arc<Mutex<Rng>>;

/// Returns a random number below `end`.
fn roll(rng: &SimRng, end: u64) -> u64 {
    rng.lock().unwrap_or_else(PoisonError::into_inner).u64(..end)
}

/// The events, and the first promise that was broken.
#[derive(Debug)]
struct Log {
    start: Instant,
    lines: Mutex<Vec<String>>,
    broken: Mutex<Option<String>>,
}

impl Log {
    fn note(&self, what: &str) {
        let at = self.start.elapsed().as_millis();
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{at} {what}"));
    }

    fn broken(&self, promise: String) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(promise);
    }

    fn is_broken(&self) -> bool {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

/// A bug that is introduced on purpose, to see whether the simulation would notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// Nothing is synced.
    NoSync,
    /// A report counts under any lease of its job.
    NoFencing,
    /// One more job may run than an `!at_most` allows.
    LooseLimit,
}

/// The hub's machine.
struct Machine {
    bug: Bug,
    disk: Arc<Disk>,
    ledger: Arc<Mutex<Ledger>>,
    log: Arc<Log>,
    net: Arc<Net>,
    clock: Clock,
    /// The hub, while it runs.
    life: Option<(JoinHandle<()>, Arc<Witness>)>,
}

impl Machine {
    fn start(&mut self) {
        let durability = if self.bug == Bug::NoSync { Durability::Off } else { Durability::Full };
        let store = match SqliteStore::open(&self.disk.path(), durability) {
            Ok(store) => store,
            Err(error) => return self.log.broken(format!("the database does not open: {error}")),
        };
        let (ledger, log) = (self.ledger.clone(), self.log.clone());
        let witness = Arc::new(Witness::new(store, ledger, log, self.bug != Bug::NoFencing));
        let hub = Hub::with_clock(witness.clone(), self.clock.clone());
        let served = tokio::spawn(serve_hub(self.net.listen(), hub, std::future::pending()));
        self.life = Some((served, witness));
    }

    /// Cuts the power.
    fn crash(&mut self) {
        let Some((served, witness)) = self.life.take() else { return };
        self.log.note("power cut");
        witness.die();
        served.abort();
        self.net.close();
        self.disk.cut();
        self.disk.power_on();
    }
}

/// The simulation of one seed.
struct Simulation {
    rng: SimRng,
    log: Arc<Log>,
    net: Arc<Net>,
    machine: Machine,
    skew: Arc<AtomicI64>,
    workers: Vec<Option<AbortHandle>>,
    lives: u32,
    tasks: JoinSet<()>,
}

impl Simulation {
    fn new(seed: u64, bug: Bug) -> Self {
        let rng: SimRng = Arc::new(Mutex::new(Rng::with_seed(seed)));
        let start = Instant::now();
        let log = Arc::new(Log { start, lines: Mutex::default(), broken: Mutex::default() });
        let net = Net::new(rng.clone());
        let skew = Arc::new(AtomicI64::new(0));
        let jumping = skew.clone();
        let clock: Clock = Arc::new(move || {
            let since = i64::try_from(start.elapsed().as_millis()).unwrap_or(i64::MAX);
            Timestamp(1_000_000_000 + since + jumping.load(Ordering::Relaxed))
        });
        let disk = Disk::new(seed);
        let (ledger, life) = Default::default();
        let machine = Machine { bug, disk, ledger, log: log.clone(), net: net.clone(), clock, life };
        Self { rng, log, net, machine, skew, workers: vec![None; WORKERS], lives: 0, tasks: JoinSet::new() }
    }

    fn roll(&self, most: u64) -> u64 {
        roll(&self.rng, most)
    }

    fn client(&self, host: usize) -> HubClient {
        let options = ClientOptions { dial: Some(self.net.dial(host)), ..ClientOptions::default() };
        HubClient::with_options(&["localhost:1".to_owned()], options).expect("a client")
    }

    fn start_worker(&mut self, host: usize) {
        self.lives += 1;
        let name = format!("w{host}.{}", self.lives);
        let worker = worker::work(name, self.client(host), self.rng.clone());
        self.workers[host] = Some(self.tasks.spawn(worker));
    }

    /// Runs from the first submission to the end of the last run. Returns the runs that ended.
    async fn play(&mut self) -> BTreeSet<RunId> {
        self.machine.start();
        (0..WORKERS).for_each(|host| self.start_worker(host));
        let mut submitters = JoinSet::new();
        for at in 0..SUBMITTERS {
            let (hub, rng) = (self.client(WORKERS + at), self.rng.clone());
            let limit = if self.machine.bug == Bug::LooseLimit { AT_MOST + 1 } else { AT_MOST };
            submitters.spawn(submit(at as u128 + 1, limit, hub, rng, self.log.clone()));
        }
        self.tasks.spawn(forger::forge(self.client(REPLAYER), self.rng.clone(), self.log.clone()));
        self.inject_faults().await;
        self.heal();
        if self.log.is_broken() {
            return BTreeSet::new();
        }
        let all = async {
            let mut runs = BTreeSet::new();
            while let Some(run) = submitters.join_next().await {
                runs.extend(run.expect("a submitter"));
            }
            runs
        };
        timeout(RECOVERY_TIMEOUT, all).await.unwrap_or_else(|_| {
            self.log.broken("a run does not end although there are no faults any more".to_owned());
            BTreeSet::new()
        })
    }

    async fn inject_faults(&mut self) {
        let end = Instant::now() + FAULT_PERIOD;
        while Instant::now() < end && !self.log.is_broken() {
            sleep(Duration::from_millis(self.roll(4_000))).await;
            let host = self.roll(REPLAYER as u64) as usize;
            let fault = self.roll(16);
            self.log.note(&format!("fault {fault} at {host}"));
            match fault {
                0..3 => self.net.cut(host),
                3..7 => self.net.heal(host),
                7 => self.net.break_all(host),
                8 => self.net.slow_down(host),
                9 => self.machine.crash(),
                10..12 if self.machine.life.is_none() => self.machine.start(),
                10 => self.jump(),
                11 => drop(self.workers[host % WORKERS].take().map(|worker| worker.abort())),
                12 if self.workers[host % WORKERS].is_none() => self.start_worker(host % WORKERS),
                _ => drop(self.tasks.spawn(self.net.clone().replay(REPLAYER))),
            }
        }
    }

    /// Sets the hub's clock forward or back, by up to half a minute.
    fn jump(&self) {
        let by = self.roll(60_000) as i64 - 30_000;
        self.skew.fetch_add(by, Ordering::Relaxed);
    }

    fn heal(&mut self) {
        self.log.note("no more faults");
        (0..=REPLAYER).for_each(|host| self.net.heal(host));
        if self.machine.life.is_none() {
            self.machine.start();
        }
        for host in 0..WORKERS {
            if self.workers[host].is_none() {
                self.start_worker(host);
            }
        }
    }
}

/// Submits a run until that is acknowledged, and waits for its end. Sometimes the submitter dies after an attempt, so that it
/// is unknown whether the run exists. Sometimes it cancels the run, and resets it when that has ended.
async fn submit(number: u128, limit: u32, hub: HubClient, rng: SimRng, log: Arc<Log>) -> Option<RunId> {
    sleep(Duration::from_millis(roll(&rng, 60_000))).await;
    let submission = submission(number, script(limit).plan());
    while let Err(error) = hub.submit(&submission).await {
        assert!(error.is_transient(), "{error}");
        if roll(&rng, 4) == 0 {
            return None;
        }
        sleep(Duration::from_secs(1)).await;
    }
    log.note(&format!("acknowledged {}", submission.run));
    let (mut seen, mut cancellations) = (None, 0);
    loop {
        match hub.run(submission.run, seen, 30_000).await {
            Ok(view) if view.state == RunState::Completed => return Some(view.id),
            // cancelled below, or five leases in a row expired because of faults
            Ok(view) if view.state != RunState::Running => drop(hub.reset_run(view.id).await),
            Ok(view) if cancellations < 2 && roll(&rng, 8) == 0 => {
                cancellations += 1;
                drop(hub.cancel_run(view.id).await);
            }
            Ok(view) => seen = Some(view.version),
            Err(ClientError::Refused { status: 404, .. }) => {
                log.broken(format!("run {} was acknowledged and is lost", submission.run));
                return None;
            }
            Err(_) => {}
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Chains, a loop, a gathered loop, two loops of whose jobs only so many may run at once: in a run, and for each key; a loop of
/// jobs that fail at once and have a handler; and a block for the end.
fn script(limit: u32) -> Script {
    let mut script = Script::new();
    let last = script.call(&["a1", "a2", "a3"], &[]);
    let source = script.call(&["source1"], &[]);
    script.each(source, |script, x| script.call(&["b1", "b2"], &[x, Input::Node(last)]));
    let gathered = script.gather(source, &["c1", "c2"]);
    script.call(&["d1", "d2"], &[gathered, Input::Node(last)]);
    for (step, by) in [("limited1", None), ("keyed1", Some("host".to_owned()))] {
        script.each(source, |script, x| script.call(&[step], &[x]));
        script.set(step, |settings| settings.at_most = Some(AtMost { count: limit, by }));
    }
    script.each(source, |script, x| {
        let weak = script.call(&["weak1"], &[x]);
        script.on_failure(weak, "handler1");
    });
    script.finally(|script, run| script.call(&["end1", "end2"], &[run]));
    for step in ["a1", "a2", "a3", "source1", "b1", "b2", "c1", "c2", "d1", "d2", "limited1", "keyed1"] {
        script.set(step, |settings| settings.retries = 5);
    }
    script
}

fn values(value: RoundValue) -> Vec<ValueRef> {
    match value {
        RoundValue::Nothing(_) => Vec::new(),
        RoundValue::Value(value) => vec![value],
        RoundValue::Rounds(rounds) => rounds.into_iter().flat_map(values).collect(),
    }
}

/// Returns the events of a seed, or the promise that was broken.
async fn play(seed: u64, bug: Bug) -> Result<Vec<String>, String> {
    let mut simulation = Simulation::new(seed, bug);
    let ended = simulation.play().await;
    let hub = simulation.client(REPLAYER);
    let mut results = Vec::new();
    for run in &ended {
        let page = hub.results(*run).await.map_err(|error| format!("the results of run {run} are lost: {error}"))?;
        results.extend(page.results.into_iter().flat_map(|result| values(result.value)));
    }
    let ledger = simulation.machine.ledger.lock().unwrap_or_else(PoisonError::into_inner);
    ledger.check_end(&ended, &results)?;
    let broken = simulation.log.broken.lock().unwrap_or_else(PoisonError::into_inner).take();
    let lines = std::mem::take(&mut *simulation.log.lines.lock().unwrap_or_else(PoisonError::into_inner));
    broken.map_or(Ok(lines), Err)
}

fn run(seed: u64, bug: Bug) -> Result<Vec<String>, String> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().expect("a runtime").block_on(play(seed, bug))
}

fn run_and_check(seed: u64) -> Vec<String> {
    let broken = |broken| panic!("{broken}; replay it with {}", seeds::replay(seed));
    run(seed, Bug::None).unwrap_or_else(broken)
}

#[test]
fn whatever_the_network_does_no_run_is_lost_and_no_result_is_accepted_twice() {
    let new = 0..seeds::tries("BUE_SEEDS", 20);
    let all: Vec<u64> =
        seeds::replayed().map_or_else(|| REGRESSIONS.iter().copied().chain(new).collect(), |seed| vec![seed]);
    let simulations = all.iter().map(|seed| run_and_check(*seed));
    let lines: Vec<String> = simulations.flatten().collect();
    let count = |what: &str| lines.iter().filter(|line| line.contains(what)).count();
    println!(
        "{} seeds: {} acknowledged runs, {} power cuts, {} requests to the store, {} stale reports",
        all.len(),
        count(" acknowledged "),
        count(" power cut"),
        count(" store "),
        count(" stale "),
    );
}

#[test]
fn the_same_seed_gives_the_same_events() {
    for seed in 1_000..1_003 {
        let (first, second) = (run_and_check(seed), run_and_check(seed));
        if let Some(at) = first.iter().zip(&second).position(|(one, other)| one != other) {
            panic!("seed {seed}, event {at}: {} and {}", first[at], second[at]);
        }
        assert_eq!(first.len(), second.len());
    }
}

/// The tests above would notice a bug.
#[test]
fn the_simulation_notices_a_missing_fsync_missing_fencing_and_a_loose_limit() {
    for bug in [Bug::NoSync, Bug::NoFencing, Bug::LooseLimit] {
        let is_noticed = (0..20).any(|seed| run(seed, bug).is_err());
        assert!(is_noticed, "the simulation does not notice {bug:?}");
    }
}
