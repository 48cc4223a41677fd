//! A bad network between everybody and the hub, and between hubs and their PostgreSQL.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bue_test_support::cluster::{LEDGER, shared};
use serde_json::json;

use super::ledger::Ledger;
use super::proxy::{Proxy, Target};
use super::seeds::{replay, replayed, tries};
use super::site::{Site, keep_busy, rounds};
use crate::postgres::{ask, database};
use crate::project::finish;
use crate::services::Server;

const DOUBLE: &str = "def round(n):\n    return n * 2";
/// Rounds of a run that somebody waits for.
const ROUNDS: u64 = 200;
/// Rounds of one that is handed in through a bad network.
const FEW: u64 = 3;
/// Jobs of a worker.
const SLOTS: usize = 32;

/// What every run is to give.
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

/// How long the network is bad.
fn storm() -> Duration {
    Duration::from_secs(tries("BUE_STORM_S", 5))
}

#[test]
fn whatever_happens_to_connections_to_the_hub_each_job_is_committed_once() {
    let site = Site::with_ledger(2);
    let hub = site.hub();
    let proxy = Proxy::start(Target::Tcp(site.address.clone()), seed());
    let workers = [site.worker_of(&proxy.address, SLOTS), site.worker_of(&proxy.address, SLOTS)];
    proxy.be_bad();
    let is_over = AtomicBool::new(false);
    let uploads = || {
        let project = site.project_of(&proxy.address, &rounds(FEW, DOUBLE));
        let (mut taken, mut unsure) = (0, 0);
        while !is_over.load(Ordering::Relaxed) {
            let ran = finish(project.command(&["upload", "-f", "x.bue"]));
            match ran.code {
                0 => taken += 1,
                3 => unsure += 1,
                code => panic!("{code}: {}", ran.stderr),
            }
        }
        (taken, unsure)
    };
    let (runs, (taken, unsure)) = thread::scope(|scope| {
        let clients = scope.spawn(|| keep_busy(&site, &script(), 1, &is_over));
        let uploads = scope.spawn(uploads);
        thread::sleep(storm());
        is_over.store(true, Ordering::Relaxed);
        proxy.be_good();
        (clients.join().expect("clients that succeed"), uploads.join().expect("uploads"))
    });
    let project = site.project(&script());
    while project.bue(&["status", "--json"]).expect(0).stdout.contains("\"state\":\"running\"") {
        thread::sleep(Duration::from_millis(100));
    }
    workers.into_iter().chain([hub]).for_each(Server::stop);
    assert!(runs.iter().all(|(_, value)| *value == doubled()));
    let ledger = Ledger::open(&site.database());
    let waited = runs.len() as u64;
    let jobs = waited * (ROUNDS + 1) + (ledger.runs() - waited) * (FEW + 1);
    println!(
        "{} faults; {} runs, {taken} handed in through them and {unsure} that may be; {} jobs given again",
        proxy.faults(),
        ledger.runs(),
        ledger.given() - jobs,
    );
    assert_eq!(ledger.commits(), jobs + ledger.runs());
    let least = waited + taken;
    assert!((least..=least + unsure).contains(&ledger.runs()), "{} runs", ledger.runs());
    assert_eq!((ledger.left(), ledger.runs_not_completed(), ledger.double()), (0, 0, 0));
    assert!(proxy.faults() > 0, "nothing happened");
}

#[test]
fn whatever_happens_to_connections_to_postgresql_each_job_is_committed_once() {
    let seed = seed();
    let database = database();
    let name = database.rsplit("dbname=").next().expect("a name").to_owned();
    let socket = shared().folder().join(".s.PGSQL.5432");
    let site = Site::new(2);
    // clients ask a hub of their own, which is well
    let well = site.hub_on(&site.address, &format!("postgres:{database}"));
    ask(&database, LEDGER);
    let proxies = [seed, seed + 1].map(|seed| Proxy::start(Target::Unix(socket.clone()), seed));
    let hubs: Vec<Server> = proxies.iter().map(|proxy| hub_through(&site, proxy, &name)).collect();
    proxies.iter().for_each(Proxy::be_bad);
    let addresses: Vec<&str> = hubs.iter().map(|hub| hub.address.as_str()).collect();
    let workers: Vec<Server> = addresses.iter().map(|_| site.worker_of(&addresses.join(","), SLOTS)).collect();
    let is_over = AtomicBool::new(false);
    let runs = thread::scope(|scope| {
        let clients = scope.spawn(|| keep_busy(&site, &script(), 2, &is_over));
        thread::sleep(storm());
        is_over.store(true, Ordering::Relaxed);
        proxies.iter().for_each(Proxy::be_good);
        clients.join().expect("clients that succeed")
    });
    assert!(runs.iter().all(|(_, value)| *value == doubled()));
    workers.into_iter().chain(hubs).chain([well]).for_each(Server::stop);
    let faults: u64 = proxies.iter().map(Proxy::faults).sum();
    let jobs = runs.len() as u64 * (ROUNDS + 2);
    println!("{faults} faults; {} runs", runs.len());
    let counts = ask(&database, "SELECT count(*) FROM ledger UNION ALL SELECT count(DISTINCT job) FROM ledger");
    assert_eq!(counts, [jobs.cast_signed(), jobs.cast_signed()]);
    assert!(faults > 0, "nothing happened");
}

/// A hub with a proxy on its way to the database.
fn hub_through(site: &Site, proxy: &Proxy, name: &str) -> Server {
    let port = proxy.address.rsplit(':').next().expect("a port");
    let store = format!("postgres:host=127.0.0.1 port={port} user=postgres dbname={name}");
    site.hub_on("127.0.0.1:0", &store)
}
