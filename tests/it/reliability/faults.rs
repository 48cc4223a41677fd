//! A faulty network between clients, workers and the hub, and between hubs and PostgreSQL.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bue_test_support::cluster::{LEDGER, shared};
use serde_json::json;

use super::ledger::Ledger;
use super::proxy::{Proxy, Target};
use super::seeds::{replay, replayed, tries};
use super::test_bed::{TestBed, keep_busy, rounds};
use crate::postgres::{database, query};
use crate::project::finish;
use crate::services::{Server, wait_for_count};

const DOUBLE: &str = "def round(n):\n    return n * 2";
/// Rounds of a run whose result is fetched.
const ROUNDS: u64 = 200;
/// Rounds of a run that is submitted through the faulty network.
const FEW_ROUNDS: u64 = 3;
/// The most jobs of a worker.
const SLOTS: usize = 32;

/// The expected result of every run.
fn doubled() -> serde_json::Value {
    json!((0..ROUNDS).map(|n| n * 2).collect::<Vec<_>>())
}

fn script() -> String {
    rounds(ROUNDS, DOUBLE)
}

fn seed() -> u64 {
    let seed = replayed().unwrap_or(1);
    println!("{}", replay(seed));
    seed
}

/// How long the network is faulty.
fn fault_duration() -> Duration {
    Duration::from_secs(tries("BUE_STORM_S", 5))
}

#[test]
fn whatever_happens_to_connections_to_the_hub_each_job_is_committed_once() {
    let test_bed = TestBed::with_ledger(2);
    let hub = test_bed.hub();
    let proxy = Proxy::start(Target::Tcp(test_bed.address.clone()), seed());
    let workers = [test_bed.worker_of(&proxy.address, SLOTS), test_bed.worker_of(&proxy.address, SLOTS)];
    proxy.start_faults();
    let is_over = AtomicBool::new(false);
    let uploads = || {
        let project = test_bed.project_of(&proxy.address, &rounds(FEW_ROUNDS, DOUBLE));
        let (mut accepted, mut unsure) = (0, 0);
        while !is_over.load(Ordering::Relaxed) {
            let output = finish(project.command(&["upload", "-f", "x.bue"]));
            match output.code {
                0 => accepted += 1,
                3 => unsure += 1,
                code => panic!("{code}: {}", output.stderr),
            }
        }
        (accepted, unsure)
    };
    let (runs, (accepted, unsure)) = thread::scope(|scope| {
        let clients = scope.spawn(|| keep_busy(&test_bed, &script(), 1, &is_over));
        let uploads = scope.spawn(uploads);
        thread::sleep(fault_duration());
        is_over.store(true, Ordering::Relaxed);
        proxy.stop_faults();
        (clients.join().expect("clients that succeed"), uploads.join().expect("uploads"))
    });
    let project = test_bed.project(&script());
    let listed = || project.bue(&["status", "--json"]).expect_code(0).json().as_array().expect("a list").clone();
    let ended = || listed().iter().filter(|run| run["state"] != "running").count() as u64;
    wait_for_count("all runs have ended", listed().len() as u64, ended);
    workers.into_iter().chain([hub]).for_each(Server::stop);
    assert!(runs.iter().all(|(_, value)| *value == doubled()));
    let ledger = Ledger::open(&test_bed.database());
    let waited = runs.len() as u64;
    let jobs = waited * (ROUNDS + 1) + (ledger.runs() - waited) * (FEW_ROUNDS + 1);
    println!(
        "{} faults; {} runs, {accepted} submitted through them and {unsure} perhaps; {} jobs leased again",
        proxy.faults(),
        ledger.runs(),
        ledger.leases() - jobs,
    );
    assert_eq!(ledger.commits(), jobs + ledger.runs());
    let least = waited + accepted;
    assert!((least..=least + unsure).contains(&ledger.runs()), "{} runs", ledger.runs());
    assert_eq!((ledger.unfinished(), ledger.runs_not_completed(), ledger.committed_twice()), (0, 0, 0));
    assert!(proxy.faults() > 0, "nothing happened");
}

#[test]
fn whatever_happens_to_connections_to_postgresql_each_job_is_committed_once() {
    let seed = seed();
    let database = database();
    let name = database.rsplit("dbname=").next().expect("a name").to_owned();
    let socket = shared().folder().join(".s.PGSQL.5432");
    let test_bed = TestBed::new(2);
    // clients use a hub without faults
    let healthy = test_bed.hub_on(&test_bed.address, &format!("postgres:{database}"));
    query(&database, LEDGER);
    let proxies = [seed, seed + 1].map(|seed| Proxy::start(Target::Unix(socket.clone()), seed));
    let hubs: Vec<Server> = proxies.iter().map(|proxy| hub_through(&test_bed, proxy, &name)).collect();
    proxies.iter().for_each(Proxy::start_faults);
    let addresses: Vec<&str> = hubs.iter().map(|hub| hub.address.as_str()).collect();
    let workers: Vec<Server> = addresses.iter().map(|_| test_bed.worker_of(&addresses.join(","), SLOTS)).collect();
    let is_over = AtomicBool::new(false);
    let runs = thread::scope(|scope| {
        let clients = scope.spawn(|| keep_busy(&test_bed, &script(), 2, &is_over));
        thread::sleep(fault_duration());
        is_over.store(true, Ordering::Relaxed);
        proxies.iter().for_each(Proxy::stop_faults);
        clients.join().expect("clients that succeed")
    });
    assert!(runs.iter().all(|(_, value)| *value == doubled()));
    workers.into_iter().chain(hubs).chain([healthy]).for_each(Server::stop);
    let faults: u64 = proxies.iter().map(Proxy::faults).sum();
    let jobs = runs.len() as u64 * (ROUNDS + 2);
    println!("{faults} faults; {} runs", runs.len());
    let counts = query(&database, "SELECT count(*) FROM ledger UNION ALL SELECT count(DISTINCT job) FROM ledger");
    assert_eq!(counts, [jobs.cast_signed(), jobs.cast_signed()]);
    assert!(faults > 0, "nothing happened");
}

/// Starts a hub that reaches its database through a proxy.
fn hub_through(test_bed: &TestBed, proxy: &Proxy, name: &str) -> Server {
    let port = proxy.address.rsplit(':').next().expect("a port");
    let store = format!("postgres:host=127.0.0.1 port={port} user=postgres dbname={name}");
    test_bed.hub_on("127.0.0.1:0", &store)
}
