//! What each outcome of a step does, and when.

use bue_hub::MAX_RESETS;
use bue_model::{Failure, FailureKind, Input, JobId, JobState, Outcome, RunState};

use crate::script::Script;
use crate::world::{PENDING, RESET, World, completed, failed};

/// Returns the milliseconds until the one waiting job becomes ready.
async fn wait(world: &mut World) -> i64 {
    let leased = world.store.lease(world.time(), world.request(1)).await.expect("an answer");
    assert_eq!(leased.batch.leases, []);
    let wait = leased.next_at.expect("a time").0 - world.now;
    world.now += wait - 1;
    world.expect_nothing_ready().await;
    world.now += 1;
    wait
}

pub(crate) async fn a_failed_attempt_is_retried_after_its_wait(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.set("a", |settings| settings.retries = 3);
    let run = world.submit(script).await;
    for (attempt, floor) in [(1, 1_000), (2, 2_000), (3, 4_000)] {
        let held = world.lease_and_report("a", failed("no luck")).await;
        assert_eq!(held.lease.attempt, attempt);
        assert_eq!(world.job(held.job()).await.attempts, attempt);
        let waited = wait(&mut world).await;
        assert!((floor..=floor + floor / 4).contains(&waited), "{attempt}: {waited}");
    }
    world.lease_and_report("a", failed("no luck at all")).await;
    world.now += 1_000_000;
    world.expect_nothing_ready().await;
    assert_eq!(world.state(run).await, RunState::Failed);
    let page = world.page(run).await;
    assert_eq!((page.failed[0].attempts, page.failed[0].failure.message.as_str()), (4, "no luck at all"));
    let step = world.step(run, "a").await;
    assert_eq!((step.attempts, step.retries, step.failed), (4, 3, 1));
}

pub(crate) async fn a_retry_waits_as_long_as_the_failure_asks_for(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.set("a", |settings| settings.retries = 1);
    world.submit(script).await;
    let failure = Failure { retry_after_ms: Some(12_345), ..Failure::new(FailureKind::Raised, "429") };
    world.lease_and_report("a", Outcome::Failed(failure)).await;
    assert_eq!(wait(&mut world).await, 12_345);
}

pub(crate) async fn a_retry_waits_as_long_as_its_step_says(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.set("a", |settings| {
        settings.retries = 2;
        settings.retry_delay_ms = Some((60_000, 90_000));
    });
    world.submit(script).await;
    for (floor, most) in [(60_000, 75_000), (90_000, 112_500)] {
        world.lease_and_report("a", failed("no luck")).await;
        let waited = wait(&mut world).await;
        assert!((floor..=most).contains(&waited), "{waited}");
    }
}

pub(crate) async fn dependants_of_a_failed_job_stay_blocked_and_name_it(mut world: World) {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    let ok = script.call(&["ok"], &[]);
    let b = script.call(&["b"], &[Input::Node(a), Input::Node(ok)]);
    script.call(&["c"], &[Input::Node(b)]);
    let run = world.submit(script).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[0], failed("broken")).await;
    assert_eq!(world.state(run).await, RunState::Running, "`ok` still runs");
    world.report_accepted(&held[1], completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    let (b, c) = (JobId(held[1].job().0 + 1), JobId(held[1].job().0 + 2));
    for (job, missing) in [(b, 1), (c, 1)] {
        let view = world.job(job).await;
        assert_eq!((view.state, view.blocked_by), (JobState::Blocked, Some(held[0].job())), "{job}");
        assert_eq!(view.waiting_for, missing);
    }
    assert_eq!(world.results(run).await, "- 1 - -");
}

pub(crate) async fn a_pending_job_waits_longer_each_time(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.call(&["b"], &[]);
    script.set("b", |settings| settings.every_ms = Some((100, 200)));
    world.submit(script).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[0], PENDING).await;
    for expected in [1_000, 1_500, 2_250] {
        assert_eq!(wait(&mut world).await, expected);
        world.lease_and_report("a", PENDING).await;
    }
    world.report_accepted(&held[1], PENDING).await;
    for expected in [100, 150, 200, 200] {
        assert_eq!(wait(&mut world).await, expected);
        world.lease_and_report("b", PENDING).await;
    }
}

