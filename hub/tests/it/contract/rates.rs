//! `!rate`.

use bue_hub::MAX_RELEASES;
use bue_model::plan::Rate;
use bue_model::{JobState, Outcome, RateKey, RunState};

use crate::script::Script;
use crate::world::{Held, PENDING, RESET, World, completed, failed};

/// Calls of a pipe whose last step may start once a minute for each host.
fn one_a_minute_by_host(steps: &[&str], calls: usize) -> Script {
    let mut script = Script::new();
    for _ in 0..calls {
        script.call(steps, &[]);
    }
    let rated = steps.last().expect("a step");
    script.set(rated, |settings| {
        settings.rate = Some(Rate { count: 1, per_ms: 60_000, by: Some("host".into()) });
        settings.retries = 1;
    });
    script
}

fn keyed(key: u8) -> Outcome {
    Outcome::Keyed { key: RateKey([key; 16]) }
}

/// Asked what it counts as, which is no start.
fn is_asked(held: &Held) -> bool {
    held.lease.count_by.as_deref() == Some("host")
}

pub(crate) async fn a_rate_by_key_counts_the_starts_of_each_key_apart(mut world: World) {
    let run = world.submit(one_a_minute_by_host(&["rated"], 6)).await;
    let asked = world.lease(100).await;
    assert!(asked.len() == 6 && asked.iter().all(is_asked), "{asked:?}");
    for (held, key) in asked.iter().zip([1, 2, 1, 2, 1, 3]) {
        world.tell(held, keyed(key)).await;
    }
    let mut starts = Vec::new();
    for expected in [vec![0, 1, 5], vec![2, 3], vec![4]] {
        let held = world.lease(100).await;
        assert!(!held.iter().any(is_asked));
        let started: Vec<_> = held.iter().map(Held::job).collect();
        assert_eq!(started, expected.iter().map(|at: &usize| asked[*at].job()).collect::<Vec<_>>());
        for held in held {
            world.tell(&held, completed("1")).await;
            starts.push(held.job());
        }
        let leased = world.store.lease(world.time(), world.request(5)).await.expect("an answer");
        assert_eq!(leased.batch.leases, []);
        assert_eq!(leased.next_at.map(|at| at.0), (starts.len() < 6).then_some(world.now + 60_000));
        world.now += 60_000;
    }
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.step(run, "rated").await.attempts, 6);
}

pub(crate) async fn asking_for_a_key_is_no_attempt_and_outlives_its_worker(mut world: World) {
    let run = world.submit(one_a_minute_by_host(&["rated"], 1)).await;
    let lost = world.take("rated").await;
    world.now += 60_000;
    assert_eq!(world.reap().await, [lost.job()]);
    let held = world.take("rated").await;
    assert!(is_asked(&held) && held.lease.attempt == 1, "{held:?}");
    world.tell(&held, keyed(1)).await;
    assert_eq!(world.step(run, "rated").await.attempts, 0);
    let held = world.take("rated").await;
    assert!(!is_asked(&held) && held.lease.attempt == 1, "{held:?}");
    world.tell(&held, completed("1")).await;
    assert_eq!(world.step(run, "rated").await.attempts, 1);
}

pub(crate) async fn the_next_try_of_a_job_counts_as_the_one_before(mut world: World) {
    world.submit(one_a_minute_by_host(&["rated"], 1)).await;
    world.answer("rated", keyed(1)).await;
    for outcome in [PENDING, failed("no"), completed("1")] {
        let held = world.take("rated").await;
        assert!(!is_asked(&held), "its input is the same");
        world.tell(&held, outcome).await;
        world.now += 30_000;
        world.nothing().await;
        world.now += 30_000;
    }
    world.nothing().await;
}

pub(crate) async fn a_call_that_starts_again_is_asked_again(mut world: World) {
    let run = world.submit(one_a_minute_by_host(&["before", "rated"], 1)).await;
    for (key, outcome) in [(1, RESET), (2, completed("1"))] {
        world.answer("before", completed("1")).await;
        let held = world.answer("rated", keyed(key)).await;
        assert!(is_asked(&held), "its input may be another one");
        world.answer("rated", outcome).await;
    }
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn a_key_nobody_asked_for_gives_the_job_back(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    world.submit(script).await;
    for releases in 1..=MAX_RELEASES {
        let held = world.answer("a", keyed(1)).await;
        let expected = if releases < MAX_RELEASES { JobState::Available } else { JobState::Failed };
        assert_eq!(world.job(held.job()).await.state, expected);
    }
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
