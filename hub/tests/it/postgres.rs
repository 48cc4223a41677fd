//! The contract, kept by PostgreSQL, and what only a shared database can show: several hubs, and a server that restarts.
//! Fails where PostgreSQL is not installed; see [`bue_test_cluster`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bue_hub::{HubError, JobStore, LEASE_MS, PostgresStore};
use bue_model::wire::{LeaseRequest, Report, ReportBatch, Verdict};
use bue_model::{JobId, RunState, Timestamp};
use bue_test_cluster::{Cluster, shared};
use futures_util::future::join_all;

use crate::script::{Script, submission};
use crate::world::{World, completed, list};

/// Jobs of the tests with several hubs.
const JOBS: u32 = 2_000;
/// Workers of each hub.
const WORKERS: usize = 4;

async fn world() -> World {
    let database = shared().database().await;
    World::new(Arc::new(PostgresStore::connect(&database).await.expect("a store")))
}

crate::contract::keeps_every_claim!(crate::postgres::world);

#[test]
fn whatever_happens_no_job_is_lost_and_none_is_done_twice() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    crate::random::play(&runtime, 25, || runtime.block_on(world()));
}

/// A source and a loop over its list.
async fn begin(store: &Arc<PostgresStore>) -> World {
    let mut world = World::new(store.clone());
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["a"], &[x]));
    world.submit(script).await;
    world.answer("source", list(JOBS)).await;
    world
}

/// How often each job was accepted.
type Book = Arc<Mutex<BTreeMap<JobId, u32>>>;

/// Leases and completes until the run is over. Asks again where the database is not there.
async fn work(store: Arc<PostgresStore>, name: String, book: Book) {
    let (now, run) = (Timestamp(2_000_000), submission(1, Script::new().plan()).run);
    let request = LeaseRequest { worker: name, scopes: vec!["default".into()], reverse: false, count: 20, wait_ms: 0 };
    loop {
        match store.run(run).await {
            Ok(Some(view)) if view.state == RunState::Running => {}
            Ok(view) => return assert_eq!(view.map(|view| view.state), Some(RunState::Completed)),
            Err(_) => continue,
        }
        let Ok(leased) = store.lease(now, request.clone()).await else { continue };
        let reports = leased.batch.leases.iter().map(|lease| Report {
            job: lease.job,
            token: lease.token,
            outcome: completed("1"),
            log: None,
            run_ms: 1,
        });
        let batch = ReportBatch { worker: request.worker.clone(), reports: reports.collect() };
        let verdicts = loop {
            if let Ok(verdicts) = store.complete(now, batch.clone()).await {
                break verdicts;
            }
        };
        for (report, verdict) in batch.reports.iter().zip(verdicts) {
            if verdict == Verdict::Accepted {
                *book.lock().expect("the book").entry(report.job).or_default() += 1;
            }
        }
        tokio::task::yield_now().await;
    }
}

fn workers(stores: &[Arc<PostgresStore>], book: &Book) -> Vec<tokio::task::JoinHandle<()>> {
    let names = (0..WORKERS * stores.len()).map(|worker| (worker, format!("w{worker}")));
    names.map(|(at, name)| tokio::spawn(work(stores[at % stores.len()].clone(), name, book.clone()))).collect()
}

fn expect_each_once(book: &Book) {
    let book = book.lock().expect("the book");
    assert_eq!(book.len(), JOBS as usize);
    assert!(book.values().all(|times| *times == 1));
}

#[tokio::test]
async fn two_hubs_on_one_database_complete_each_job_once() {
    let database = shared().database().await;
    let (first, second) = tokio::join!(PostgresStore::connect(&database), PostgresStore::connect(&database));
    let stores = [Arc::new(first.expect("a store")), Arc::new(second.expect("a store"))];
    let world = begin(&stores[0]).await;
    let book = Book::default();
    join_all(workers(&stores, &book)).await.into_iter().for_each(|worker| worker.expect("a worker"));
    expect_each_once(&book);
    let view = world.store.runs(1).await.expect("runs").remove(0);
    assert_eq!((view.steps[1].completed, view.steps[1].attempts), (u64::from(JOBS), u64::from(JOBS)));
    assert_eq!((view.steps[1].blocked, view.steps[1].available, view.steps[1].running), (0, 0, 0));
}

