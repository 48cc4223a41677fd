//! `!rate`.

use bue_hub::MAX_RELEASES;
use bue_model::plan::Rate;
use bue_model::{JobState, Outcome, RateKey, RunState};

use crate::script::Script;
use crate::world::{LeasedJob, PENDING, RESET, World, completed, failed};

/// Submits calls of a pipe whose last step may start once a minute per host.
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

/// Returns whether the hub asks for the job's key, which is no start.
fn is_asked(held: &LeasedJob) -> bool {
    held.lease.count_by.as_deref() == Some("host")
}

pub(crate) async fn a_rate_by_key_counts_the_starts_of_each_key_apart(mut world: World) {
    let run = world.submit(one_a_minute_by_host(&["rated"], 6)).await;
    let asked = world.lease(100).await;
    assert!(asked.len() == 6 && asked.iter().all(is_asked), "{asked:?}");
    for (held, key) in asked.iter().zip([1, 2, 1, 2, 1, 3]) {
        world.report_accepted(held, keyed(key)).await;
    }
    let mut starts = Vec::new();
    for expected in [vec![0, 1, 5], vec![2, 3], vec![4]] {
        let held = world.lease(100).await;
        assert!(!held.iter().any(is_asked));
        let started: Vec<_> = held.iter().map(LeasedJob::job).collect();
        assert_eq!(started, expected.iter().map(|at: &usize| asked[*at].job()).collect::<Vec<_>>());
        for held in held {
            world.report_accepted(&held, completed("1")).await;
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
    let lost = world.lease_named("rated").await;
    world.now += 60_000;
    assert_eq!(world.reap().await, [lost.job()]);
    let held = world.lease_named("rated").await;
    assert!(is_asked(&held) && held.lease.attempt == 1, "{held:?}");
    world.report_accepted(&held, keyed(1)).await;
    assert_eq!(world.step(run, "rated").await.attempts, 0);
    let held = world.lease_named("rated").await;
    assert!(!is_asked(&held) && held.lease.attempt == 1, "{held:?}");
    world.report_accepted(&held, completed("1")).await;
    assert_eq!(world.step(run, "rated").await.attempts, 1);
}

pub(crate) async fn the_next_attempt_of_a_job_counts_under_the_same_key(mut world: World) {
    world.submit(one_a_minute_by_host(&["rated"], 1)).await;
    world.lease_and_report("rated", keyed(1)).await;
    for outcome in [PENDING, failed("no"), completed("1")] {
        let held = world.lease_named("rated").await;
        assert!(!is_asked(&held), "its input is the same");
        world.report_accepted(&held, outcome).await;
        world.now += 30_000;
        world.expect_nothing_ready().await;
        world.now += 30_000;
    }
    world.expect_nothing_ready().await;
}

pub(crate) async fn a_call_that_starts_over_is_asked_for_its_key_again(mut world: World) {
    let run = world.submit(one_a_minute_by_host(&["before", "rated"], 1)).await;
    for (key, outcome) in [(1, RESET), (2, completed("1"))] {
        world.lease_and_report("before", completed("1")).await;
        let held = world.lease_and_report("rated", keyed(key)).await;
        assert!(is_asked(&held), "its input may be different");
        world.lease_and_report("rated", outcome).await;
    }
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn an_unexpected_key_releases_the_job(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    world.submit(script).await;
    for releases in 1..=MAX_RELEASES {
        let held = world.lease_and_report("a", keyed(1)).await;
        let expected = if releases < MAX_RELEASES { JobState::Available } else { JobState::Failed };
        assert_eq!(world.job(held.job()).await.state, expected);
    }
}

pub(crate) async fn a_rate_limits_the_starts_in_any_window(mut world: World) {
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
        // with few free slots in the worker too
        for held in world.lease(3).await {
            starts.push(world.now);
            world.report_accepted(&held, completed("1")).await;
        }
    }
    for window in starts.windows(6) {
        assert!(window[5] - window[0] >= 1_000, "{window:?}");
    }
    assert!(starts[29] - starts[0] < 6_500, "and not slower than necessary: {starts:?}");
    assert_eq!(world.step(run, "rated").await.attempts, 30);
}

pub(crate) async fn a_lease_answer_tells_when_a_rate_opens(mut world: World) {
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
    assert_eq!(leased.next_at, None, "no job waits for the rate any more");
}
