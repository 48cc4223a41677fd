//! Schedules in databases that a test has changed: as many as a hub may have, and rows that cannot be read.

use std::path::Path;
use std::sync::Arc;

use bue_hub::{HubError, JobStore, PostgresStore, ScheduleAction, ScheduleSpec, ScheduleUpdate};
use bue_test_support::cluster::shared;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::contract::pipelines::{plan, publish};
use crate::world::World;

const HOUR: i64 = 3_600_000;

fn update(name: &str) -> ScheduleUpdate {
    let text = r#"{"pipeline": "p", "every": "1h", "params": {"day": "mon"}}"#;
    ScheduleUpdate::one(name.to_owned(), ScheduleSpec::from_json(text).expect("a schedule"))
}

/// Publishes the pipeline `p` and creates schedules of these names.
async fn prepare(world: &World, names: &[&str]) {
    publish(world, "p", 1, plan("a")).await;
    for name in names {
        world.store.put_schedules(world.time(), update(name)).await.expect("a schedule");
    }
}

/// There are 100,000 schedules, one of which is `first`.
async fn check_limit(world: World) {
    let refused = world.store.put_schedules(world.time(), update("new")).await;
    assert!(matches!(refused, Err(HubError::TooManySchedules)), "{refused:?}");
    assert_eq!(world.store.schedule("new".into()).await.expect("read"), None);
    world.store.put_schedules(world.time(), update("first")).await.expect("it exists");
    world.store.change_schedule(world.time(), "first".into(), ScheduleAction::Remove).await.expect("removed");
    world.store.put_schedules(world.time(), update("new")).await.expect("there is room");
}

fn sqlite(folder: &TempDir) -> World {
    World::at(&folder.path().join("hub.db"))
}

fn change(path: &Path, sql: &str) {
    Connection::open(path.join("hub.db")).expect("a file").execute_batch(sql).expect("changed");
}

#[tokio::test]
async fn a_hub_has_at_most_100000_schedules() {
    let folder = TempDir::new().expect("a folder");
    let world = sqlite(&folder);
    prepare(&world, &["first"]).await;
    drop(world);
    change(
        folder.path(),
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 99999)
         INSERT INTO schedule SELECT 'x' || n, spec, progress, turn_at FROM schedule, number",
    );
    check_limit(sqlite(&folder)).await;
}

#[tokio::test]
async fn hubs_on_postgres_have_at_most_100000_schedules() {
    let database = shared().database().await;
    let store: Arc<dyn JobStore> = Arc::new(PostgresStore::connect(&database).await.expect("a store"));
    let world = World::new(store);
    prepare(&world, &["first"]).await;
    let (client, connection) = tokio_postgres::connect(&database, tokio_postgres::NoTls).await.expect("connected");
    tokio::spawn(connection);
    let sql = "INSERT INTO bue.schedule SELECT 'x' || n, spec, progress, turn_at FROM bue.schedule, generate_series(1, 99999) n";
    client.batch_execute(sql).await.expect("inserted");
    check_limit(world).await;
}

#[tokio::test]
async fn a_schedule_that_cannot_be_read_does_not_stop_the_others() {
    let folder = TempDir::new().expect("a folder");
    let world = sqlite(&folder);
    prepare(&world, &["a", "b", "c", "d"]).await;
    drop(world);
    change(
        folder.path(),
        "UPDATE schedule SET spec = '{}' WHERE name = 'a'; UPDATE schedule SET progress = 'x' WHERE name = 'c'",
    );
    let world = sqlite(&folder);
    let fired = world.store.fire_schedules(bue_model::Timestamp(HOUR)).await.expect("turns");
    assert_eq!((fired.turns, fired.started), (4, 2));
    let again = world.store.fire_schedules(bue_model::Timestamp(2 * HOUR)).await.expect("turns");
    assert_eq!(again.turns, 2, "what cannot be read has no more turns");
    for name in ["a", "c"] {
        let damaged = world.store.schedule(name.into()).await;
        assert!(matches!(damaged, Err(HubError::Damaged(_))), "{damaged:?}");
    }
}

#[tokio::test]
async fn a_pipeline_that_cannot_be_read_pauses_its_schedules_alone() {
    let folder = TempDir::new().expect("a folder");
    let world = sqlite(&folder);
    prepare(&world, &["a"]).await;
    publish(&world, "q", 2, plan("b")).await;
    let other =
        ScheduleSpec::from_json(r#"{"pipeline": "q", "every": "1h", "params": {"day": "x"}}"#).expect("a schedule");
    world.store.put_schedules(world.time(), ScheduleUpdate::one("b".into(), other)).await.expect("a schedule");
    drop(world);
    change(folder.path(), "UPDATE pipeline_version SET body = x'ff' WHERE pipeline = 'p'");
    let world = sqlite(&folder);
    let fired = world.store.fire_schedules(bue_model::Timestamp(HOUR)).await.expect("turns");
    assert_eq!((fired.turns, fired.started), (2, 1));
    let problem =
        world.store.schedule("a".into()).await.expect("read").expect("a schedule").problem.expect("a problem");
    assert!(problem.contains("the pipeline `p` is damaged") && problem.contains("publish it again"), "{problem}");
}