#[tokio::test]
async fn a_server_that_crashes_and_comes_back_loses_nothing() {
    let cluster = Cluster::start();
    let database = cluster.database().await;
    let store = Arc::new(PostgresStore::connect(&database).await.expect("a store"));
    begin(&store).await;
    let book = Book::default();
    let reaping = store.clone();
    let reaper = tokio::spawn(async move {
        // leases whose answers the crash took end; later than any other time of this test
        let now = Timestamp(2_000_000 + LEASE_MS as i64);
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            let _ = reaping.reap(now).await;
        }
    });
    let working = workers(std::slice::from_ref(&store), &book);
    while book.lock().expect("the book").len() < 300 {
        tokio::task::yield_now().await;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let cluster = tokio::task::spawn_blocking(move || {
        cluster.crash_and_restart();
        cluster
    });
    let _cluster = cluster.await.expect("a restart");
    join_all(working).await.into_iter().for_each(|worker| worker.expect("a worker"));
    reaper.abort();
    let view = store.runs(1).await.expect("runs").remove(0);
    assert_eq!(view.steps[1].completed, u64::from(JOBS));
    // a report whose acknowledgement was lost is accepted when it comes again, and counted once
    assert!(book.lock().expect("the book").len() <= JOBS as usize);
}

#[tokio::test]
async fn a_hub_hears_of_what_another_one_did() {
    let database = shared().database().await;
    let first = PostgresStore::connect(&database).await.expect("a store");
    let second = PostgresStore::connect(&database).await.expect("a store");
    let (mut work, mut runs) = (second.changes().work(), second.changes().runs());
    let mut world = World::new(Arc::new(first));
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let run = world.submit(script).await;
    work.changed().await.expect("work");
    while runs.recv().await.expect("a change") != run {}
}

#[tokio::test]
async fn a_lease_of_one_hub_is_kept_and_reaped_by_another() {
    let database = shared().database().await;
    let first = PostgresStore::connect(&database).await.expect("a store");
    let second = PostgresStore::connect(&database).await.expect("a store");
    let (mut one, mut other) = (World::new(Arc::new(first)), World::new(Arc::new(second)));
    let mut script = Script::new();
    script.call(&["a"], &[]);
    one.submit(script).await;
    let held = one.take("a").await;
    one.now += LEASE_MS as i64 / 2;
    assert_eq!(one.heartbeat(&[&held]).await, []);
    other.now = one.now + LEASE_MS as i64 - 1;
    assert_eq!(other.reap().await, []);
    other.now += 1;
    assert_eq!(other.reap().await, [held.job()]);
    assert_eq!(one.report(&held, completed("late")).await, Verdict::LeaseLost);
    other.answer("a", completed("1")).await;
}

#[tokio::test]
async fn rounds_that_one_hub_left_behind_are_made_by_another() {
    let database = shared().database().await;
    let mut world = World::new(Arc::new(PostgresStore::connect(&database).await.expect("a store")));
    let mut script = Script::new();
    let outside = script.call(&["outside"], &[]);
    let source = script.call(&["source"], &[]);
    script.each(source, |script, _| script.call(&["a"], &[bue_model::Input::Node(outside)]));
    let run = world.submit(script).await;
    let held = world.lease(2).await;
    world.tell(&held[0], bue_model::Outcome::Cancelled).await;
    // every round settles as it is made, far more than one transaction makes
    world.tell(&held[1], list(20_000)).await;
    drop(world);
    let world = World::new(Arc::new(PostgresStore::connect(&database).await.expect("a store")));
    let mut changes = world.store.changes().runs();
    while world.state(run).await == RunState::Running {
        changes.recv().await.expect("a change");
    }
    assert_eq!(world.step(run, "a").await.cancelled, 20_000);
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_a_reason() {
    assert!(matches!(PostgresStore::connect("no address").await, Err(HubError::BadRequest(_))));
    let nobody = PostgresStore::connect("host=/nowhere user=postgres").await.expect_err("nobody there");
    assert!(nobody.to_string().contains("the database"), "{nobody}");
    let database = shared().database().await;
    drop(PostgresStore::connect(&database).await.expect("a store"));
    let (client, connection) = tokio_postgres::connect(&database, tokio_postgres::NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client.batch_execute("INSERT INTO bue.layout VALUES (99)").await.expect("a later layout");
    let refused = PostgresStore::connect(&database).await.expect_err("a refusal");
    assert!(matches!(refused, HubError::NewerLayout { found: 99, .. }), "{refused}");
}