pub(crate) async fn a_pending_job_waits_as_long_as_it_asks_for(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    world.submit(script).await;
    world.lease_and_report("a", Outcome::Pending { delay_ms: Some(77_000), scope: None }).await;
    assert_eq!(wait(&mut world).await, 77_000);
    world.lease_and_report("a", Outcome::Pending { delay_ms: Some(0), scope: None }).await;
    world.lease_and_report("a", completed("1")).await;
}

pub(crate) async fn pending_is_no_attempt_and_has_its_limit(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.set("a", |settings| (settings.pending_limit_ms, settings.retries) = (10_000, 5));
    let run = world.submit(script).await;
    let held = world.lease_and_report("a", Outcome::Pending { delay_ms: Some(6_000), scope: None }).await;
    assert_eq!(world.job(held.job()).await.attempts, 0);
    world.now += 6_000;
    // the delay it asks for is longer than the time it has left: the last attempt is at the limit
    let held = world.lease_and_report("a", Outcome::Pending { delay_ms: Some(u64::MAX), scope: None }).await;
    assert_eq!(held.lease.attempt, 1);
    assert_eq!(wait(&mut world).await, 4_000);
    world.lease_and_report("a", PENDING).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    let failure = &world.page(run).await.failed[0].failure;
    assert_eq!(failure.kind, FailureKind::Limit);
    assert!(failure.message.contains("!for") && failure.message.contains("10 s"), "{failure}");
    assert_eq!(world.step(run, "a").await.pendings, 2);
}

pub(crate) async fn a_job_gives_up_after_its_hand_backs(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.set("a", |settings| {
        settings.max_handbacks = 2;
        settings.retries = 1;
    });
    let run = world.submit(script).await;
    // a failed attempt starts the count afresh
    for outcome in [PENDING, PENDING, failed("no"), PENDING, PENDING] {
        world.lease_and_report("a", outcome).await;
        wait(&mut world).await;
    }
    let held = world.lease_and_report("a", PENDING).await;
    let view = world.job(held.job()).await;
    assert_eq!((view.state, world.state(run).await), (JobState::Failed, RunState::Failed));
    let failure = view.failure.expect("a failure");
    assert_eq!(failure.kind, FailureKind::Limit);
    assert!(failure.message.contains("gave up after 2 hand-backs"), "{}", failure.message);
}

pub(crate) async fn a_reset_starts_the_call_over_with_its_first_inputs(mut world: World) {
    let mut script = Script::new();
    let given = script.call(&["given"], &[]);
    let call = script.call(&["a", "b", "c"], &[Input::Node(given)]);
    script.call(&["after"], &[Input::Node(call)]);
    let run = world.submit(script).await;
    world.lease_and_report("given", completed("g")).await;
    world.lease_and_report("a", completed("a1")).await;
    world.lease_and_report("b", completed("b1")).await;
    world.lease_and_report("c", Outcome::Reset { delay_ms: None }).await;
    assert_eq!(world.step(run, "c").await.blocked, 1);
    assert_eq!(wait(&mut world).await, 1_000);
    assert_eq!(world.lease_and_report("a", completed("a2")).await.arguments(), ["g"]);
    assert_eq!(world.lease_and_report("b", Outcome::Reset { delay_ms: None }).await.arguments(), ["a2"]);
    assert_eq!(wait(&mut world).await, 1_500, "the delay grows, whichever job of the call asks");
    world.lease_and_report("a", completed("a3")).await;
    assert_eq!(world.lease_and_report("b", completed("b3")).await.arguments(), ["a3"]);
    assert_eq!(world.lease_and_report("c", completed("c3")).await.arguments(), ["b3"]);
    assert_eq!(world.lease_and_report("after", completed("z")).await.arguments(), ["c3"]);
    assert_eq!(world.state(run).await, RunState::Completed);
    let (a, c) = (world.step(run, "a").await, world.step(run, "c").await);
    assert_eq!((a.completed, a.attempts, c.resets), (1, 3, 1));
}

