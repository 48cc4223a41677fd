//! Who is next.

use bue_hub::SHARE_OF_LAST;
use bue_model::plan::Rate;

use crate::script::Script;
use crate::world::{World, completed};

/// A call for each of these, with scope and priority.
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
    // one at a time it is the same
    world.submit(calls(MIXED)).await;
    names.reverse();
    while let Some(name) = names.pop() {
        assert_eq!(world.lease(1).await[0].name(), name);
    }
    world.nothing().await;
}

pub(crate) async fn reverse_turns_everything_around(mut world: World) {
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
    world.nothing().await;
}

pub(crate) async fn one_lease_of_sixteen_goes_to_the_last(mut world: World) {
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
        world.tell(&held, completed("1")).await;
    }
    assert_eq!(low, 64 / SHARE_OF_LAST);
    // the same share of a batch
    let batch = world.lease(64).await;
    assert_eq!(batch.iter().filter(|held| held.name() == "low").count() as u64, 64 / SHARE_OF_LAST);
    assert_eq!((batch.len(), batch[0].name()), (64, "high"));
    // the other way round
    world.reverse = true;
    let batch = world.lease(32).await;
    assert_eq!(batch.iter().filter(|held| held.name() == "high").count() as u64, 32 / SHARE_OF_LAST);
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

pub(crate) async fn a_rate_lets_so_many_start_in_any_stretch_of_time(mut world: World) {
    let mut script = Script::new();
    for _ in 0..30 {
        script.call(&["rated"], &[]);
    }
    script.call(&["free"], &[]);
    script.set("rated", |settings| {
        settings.rate = Some(Rate { count: 5, per_ms: 1_000, by: None });
        settings.priority = 1;
    });
    let run = world.submit(script).await;
    let mut starts = Vec::new();
    assert_eq!(world.lease_names().await, ["rated", "rated", "rated", "rated", "rated", "free"]);
    starts.extend([world.now; 5]);
    while starts.len() < 30 {
        world.now += 130;
        // with little room in the worker, too
        for held in world.lease(3).await {
            starts.push(world.now);
            world.tell(&held, completed("1")).await;
        }
    }
    for window in starts.windows(6) {
        assert!(window[5] - window[0] >= 1_000, "{window:?}");
    }
    assert!(starts[29] - starts[0] < 6_500, "nor slower than need be: {starts:?}");
    assert_eq!(world.step(run, "rated").await.attempts, 30);
}

pub(crate) async fn a_rate_says_when_it_opens(mut world: World) {
    let mut script = Script::new();
    script.call(&["rated"], &[]);
    script.call(&["rated"], &[]);
    script.set("rated", |settings| settings.rate = Some(Rate { count: 1, per_ms: 60_000, by: None }));
    world.submit(script).await;
    assert_eq!(world.lease(5).await.len(), 1);
    let leased = world.store.lease(world.time(), world.request(5)).await.expect("an answer");
    assert_eq!(leased.batch.leases, []);
    assert_eq!(leased.next_at.map(|at| at.0), Some(world.now + 60_000));
    world.now += 60_000;
    assert_eq!(world.lease(5).await.len(), 1);
    let leased = world.store.lease(world.time(), world.request(5)).await.expect("an answer");
    assert_eq!(leased.next_at, None, "nothing waits for it any more");
}
