//! Which ready job is leased next.

use bue_hub::ANTI_STARVATION_INTERVAL;

use crate::script::Script;
use crate::world::{World, completed};

/// Submits a call for each of these, with scope and priority.
fn calls(calls: &[(&str, &str, i64)]) -> Script {
    let mut script = Script::new();
    for (name, scope, priority) in calls {
        script.call(&[name], &[]);
        script.set(name, |settings| (settings.scope, settings.priority) = ((*scope).to_owned(), *priority));
    }
    script
}

const MIXED: &[(&str, &str, i64)] = &[
    ("low", "second", 9),
    ("old", "first", 0),
    ("young", "first", 0),
    ("urgent", "first", 5),
    ("later", "first", -5),
    ("lowest", "second", 1),
    ("elsewhere", "third", 100),
];

pub(crate) async fn scope_then_priority_then_age(mut world: World) {
    world.scopes = vec!["first".into(), "second".into()];
    world.submit(calls(MIXED)).await;
    let mut names = world.lease_names().await;
    assert_eq!(names, ["urgent", "old", "young", "later", "low", "lowest"]);
    // one at a time, the order is the same
    world.submit(calls(MIXED)).await;
    names.reverse();
    while let Some(name) = names.pop() {
        assert_eq!(world.lease(1).await[0].name(), name);
    }
    world.expect_nothing_ready().await;
}

pub(crate) async fn reverse_reverses_scope_priority_and_age(mut world: World) {
    world.scopes = vec!["first".into(), "second".into()];
    world.reverse = true;
    world.submit(calls(MIXED)).await;
    assert_eq!(world.lease_names().await, ["lowest", "low", "later", "young", "old", "urgent"]);
}

pub(crate) async fn other_scopes_are_left_alone(mut world: World) {
    world.submit(calls(MIXED)).await;
    world.scopes = vec!["third".into(), "nobody's".into(), "third".into()];
    assert_eq!(world.lease_names().await, ["elsewhere"]);
    world.scopes = Vec::new();
    world.expect_nothing_ready().await;
}

pub(crate) async fn one_lease_in_sixteen_goes_to_the_back_of_the_queue(mut world: World) {
    world.scopes = vec!["first".into(), "second".into()];
    let mut script = Script::new();
    for _ in 0..200 {
        script.call(&["high"], &[]);
        script.call(&["low"], &[]);
    }
    script.set("high", |settings| settings.scope = "first".into());
    script.set("low", |settings| settings.scope = "second".into());
    world.submit(script).await;
    let mut low = 0;
    for _ in 0..64 {
        let held = world.lease(1).await.remove(0);
        low += u64::from(held.name() == "low");
        world.report_accepted(&held, completed("1")).await;
    }
    assert_eq!(low, 64 / ANTI_STARVATION_INTERVAL);
    // the same share of a batch
    let batch = world.lease(64).await;
    assert_eq!(batch.iter().filter(|held| held.name() == "low").count() as u64, 64 / ANTI_STARVATION_INTERVAL);
    assert_eq!((batch.len(), batch[0].name()), (64, "high"));
    // the other way round
    world.reverse = true;
    let batch = world.lease(32).await;
    assert_eq!(batch.iter().filter(|held| held.name() == "high").count() as u64, 32 / ANTI_STARVATION_INTERVAL);
}

pub(crate) async fn a_worker_gets_as_many_jobs_as_it_asks_for(mut world: World) {
    let mut script = Script::new();
    for _ in 0..500 {
        script.call(&["a"], &[]);
    }
    world.submit(script).await;
    for count in [1, 15, 16, 17, 300] {
        assert_eq!(world.lease(count).await.len() as u32, count);
    }
    assert_eq!(world.lease(1_000).await.len(), 500 - 349);
}
