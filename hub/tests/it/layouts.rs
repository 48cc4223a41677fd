//! Databases of older releases, half way through a run: this release migrates them and completes the run.
//!
//! `tests/layouts/STORE/N.sql` is a database of layout N as that release left it. If you add a layout, add the file of the one
//! before it: a list of 12 elements and a loop over it, in which some rounds have ended, one job is leased, one waits and one
//! failed.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use bue_hub::{Durability, FailedQuery, JobStore, PostgresStore, RunQuery, SqliteStore};
use bue_model::{RunId, RunState, Timestamp};
use bue_test_support::cluster::shared;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::world::{World, completed};

/// Returns the databases of a store, from layout 1 on, without gaps.
fn layouts(store: &str) -> Vec<String> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/layouts").join(store);
    let files = (1..).map(|layout| folder.join(format!("{layout}.sql")));
    files.map_while(|file| fs::read_to_string(file).ok()).collect()
}

/// Completes the run that a release left behind.
async fn complete_run(store: Arc<dyn JobStore>, layout: usize) {
    let mut world = World::new(store);
    let run = world.store.runs(1).await.expect("runs").remove(0);
    assert_eq!((run.name.as_str(), run.state), ("older", RunState::Running), "layout {layout}");
    let run = run.id;
    check_lists(&world, run, layout).await;
    let a = world.step(run, "a").await;
    assert_eq!(a.completed + a.available + a.running + a.failed, 12, "layout {layout}: {a:?}");
    // the lease of that time has expired, and what was pending or under a rate is due
    world.now += 60_000;
    assert_eq!(world.reap().await.len(), 1, "layout {layout}");
    world.run_all(|held| completed(&format!("new {}", held.name()))).await;
    assert_eq!(world.state(run).await, RunState::Failed, "layout {layout}");
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("a reset").jobs, 1);
    world.run_all(|held| completed(&format!("new {}", held.name()))).await;
    assert_eq!(world.state(run).await, RunState::Completed, "layout {layout}");
    let results = world.results(run).await;
    assert!(results.starts_with("list of 12 [b new b new b "), "layout {layout}: {results}");
    let steps = world.view(run).await.steps;
    let completed: Vec<u64> = steps.iter().map(|step| step.completed).collect();
    assert_eq!(completed, [1, 12, 12, 1], "layout {layout}");
}

/// What the layout of the lists adds is filled in for what was there before.
async fn check_lists(world: &World, run: RunId, layout: usize) {
    let failed = world.store.failed_page(FailedQuery { limit: 9, ..FailedQuery::default() }).await.expect("a page");
    let failed: Vec<_> = failed.jobs.iter().map(|one| (one.job.run, one.job.step.as_str(), one.at)).collect();
    assert_eq!(failed, [(run, "a", Timestamp(1_000_000))], "layout {layout}");
    let groups = world.store.failure_groups(FailedQuery { limit: 9, ..FailedQuery::default() }).await.expect("groups");
    let group = &groups.groups[0];
    assert_eq!((group.step.as_str(), group.message.as_str(), group.count), ("a", "broken", 1), "layout {layout}");
    // the file of layout 9 has the parameters of a pipeline's run
    let params = [("depth".to_owned(), "3".to_owned()), ("day".to_owned(), "2026-11-01".to_owned())].into();
    let query = RunQuery { params, pipeline: Some("older".into()), limit: 9, ..RunQuery::default() };
    let found: Vec<_> =
        world.store.run_page(query).await.expect("a page").runs.into_iter().map(|one| one.run.id).collect();
    assert_eq!(found, if layout >= 9 { vec![run] } else { Vec::new() }, "layout {layout}");
}

#[tokio::test]
async fn a_sqlite_file_of_every_older_release_is_migrated_and_completes() {
    let layouts = layouts("sqlite");
    for (at, sql) in layouts.iter().enumerate() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("hub.db");
        Connection::open(&path).expect("a file").execute_batch(sql).expect("the layout");
        complete_run(Arc::new(SqliteStore::open(&path, Durability::Off).expect("a store")), at + 1).await;
        let db = Connection::open(&path).expect("a file");
        let newest: u32 = db.query_row("PRAGMA user_version", [], |row| row.get(0)).expect("a layout");
        assert_eq!(layouts.len() as u32 + 1, newest, "tests/layouts/sqlite has a file of every older layout");
    }
}

#[tokio::test]
async fn a_postgres_database_of_every_older_release_is_migrated_and_completes() {
    let layouts = layouts("postgres");
    for (at, sql) in layouts.iter().enumerate() {
        let database = shared().database().await;
        let (client, connection) = tokio_postgres::connect(&database, tokio_postgres::NoTls).await.expect("connected");
        tokio::spawn(connection);
        client.batch_execute(sql).await.expect("the layout");
        complete_run(Arc::new(PostgresStore::connect(&database).await.expect("a store")), at + 1).await;
        let row = client.query_one("SELECT max(version) FROM bue.layout", &[]).await.expect("a layout");
        assert_eq!(layouts.len() as i64 + 1, row.get::<_, i64>(0), "tests/layouts/postgres has every older layout");
    }
}
