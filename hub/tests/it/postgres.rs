//! The contract on PostgreSQL, and what only a shared database can show: several hubs, and a server that restarts. Fails if
//! PostgreSQL is not installed; see [`bue_test_support::cluster`].

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bue_client::HubClient;
use bue_hub::{Hub, HubError, JobStore, LEASE_MS, PostgresStore, serve_hub};
use bue_model::plan::AtMost;
use bue_model::wire::{LeaseRequest, Verdict, WorkerAbilities, WorkerStatus};
use bue_model::{RunState, Timestamp};
use bue_test_support::cluster::shared;
use bue_test_support::wait::{wait_until_async, within_deadline};
use futures_util::FutureExt;
use futures_util::future::{join, join_all};
use tokio::runtime::Runtime;
use tokio::sync::broadcast::error::RecvError;
use tokio_postgres::NoTls;

use crate::http::report_of;
use crate::random::StoreFactory;
use crate::raw_http::metric;
use crate::script::{Script, submission};
use crate::servers::listen;
use crate::world::{World, completed, list};

async fn world() -> World {
    let database = shared().database().await;
    World::new(Arc::new(PostgresStore::connect(&database).await.expect("a store")))
}

crate::contract::all_contract_tests!(crate::postgres::world);

#[test]
fn whatever_happens_no_job_is_lost_and_none_is_done_twice() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    crate::random::play(&runtime, 15, || store_factory(&runtime));
}

#[test]
fn whatever_happens_while_rounds_are_instantiated_none_is_lost() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    crate::random::play_long(&runtime, 1, || store_factory(&runtime));
}

#[test]
fn whatever_is_reused_the_results_are_those_of_a_run_from_the_beginning() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    crate::random::play_reruns(&runtime, 15, || store_factory(&runtime));
}

/// Returns a factory of stores on a separate database.
fn store_factory(runtime: &Runtime) -> StoreFactory {
    let database = runtime.block_on(shared().database());
    Box::new(move || {
        let database = database.clone();
        async move {
            let store: Arc<dyn JobStore> = Arc::new(PostgresStore::connect(&database).await.expect("a store"));
            store
        }
        .boxed()
    })
}

#[tokio::test]
async fn a_hub_is_notified_of_what_another_one_did() {
    let database = shared().database().await;
    let first = PostgresStore::connect(&database).await.expect("a store");
    let second = PostgresStore::connect(&database).await.expect("a store");
    let (mut work, mut runs) = (second.notifications().subscribe_work(), second.notifications().subscribe_runs());
    let mut world = World::new(Arc::new(first));
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let run = world.submit(script).await;
    let notified = async {
        // there may be more than one notification, of which only the last is kept
        assert_ne!(work.recv().await, Err(RecvError::Closed));
        while runs.recv().await.expect("a change") != run {}
    };
    within_deadline("the other hub's notifications", notified).await;
}

#[tokio::test]
async fn a_lease_of_one_hub_is_respected_and_reaped_by_another() {
    let database = shared().database().await;
    let first = PostgresStore::connect(&database).await.expect("a store");
    let second = PostgresStore::connect(&database).await.expect("a store");
    let (mut one, mut other) = (World::new(Arc::new(first)), World::new(Arc::new(second)));
    let mut script = Script::new();
    script.call(&["a"], &[]);
    one.submit(script).await;
    let held = one.lease_named("a").await;
    one.now += LEASE_MS as i64 / 2;
    assert_eq!(one.heartbeat(&[&held]).await, []);
    other.now = one.now + LEASE_MS as i64 - 1;
    assert_eq!(other.reap().await, []);
    other.now += 1;
    assert_eq!(other.reap().await, [held.job()]);
    assert_eq!(one.report(&held, completed("late")).await, Verdict::LeaseLost);
    other.lease_and_report("a", completed("1")).await;
}

/// Three hubs lease at the same moment, again and again.
#[tokio::test]
async fn a_limit_of_running_jobs_holds_across_hubs() {
    let database = shared().database().await;
    let mut hubs = Vec::new();
    for _ in 0..3 {
        hubs.push(World::new(Arc::new(PostgresStore::connect(&database).await.expect("a store"))));
    }
    let mut script = Script::new();
    for _ in 0..40 {
        script.call(&["limited"], &[]);
    }
    script.set("limited", |settings| settings.at_most = Some(AtMost { count: 2, by: None }));
    let run = hubs[0].submit(script).await;
    let all = async {
        while hubs[0].state(run).await == RunState::Running {
            let leased = join_all(hubs.iter_mut().map(|hub| hub.lease(5))).await.concat();
            assert!(leased.len() <= 2, "{} jobs are leased at once", leased.len());
            let reports = leased.iter().zip(hubs.iter().cycle()).map(|(held, hub)| hub.report(held, completed("1")));
            assert!(join_all(reports).await.iter().all(|verdict| *verdict == Verdict::Accepted));
        }
    };
    within_deadline("the end of the run", all).await;
    assert_eq!(hubs[0].step(run, "limited").await.completed, 40);
}