pub(crate) async fn a_reset_leaves_other_calls_alone(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    script.call(&["x", "y"], &[]);
    world.submit(script).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[0], completed("a")).await;
    world.report_accepted(&held[1], completed("x")).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[0], RESET).await;
    world.report_accepted(&held[1], completed("y")).await;
    world.lease_named("a").await;
}

pub(crate) async fn a_call_is_reset_25_times_and_not_more(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    script.call(&["alone"], &[]);
    script.set("alone", |settings| settings.scope = "other".into());
    let run = world.submit(script).await;
    for _ in 0..MAX_RESETS {
        world.lease_and_report("a", completed("1")).await;
        world.lease_and_report("b", RESET).await;
    }
    world.lease_and_report("a", completed("1")).await;
    world.lease_and_report("b", RESET).await;
    world.expect_nothing_ready().await;
    let failed = &world.page(run).await.failed[0];
    assert_eq!((failed.step.as_str(), failed.failure.kind), ("b", FailureKind::Limit));
    assert!(failed.failure.message.contains("25"), "{}", failed.failure);
    // a call of one job resets itself
    world.scopes = vec!["other".into()];
    for _ in 0..MAX_RESETS {
        world.lease_and_report("alone", RESET).await;
    }
    world.lease_and_report("alone", RESET).await;
    assert_eq!(world.state(run).await, RunState::Failed);
}

pub(crate) async fn a_reset_call_has_fresh_attempts(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    script.set("a", |settings| settings.retries = 1);
    let run = world.submit(script).await;
    world.lease_and_report("a", failed("1")).await;
    world.now += 2_000;
    world.lease_and_report("a", completed("1")).await;
    world.lease_and_report("b", RESET).await;
    world.lease_and_report("a", failed("2")).await;
    world.now += 2_000;
    world.lease_and_report("a", completed("2")).await;
    world.lease_and_report("b", completed("3")).await;
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn cancelling_a_call_cancels_its_dependants(mut world: World) {
    let mut script = Script::new();
    let call = script.call(&["a", "b", "c"], &[]);
    let after = script.call(&["after"], &[Input::Node(call)]);
    script.each(after, |script, x| script.call(&["body"], &[x]));
    let other = script.call(&["other"], &[]);
    script.call(&["both"], &[Input::Node(call), Input::Node(other)]);
    let run = world.submit(script).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[0], completed("a")).await;
    world.lease_and_report("b", Outcome::Cancelled).await;
    world.expect_nothing_ready().await;
    assert_eq!(world.state(run).await, RunState::Running, "`other` goes on");
    world.report_accepted(&held[1], completed("o")).await;
    assert_eq!(world.state(run).await, RunState::Completed, "nothing failed");
    for (step, cancelled) in [("a", 0), ("b", 1), ("c", 1), ("after", 1), ("both", 1), ("body", 0)] {
        assert_eq!(world.step(run, step).await.cancelled, cancelled, "{step}");
    }
    assert_eq!(world.results(run).await, "- - - o -");
}

pub(crate) async fn a_job_view_shows_its_state(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    let run = world.submit(script).await;
    let held = world.lease_one().await;
    let view = world.job(held.job()).await;
    assert_eq!((view.state, view.step.as_str(), view.run), (JobState::Running, "a", run));
    assert_eq!(view.worker.as_deref(), Some("w1"));
    let child = world.job(JobId(held.job().0 + 1)).await;
    assert_eq!((child.state, child.waiting_for, child.blocked_by), (JobState::Blocked, 1, None));
    world.report_accepted(&held, completed("1")).await;
    assert_eq!(world.job(held.job()).await.state, JobState::Completed);
    world.lease_and_report("b", Outcome::Pending { delay_ms: Some(500), scope: None }).await;
    let child = world.job(child.id).await;
    assert_eq!((child.state, child.available_at.0), (JobState::Available, world.now + 500));
}
