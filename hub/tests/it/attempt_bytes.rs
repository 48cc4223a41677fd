//! What the start, the duration and the usage of attempts cost on disk: at most 40 bytes a job.

use std::sync::Arc;

use bue_hub::PostgresStore;
use bue_model::RunState;
use bue_model::attempt::AttemptUsage;
use bue_model::wire::{Report, ReportBatch};
use bue_test_support::cluster::shared;

use crate::script::Script;
use crate::world::{World, completed};

/// Jobs, each with one attempt.
const JOBS: u32 = 4_000;
/// Bytes that they may cost.
const LIMIT: u64 = 40;
/// What their columns would be without them.
const FORGET: &str = "UPDATE done SET started_at = NULL, run_ms = NULL, cpu_ms = NULL, peak_memory = NULL";

/// Completes jobs as a worker does.
async fn complete_jobs(world: &mut World) {
    // a time of today has more digits than that of other tests
    world.now = 1_793_512_800_000;
    let mut script = Script::new();
    for _ in 0..JOBS {
        script.call(&["a"], &[]);
    }
    let run = world.submit(script).await;
    let mut ms = 0;
    loop {
        let held = world.lease(500).await;
        if held.is_empty() {
            break;
        }
        let reports = held.into_iter().map(|held| {
            ms = (ms + 977) % 100_000;
            let usage = AttemptUsage { run_ms: ms, cpu_ms: Some(ms / 3), peak_memory: Some(30_000_000 + ms) };
            let (job, token, arguments) = (held.job(), held.lease.token, Vec::new());
            Report { job, token, outcome: completed("1"), log: None, arguments, usage }
        });
        let batch = ReportBatch { worker: "w1".into(), reports: reports.collect() };
        world.store.complete(world.time(), batch).await.expect("verdicts");
    }
    assert_eq!(world.state(run).await, RunState::Completed);
}

#[tokio::test]
async fn an_attempt_costs_at_most_40_bytes_on_sqlite() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("hub.db");
    let mut world = World::at(&path);
    complete_jobs(&mut world).await;
    drop(world);
    let db = rusqlite::Connection::open(&path).expect("a database");
    let bytes = || {
        db.execute_batch("VACUUM").expect("compact");
        db.query_row("SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", [], |row| row.get(0))
            .map(i64::unsigned_abs)
            .expect("a size")
    };
    let with = bytes();
    db.execute_batch(FORGET).expect("forgotten");
    let cost = with.saturating_sub(bytes()) / u64::from(JOBS);
    println!("{cost} bytes for each job on SQLite");
    assert!((1..=LIMIT).contains(&cost), "{cost} bytes");
}

#[tokio::test]
async fn an_attempt_costs_at_most_40_bytes_on_postgres() {
    let database = shared().database().await;
    complete_jobs(&mut World::new(Arc::new(PostgresStore::connect(&database).await.expect("a store")))).await;
    let (client, connection) = tokio_postgres::connect(&database, tokio_postgres::NoTls).await.expect("connected");
    tokio::spawn(connection);
    client.batch_execute("SET search_path TO bue").await.expect("a schema");
    let bytes = async || {
        client.batch_execute("VACUUM FULL done").await.expect("compact");
        let row = client.query_one("SELECT pg_total_relation_size('done')", &[]).await.expect("a size");
        row.get::<_, i64>(0).unsigned_abs()
    };
    let with = bytes().await;
    client.batch_execute(FORGET).await.expect("forgotten");
    let cost = with.saturating_sub(bytes().await) / u64::from(JOBS);
    println!("{cost} bytes for each job on PostgreSQL");
    assert!((1..=LIMIT).contains(&cost), "{cost} bytes");
}