/// A scope is served, and a run has an estimated end, although the worker uses the other hub.
#[tokio::test]
async fn a_hub_knows_the_workers_of_another_one() {
    let database = shared().database().await;
    let time = Arc::new(AtomicI64::new(1_000_000));
    let hub = async || {
        let (store, clock) = (PostgresStore::connect(&database).await.expect("a store"), time.clone());
        let clock = Arc::new(move || Timestamp(clock.load(Ordering::Relaxed)));
        let (listener, address) = listen().await;
        tokio::spawn(serve_hub(listener, Hub::with_clock(Arc::new(store), clock), pending()));
        (HubClient::new(std::slice::from_ref(&address)).expect("a client"), address)
    };
    let ((here, address), (there, _)) = (hub().await, hub().await);
    let mut script = Script::new();
    for _ in 0..60 {
        script.call(&["a"], &[]);
    }
    let run = here.submit(&submission(7, script.plan())).await.expect("a run");
    let view = async |client: &HubClient| client.run(run, None, 0).await.expect("a view");
    assert_eq!((view(&here).await.unserved.len(), view(&there).await.unserved.len()), (1, 1));
    let abilities = WorkerAbilities { net: vec!["*".into()], ..WorkerAbilities::default() };
    let scopes = vec!["default".to_owned()];
    let status = WorkerStatus { host: "box".into(), up_ms: 5_000, jobs_held: 7, ..WorkerStatus::default() };
    let request = LeaseRequest { worker: "w1".into(), scopes, abilities, status, ..LeaseRequest::default() };
    there.lease(&request).await.expect("no leases");
    assert_eq!(view(&there).await.unserved, []);
    wait_until_async("the other hub knows the worker", async || view(&here).await.unserved.is_empty()).await;
    let workers = here.workers().await.expect("workers");
    assert_eq!((workers.len(), &workers[0].name, &workers[0].abilities), (1, &request.worker, &request.abilities));
    let told = (&*workers[0].host, workers[0].since, workers[0].jobs_held);
    assert_eq!(told, ("box", Timestamp(995_000), 7), "hubs tell each other what workers say of themselves");
    let (third, _) = hub().await;
    wait_until_async("a hub that starts learns of it", async || view(&third).await.unserved.is_empty()).await;
    assert_eq!(metric(&address, "bue_workers").await, Some(0.0), "those of this hub");
    for lease in there.lease(&LeaseRequest { count: 20, ..request }).await.expect("leases").leases {
        assert_eq!(there.report(&report_of(&lease, completed("1"))).await.expect("verdicts"), [Verdict::Accepted]);
    }
    time.store(1_010_000, Ordering::Relaxed);
    for client in [&here, &there, &third] {
        assert_eq!(view(client).await.eta, Some(Timestamp(1_030_000)), "20 jobs in 10 s, 40 are left");
    }
}

#[tokio::test]
async fn rounds_that_one_hub_left_behind_are_instantiated_by_another() {
    let database = shared().database().await;
    let mut world = World::new(Arc::new(PostgresStore::connect(&database).await.expect("a store")));
    let mut script = Script::new();
    let outside = script.call(&["outside"], &[]);
    let source = script.call(&["source"], &[]);
    script.each(source, |script, _| script.call(&["a"], &[bue_model::Input::Node(outside)]));
    let run = world.submit(script).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[0], bue_model::Outcome::Cancelled).await;
    // every round settles when it is instantiated, and there are far more than one transaction instantiates
    world.report_accepted(&held[1], list(20_000)).await;
    drop(world);
    let world = World::new(Arc::new(PostgresStore::connect(&database).await.expect("a store")));
    let mut changes = world.store.notifications().subscribe_runs();
    let ended = async {
        while world.state(run).await == RunState::Running {
            changes.recv().await.expect("a change");
        }
    };
    within_deadline("the end of the run", ended).await;
    assert_eq!(world.step(run, "a").await.cancelled, 20_000);
}

#[tokio::test]
async fn reports_that_wait_together_share_a_transaction() {
    let database = shared().database().await;
    let mut world = World::new(Arc::new(PostgresStore::connect(&database).await.expect("a store")));
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["a"], &[x]));
    let run = world.submit(script).await;
    world.lease_and_report("source", list(100)).await;
    let held = world.lease(100).await;
    let before = world.view(run).await.version;
    let (mut client, connection) = tokio_postgres::connect(&database, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    // locks the run until all reports are on their way
    let busy = client.transaction().await.expect("a transaction");
    busy.execute("SELECT 1 FROM bue.run FOR UPDATE", &[]).await.expect("the lock");
    let reports = join_all(held.iter().map(|held| world.report(held, completed("1"))));
    // outside the transaction, in which this view does not change after it was first read
    let (watch, connection) = tokio_postgres::connect(&database, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let release = async {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let is_waiting = async || watch.query_one(waiting, &[]).await.expect("a count").get::<_, i64>(0) > 0;
        wait_until_async("a transaction waits for the lock", is_waiting).await;
        busy.commit().await.expect("it ends");
    };
    let (verdicts, ()) = join(reports, release).await;
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Accepted), "{verdicts:?}");
    // every transaction that changes a run increases its version
    let transactions = world.view(run).await.version - before;
    assert!(transactions <= 3, "two that had begun and one for all others: {transactions}");
    assert_eq!(world.state(run).await, RunState::Completed);
}

#[tokio::test]
async fn an_unusable_database_is_refused_with_a_reason() {
    assert!(matches!(PostgresStore::connect("no address").await, Err(HubError::BadRequest(_))));
    let unreachable = PostgresStore::connect("host=/nowhere user=postgres").await.expect_err("no server there");
    assert!(unreachable.to_string().contains("the database"), "{unreachable}");
    let database = shared().database().await;
    drop(PostgresStore::connect(&database).await.expect("a store"));
    let (client, connection) = tokio_postgres::connect(&database, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client.batch_execute("INSERT INTO bue.layout VALUES (99)").await.expect("a later layout");
    let refused = PostgresStore::connect(&database).await.expect_err("a refusal");
    assert!(matches!(refused, HubError::NewerLayout { layout: 99, .. }), "{refused}");
}
