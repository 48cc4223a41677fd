//! The contract, kept by PostgreSQL, and what only a shared database can show: several hubs, and a server that restarts.
//! Fails where PostgreSQL is not installed; see [`bue_test_support::cluster`].

use std::sync::Arc;

use bue_hub::{HubError, JobStore, LEASE_MS, PostgresStore};
use bue_model::RunState;
use bue_model::wire::Verdict;
use bue_test_support::cluster::shared;
use futures_util::FutureExt;
use futures_util::future::{join, join_all};
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

use crate::random::Opener;
use crate::script::Script;
use crate::world::{World, completed, list};

async fn world() -> World {
    let database = shared().database().await;
    World::new(Arc::new(PostgresStore::connect(&database).await.expect("a store")))
}

crate::contract::keeps_every_claim!(crate::postgres::world);

#[test]
fn whatever_happens_no_job_is_lost_and_none_is_done_twice() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    crate::random::play(&runtime, 15, || opener(&runtime));
}

#[test]
fn whatever_happens_while_rounds_are_made_none_is_lost() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    crate::random::play_long(&runtime, 1, || opener(&runtime));
}

/// Hubs on a database of their own.
fn opener(runtime: &Runtime) -> Opener {
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
async fn a_hub_hears_of_what_another_one_did() {
    let database = shared().database().await;
    let first = PostgresStore::connect(&database).await.expect("a store");
    let second = PostgresStore::connect(&database).await.expect("a store");
    let (mut work, mut runs) = (second.notifications().subscribe_work(), second.notifications().subscribe_runs());
    let mut world = World::new(Arc::new(first));
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let run = world.submit(script).await;
    work.recv().await.expect("work");
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
    let mut changes = world.store.notifications().subscribe_runs();
    while world.state(run).await == RunState::Running {
        changes.recv().await.expect("a change");
    }
    assert_eq!(world.step(run, "a").await.cancelled, 20_000);
}

#[tokio::test]
async fn outcomes_that_wait_together_are_taken_together() {
    let database = shared().database().await;
    let mut world = World::new(Arc::new(PostgresStore::connect(&database).await.expect("a store")));
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["a"], &[x]));
    let run = world.submit(script).await;
    world.answer("source", list(100)).await;
    let held = world.lease(100).await;
    let before = world.view(run).await.version;
    let (mut client, connection) = tokio_postgres::connect(&database, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    // somebody is at the run until all outcomes are on their way
    let busy = client.transaction().await.expect("a transaction");
    busy.execute("SELECT 1 FROM bue.run FOR UPDATE", &[]).await.expect("the lock");
    let reports = join_all(held.iter().map(|held| world.report(held, completed("1"))));
    // beside the transaction, which would see who waits as it was when it first looked
    let (watch, connection) = tokio_postgres::connect(&database, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    let release = async {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while watch.query_one(waiting, &[]).await.expect("a count").get::<_, i64>(0) == 0 {
            tokio::task::yield_now().await;
        }
        busy.commit().await.expect("it ends");
    };
    let (verdicts, ()) = join(reports, release).await;
    assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Accepted), "{verdicts:?}");
    // every transaction about a run makes a larger version
    let transactions = world.view(run).await.version - before;
    assert!(transactions <= 3, "two that were under way and one for all others: {transactions}");
    assert_eq!(world.state(run).await, RunState::Completed);
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_a_reason() {
    assert!(matches!(PostgresStore::connect("no address").await, Err(HubError::BadRequest(_))));
    let nobody = PostgresStore::connect("host=/nowhere user=postgres").await.expect_err("nobody there");
    assert!(nobody.to_string().contains("the database"), "{nobody}");
    let database = shared().database().await;
    drop(PostgresStore::connect(&database).await.expect("a store"));
    let (client, connection) = tokio_postgres::connect(&database, NoTls).await.expect("a connection");
    tokio::spawn(connection);
    client.batch_execute("INSERT INTO bue.layout VALUES (99)").await.expect("a later layout");
    let refused = PostgresStore::connect(&database).await.expect_err("a refusal");
    assert!(matches!(refused, HubError::NewerLayout { layout: 99, .. }), "{refused}");
}
