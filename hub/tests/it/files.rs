//! SQLite in a file: what survives closing and reopening it.

use std::path::Path;

use bue_hub::{Durability, HubError, JobStore, LEASE_MS, SqliteStore};
use bue_model::plan::Rate;
use bue_model::{Outcome, RateKey, RunState};
use bue_test_support::wait::within_deadline;
use futures_util::future::join_all;

use crate::script::{Script, submission};
use crate::world::{World, completed, list};

fn looped() -> Script {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["a", "b"], &[x]));
    script
}

#[tokio::test]
async fn a_reopened_store_continues_where_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hub.db");
    let mut world = World::at(&path);
    let run = world.submit(looped()).await;
    world.lease_and_report("source", list(2_500)).await;
    let held = world.lease(700).await;
    for held in &held[..600] {
        world.report_accepted(held, completed("1")).await;
    }
    let (before, now) = (world.view(run).await, world.now);
    drop(world);
    let mut world = World::at(&path);
    world.now = now;
    assert_eq!(world.view(run).await.steps, before.steps);
    // the old leases are still valid, and those that are not reported expire
    world.report_accepted(&held[600], completed("1")).await;
    world.now += i64::try_from(LEASE_MS).expect("small");
    assert_eq!(world.reap().await.len(), 99);
    let mut rounds = 0;
    world
        .run_all(|held| {
            rounds += u32::from(held.name() == "b");
            completed("1")
        })
        .await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(rounds, 2_500);
}

#[tokio::test]
async fn a_loop_continues_to_grow_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hub.db");
    let mut world = World::at(&path);
    let mut script = Script::new();
    let outside = script.call(&["outside"], &[]);
    let source = script.call(&["source"], &[]);
    script.each(source, |script, _| script.call(&["a"], &[bue_model::Input::Node(outside)]));
    let run = world.submit(script).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[0], Outcome::Cancelled).await;
    // every round is cancelled as it is created, and there are far more than one transaction creates
    world.report_accepted(&held[1], list(50_000)).await;
    drop(world);
    let world = World::at(&path);
    let mut changes = world.store.notifications().subscribe_runs();
    while world.state(run).await == RunState::Running {
        within_deadline("a change of the run", changes.recv()).await.expect("a change");
    }
    assert_eq!(world.step(run, "a").await.cancelled, 50_000);
}

#[tokio::test]
async fn acknowledged_changes_are_in_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hub.db");
    let store = SqliteStore::open(&path, Durability::Full).expect("a store");
    let world = World::new(std::sync::Arc::new(store));
    let submissions = (1..=50).map(|number| {
        let mut script = Script::new();
        script.call(&["a"], &[]);
        world.store.submit(world.time(), submission(number, script.plan()))
    });
    for run in join_all(submissions).await {
        run.expect("a run");
    }
    // a copy made now is what a crash would leave
    let copy = folder.path().join("copy.db");
    for suffix in ["", "-wal"] {
        let name = |path: &Path| format!("{}{suffix}", path.display());
        std::fs::copy(name(&path), name(&copy)).expect("a copy");
    }
    let copied = SqliteStore::open(&copy, Durability::Full).expect("a store");
    assert_eq!(copied.runs(100).await.expect("runs").len(), 50);
}

#[test]
fn a_file_of_a_later_release_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hub.db");
    drop(SqliteStore::open(&path, Durability::Off).expect("a store"));
    let db = rusqlite::Connection::open(&path).expect("a database");
    db.pragma_update(None, "user_version", 99).expect("a version");
    drop(db);
    let refused = SqliteStore::open(&path, Durability::Off).expect_err("a refusal");
    assert!(matches!(refused, HubError::NewerLayout { layout: 99, .. }), "{refused}");
}

#[test]
fn a_file_serves_one_process_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hub.db");
    let first = SqliteStore::open(&path, Durability::Off).expect("a store");
    let refused = SqliteStore::open(&path, Durability::Off).expect_err("a refusal");
    assert!(matches!(refused, HubError::InUse(_)), "{refused}");
    drop(first);
    SqliteStore::open(&path, Durability::Off).expect("the lock is released");
}

#[test]
fn a_file_that_is_not_a_database_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hub.db");
    std::fs::write(&path, "not a database, but long enough to be read. ".repeat(100)).expect("a file");
    let refused = SqliteStore::open(&path, Durability::Off).expect_err("a refusal");
    assert!(matches!(refused, HubError::Database(_)), "{refused}");
    assert!(SqliteStore::open(&folder.path().join("no/such/folder.db"), Durability::Off).is_err());
}

/// A call of a step whose rate is counted per host.
fn rated_by_host() -> Script {
    let mut script = Script::new();
    script.call(&["rated"], &[]);
    let rate = Rate { count: 1, per_ms: 1_000, by: Some("host".into()) };
    script.set("rated", |settings| settings.rate = Some(rate));
    script
}

#[tokio::test]
async fn expired_keys_of_rates_leave_no_rows() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hub.db");
    let mut world = World::at(&path);
    let mut script = rated_by_host();
    for _ in 0..50 {
        script.call(&["rated"], &[]);
    }
    world.submit(script).await;
    let asked = world.lease(50).await;
    for (key, held) in (0..).zip(&asked) {
        world.report_accepted(held, Outcome::Keyed { key: RateKey([key; 16]) }).await;
        let held = world.lease(2).await.into_iter().find(|held| held.lease.count_by.is_none()).expect("its start");
        world.report_accepted(&held, completed("1")).await;
        // five keys are within the rate's period
        world.now += 200;
    }
    drop(world);
    let db = rusqlite::Connection::open(&path).expect("a database");
    let rows: i64 = db.query_row("SELECT count(*) FROM rate", [], |row| row.get(0)).expect("a count");
    assert!((5..=6).contains(&rows), "{rows}");
}

#[tokio::test]
async fn a_file_of_the_first_layout_is_migrated_and_continues() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hub.db");
    let mut world = World::at(&path);
    let mut script = Script::new();
    script.call(&["rated"], &[]);
    script.call(&["rated"], &[]);
    script.set("rated", |settings| settings.rate = Some(Rate { count: 1, per_ms: 60_000, by: None }));
    world.submit(script).await;
    world.lease_and_report("rated", completed("1")).await;
    let now = world.now;
    drop(world);
    let db = rusqlite::Connection::open(&path).expect("a database");
    db.execute_batch(
        "ALTER TABLE fanout DROP COLUMN streams; ALTER TABLE fanout DROP COLUMN max_live;
         DROP TABLE step_usage; ALTER TABLE sequence DROP COLUMN next_run; ALTER TABLE job DROP COLUMN started_at;
         ALTER TABLE job DROP COLUMN earlier; ALTER TABLE done DROP COLUMN started_at; ALTER TABLE done DROP COLUMN run_ms;
         ALTER TABLE done DROP COLUMN cpu_ms; ALTER TABLE done DROP COLUMN peak_memory; ALTER TABLE done DROP COLUMN earlier;
         DROP TABLE audit; DROP TABLE history;
         DROP INDEX run_created; DROP INDEX run_state; DROP INDEX run_name; DROP TABLE run_param;
         DROP INDEX failed_time; DROP INDEX failed_step; ALTER TABLE failed DROP COLUMN failed_at;
         ALTER TABLE failed DROP COLUMN step; ALTER TABLE failed DROP COLUMN headline;
         DROP TABLE rerun; DROP TABLE lender; DROP TABLE counterpart; ALTER TABLE done DROP COLUMN same;
         ALTER TABLE step_count DROP COLUMN reused; ALTER TABLE run DROP COLUMN cancelled_at;
         DROP INDEX job_moved; ALTER TABLE job DROP COLUMN scope_hint; ALTER TABLE job DROP COLUMN scope_from;
         ALTER TABLE job DROP COLUMN moved; ALTER TABLE done DROP COLUMN scope_hint; ALTER TABLE run DROP COLUMN ending;
         DROP TABLE schedule; DROP TABLE schedule_run; DROP TABLE pipeline; DROP TABLE pipeline_version;
         DROP TABLE pipeline_upload; DROP TABLE invocation;
         DROP INDEX job_expiring; ALTER TABLE job DROP COLUMN expires_at; ALTER TABLE run DROP COLUMN reset_at;
         DROP INDEX job_counted; ALTER TABLE rate DROP COLUMN at_most;
         DROP INDEX job_isolated; DROP INDEX job_suspect; ALTER TABLE job DROP COLUMN isolated;
         DROP TABLE lease_key; DROP INDEX rate_step; DROP INDEX rate_idle; DROP INDEX job_of_rate;
         ALTER TABLE rate DROP COLUMN key; ALTER TABLE rate DROP COLUMN idle_at;
         CREATE UNIQUE INDEX rate_step ON rate (run, step); CREATE INDEX rate_scope ON rate (scope, open_at);
         DROP INDEX fanout_first; CREATE INDEX fanout_run ON fanout (run);
         PRAGMA user_version = 1",
    )
    .expect("the layout before rates had keys");
    drop(db);
    let mut world = World { now, runs: 1, ..World::at(&path) };
    world.expect_nothing_ready().await;
    world.now += 60_000;
    world.lease_and_report("rated", completed("2")).await;
    world.submit(rated_by_host()).await;
    assert_eq!(world.lease_one().await.lease.count_by.as_deref(), Some("host"));
}

/// The others get the right error, at whatever stage of creating the file the first one is.
#[test]
fn of_many_concurrent_opens_of_a_new_file_one_succeeds() {
    const TRIES: usize = 8;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hub.db");
    let barrier = std::sync::Barrier::new(TRIES);
    let open = || {
        barrier.wait();
        let opened = SqliteStore::open(&path, Durability::Full);
        // the file is not closed before all have tried
        barrier.wait();
        opened.map(drop)
    };
    let tries: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..TRIES).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(tries.iter().filter(|opened| opened.is_ok()).count(), 1, "{tries:?}");
    for refused in tries.iter().filter_map(|opened| opened.as_ref().err()) {
        assert!(matches!(refused, HubError::InUse(_)), "{refused}");
    }
    SqliteStore::open(&path, Durability::Full).expect("the lock is released");
}
