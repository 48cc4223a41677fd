//! Handlers of failures: `!on_failure`.

use bue_hub::{HubError, MAX_RELEASES};
use bue_model::wire::{JobInput, JobQuery, Lease, StepView, Verdict};
use bue_model::{Input, JobId, JobState, Json, NodeId, Outcome, RunState, Value, ValueRef, cbor};

use crate::script::{Script, submission};
use crate::world::{LeasedJob, PENDING, RESET, World, completed, failed, list};

/// `a()` and its handler.
fn handled() -> Script {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    script.on_failure(a, "notify");
    script
}

/// Returns the failure that a handler got, as text.
pub(crate) fn input_of(held: &LeasedJob) -> String {
    input_of_lease(&held.lease)
}

/// Returns the failure that a handler got with a lease, as text.
pub(crate) fn input_of_lease(lease: &Lease) -> String {
    let JobInput::Element { chunk, index } = &lease.inputs[0] else { panic!("{:?}", lease.inputs) };
    let ValueRef::Inline(bytes) = &*chunk.value else { panic!("{chunk:?}") };
    let Value::List(list) = cbor::decode(bytes).expect("CBOR") else { panic!("a list") };
    serde_json::to_string(&Json(&list[*index as usize])).expect("JSON")
}

pub(crate) async fn a_final_failure_calls_the_handler_once(mut world: World) {
    let mut script = handled();
    script.set("a", |settings| settings.retries = 1);
    let run = world.submit(script).await;
    world.lease_and_report("a", failed("first")).await;
    world.now += 600_000;
    let a = world.lease_named("a").await;
    world.report_accepted(&a, failed("second")).await;
    world.report_accepted(&a, failed("second")).await;
    let held = world.lease_named("notify").await;
    let expected = format!(r#"{{"run":"{run}","job":{},"step":"a","error":"second","attempts":2}}"#, a.job());
    assert_eq!(input_of(&held), expected);
    assert_eq!(world.state(run).await, RunState::Running);
    world.report_accepted(&held, completed("told")).await;
    world.expect_nothing_ready().await;
    assert_eq!(world.state(run).await, RunState::Failed, "whatever the handler returned");
    assert_eq!(world.results(run).await, "-", "a handler has no result of the run");
}

pub(crate) async fn a_handler_starts_although_the_call_is_blocked(mut world: World) {
    let mut script = Script::new();
    let b = script.call(&["a", "b"], &[]);
    script.on_failure(NodeId(0), "of a");
    script.on_failure(b, "of b");
    let run = world.submit(script).await;
    world.lease_and_report("a", failed("no")).await;
    world.lease_and_report("of a", completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    assert_eq!(world.step(run, "b").await.blocked, 1);
    assert_eq!(
        world.step(run, "of b").await,
        StepView { name: "of b".into(), scope: "default".into(), ..Default::default() }
    );
}

pub(crate) async fn every_kind_of_final_failure_calls_the_handler(mut world: World) {
    // it expires
    let mut script = handled();
    script.set("a", |settings| settings.expires_ms = Some(1_000));
    world.submit(script).await;
    world.now += 1_000;
    world.expire().await;
    assert!(input_of(&world.lease_and_report("notify", completed("1")).await).contains("it expired"));
    // its workers die
    world.submit(handled()).await;
    for _ in 0..MAX_RELEASES {
        let held = world.lease_named("a").await;
        world.now += 60_000;
        assert_eq!(world.reap().await, [held.job()]);
    }
    assert!(input_of(&world.lease_and_report("notify", completed("1")).await).contains("released 5 times"));
    // it gives up
    let mut script = handled();
    script.set("a", |settings| settings.max_handbacks = 1);
    world.submit(script).await;
    world.lease_and_report("a", PENDING).await;
    world.now += 60_000;
    world.lease_and_report("a", PENDING).await;
    assert!(input_of(&world.lease_and_report("notify", completed("1")).await).contains("hand-backs"));
}

pub(crate) async fn what_is_not_a_final_failure_calls_no_handler(mut world: World) {
    for outcome in [completed("1"), Outcome::Cancelled] {
        let run = world.submit(handled()).await;
        world.lease_and_report("a", PENDING).await;
        world.now += 60_000;
        world.lease_and_report("a", RESET).await;
        world.lease_and_report("a", outcome).await;
        world.expect_nothing_ready().await;
        assert_eq!(world.state(run).await, RunState::Completed);
        let page = world.store.jobs(run, JobQuery { limit: 10, ..JobQuery::default() }).await.expect("a page");
        assert_eq!(page.expect("the run").jobs.len(), 1, "a handler that is not called is no job");
    }
}

pub(crate) async fn jobs_behind_a_failed_one_call_no_handler(mut world: World) {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    let b = script.call(&["b"], &[Input::Node(a)]);
    script.on_failure(b, "notify");
    let run = world.submit(script).await;
    world.lease_and_report("a", failed("no")).await;
    world.expect_nothing_ready().await;
    assert_eq!(world.state(run).await, RunState::Failed);
}

pub(crate) async fn a_run_lasts_until_its_handlers_have_ended(mut world: World) {
    let run = world.submit(handled()).await;
    world.lease_and_report("a", failed("no")).await;
    world.lease_and_report("notify", PENDING).await;
    assert_eq!(world.state(run).await, RunState::Running);
    world.now += 60_000;
    let held = world.lease_named("notify").await;
    world.now += 60_000;
    assert_eq!(world.reap().await, [held.job()], "its worker died");
    assert_eq!(world.state(run).await, RunState::Running);
    world.lease_and_report("notify", completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Failed);
}

pub(crate) async fn a_failed_handler_calls_nothing_and_can_be_reset(mut world: World) {
    let run = world.submit(handled()).await;
    let a = world.lease_and_report("a", failed("no")).await;
    let handler = world.lease_and_report("notify", failed("no mail")).await;
    world.expect_nothing_ready().await;
    assert_eq!(world.state(run).await, RunState::Failed);
    assert_eq!(world.page(run).await.failed.iter().map(|job| job.job).collect::<Vec<_>>(), [a.job(), handler.job()]);
    assert_eq!(world.store.reset_job(world.time(), handler.job()).await.expect("a reset").jobs, 1);
    assert_eq!(world.state(run).await, RunState::Running);
    let again = world.lease_and_report("notify", completed("1")).await;
    assert_eq!(input_of(&again), input_of(&handler));
    assert_eq!(world.state(run).await, RunState::Failed);
    assert_eq!(world.job(a.job()).await.state, JobState::Failed);
}

pub(crate) async fn every_round_has_a_handler_of_its_own(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    let all = script.gather_of(source, |script, x| {
        let last = script.call(&["round", "after"], &[x]);
        script.on_failure(NodeId(last.0 - 1), "notify");
        last
    });
    script.call(&["end"], &[all]);
    let run = world.submit(script).await;
    world.lease_and_report("source", list(30)).await;
    let rounds = world.lease(100).await;
    assert_eq!(rounds.len(), 30);
    let outcomes = rounds
        .iter()
        .enumerate()
        .map(|(at, held)| (held.clone(), if at % 10 == 0 { failed(&format!("round {at}")) } else { completed("1") }));
    world.report_all_accepted(outcomes.collect()).await;
    let mut notified = Vec::new();
    world
        .run_all(|held| {
            if held.name() == "notify" {
                notified.push(input_of(held));
            }
            completed("1")
        })
        .await;
    notified.sort();
    let mut expected: Vec<String> = [0, 10, 20]
        .map(|at| {
            let job = rounds[at].job();
            format!(r#"{{"run":"{run}","job":{job},"step":"round","error":"round {at}","attempts":1}}"#)
        })
        .to_vec();
    expected.sort();
    assert_eq!(notified, expected);
    assert_eq!(world.state(run).await, RunState::Failed);
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("a reset").jobs, 3);
    world.run_all(|_| completed("2")).await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.step(run, "notify").await.completed, 3);
}

pub(crate) async fn a_handler_is_counted_once_it_exists(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| {
        let round = script.call(&["round"], &[x]);
        script.on_failure(round, "notify");
    });
    let run = world.submit(script).await;
    world.lease_and_report("source", list(60_000)).await;
    let view = world.view(run).await;
    assert_eq!((view.counts.blocked + view.counts.available, view.counts.completed), (60_000, 1));
    let held = world.lease(2).await;
    world.report_accepted(&held[0], failed("no")).await;
    let step = world.step(run, "notify").await;
    assert_eq!((step.blocked, step.available, step.completed), (0, 1, 0));
    let cancelled = world.store.cancel_run(world.time(), run).await.expect("cancelled").jobs;
    assert_eq!(cancelled, 60_000, "all rounds but the failed one, and the handler");
    let counts = world.view(run).await.counts;
    assert_eq!((counts.open(), counts.failed, counts.cancelled), (0, 1, 60_000));
}

pub(crate) async fn a_reset_withdraws_the_call(mut world: World) {
    for leases in [false, true] {
        let run = world.submit(handled()).await;
        let a = world.lease_and_report("a", failed("no")).await;
        let held = if leases { Some(world.lease_named("notify").await) } else { None };
        world.store.reset_job(world.time(), a.job()).await.expect("a reset");
        if let Some(held) = &held {
            assert_eq!(world.heartbeat(&[held]).await, [held.job()], "it is lost");
        }
        let held = world.lease_named("a").await;
        assert_eq!(world.state(run).await, RunState::Running);
        world.report_accepted(&held, completed("1")).await;
        assert_eq!(world.state(run).await, RunState::Completed);
        assert_eq!(world.step(run, "notify").await.cancelled, 1);
    }
}

pub(crate) async fn a_job_that_fails_again_calls_its_handler_again(mut world: World) {
    let run = world.submit(handled()).await;
    let a = world.lease_and_report("a", failed("first")).await;
    let first = world.lease_and_report("notify", completed("1")).await;
    for (number, outcome) in [("second", completed("1")), ("third", failed("no mail"))] {
        world.store.reset_job(world.time(), a.job()).await.expect("a reset");
        world.lease_and_report("a", failed(number)).await;
        let again = world.lease_and_report("notify", outcome).await;
        assert!(input_of(&again).contains(number), "{}", input_of(&again));
        assert_eq!(again.job(), first.job());
        assert!(again.lease.token.number > first.lease.token.number, "a late report of the first call is stale");
    }
    assert_eq!(world.state(run).await, RunState::Failed);
    let counts = world.view(run).await.counts;
    assert_eq!((counts.open(), counts.failed, counts.completed, counts.cancelled), (0, 2, 0, 0));
}

pub(crate) async fn a_reset_run_does_not_reset_handlers_too(mut world: World) {
    let run = world.submit(handled()).await;
    world.lease_and_report("a", failed("no")).await;
    world.lease_and_report("notify", failed("no mail")).await;
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("a reset").jobs, 1);
    world.lease_and_report("a", completed("1")).await;
    world.expect_nothing_ready().await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert!(world.page(run).await.failed.is_empty());
}

pub(crate) async fn a_handler_can_be_cancelled(mut world: World) {
    let run = world.submit(handled()).await;
    let a = world.lease_and_report("a", failed("no")).await;
    let handler = JobId(a.job().0 + 1);
    assert_eq!(world.job(handler).await.state, JobState::Available);
    assert_eq!(world.store.cancel_job(world.time(), handler).await.expect("cancelled").jobs, 1);
    assert_eq!(world.state(run).await, RunState::Failed);
}

pub(crate) async fn a_cancelled_run_cancels_its_handlers(mut world: World) {
    let run = world.submit(handled()).await;
    world.lease_and_report("a", failed("no")).await;
    let held = world.lease_named("notify").await;
    assert_eq!(world.store.cancel_run(world.time(), run).await.expect("cancelled").jobs, 1);
    assert_eq!(world.heartbeat(&[&held]).await, [held.job()]);
    assert_eq!(world.state(run).await, RunState::Cancelled);
    world.store.delete_run(run).await.expect("deleted");
    assert_eq!(world.store.job(held.job()).await.expect("an answer"), None);
}

pub(crate) async fn a_late_report_of_a_handler_changes_nothing(mut world: World) {
    let run = world.submit(handled()).await;
    let a = world.lease_and_report("a", failed("no")).await;
    let held = world.lease_named("notify").await;
    world.store.reset_job(world.time(), a.job()).await.expect("a reset");
    world.lease_and_report("a", failed("again")).await;
    assert_eq!(world.report(&held, completed("late")).await, Verdict::LeaseLost);
    world.lease_and_report("notify", completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Failed);
}

pub(crate) async fn a_handler_does_not_expire_with_the_run(mut world: World) {
    let mut script = handled();
    script.set("notify", |settings| settings.expires_ms = Some(1_000));
    world.submit(script).await;
    let held = world.lease_named("a").await;
    world.now += 5_000;
    world.heartbeat(&[&held]).await;
    world.report_accepted(&held, failed("no")).await;
    assert_eq!(world.expire().await, (vec![], Some(world.now + 1_000)), "the time counts from the failure on");
    world.lease_and_report("notify", completed("1")).await;
}

pub(crate) async fn a_plan_with_impossible_handlers_is_refused(mut world: World) {
    type Change = fn(&mut Script, NodeId, NodeId) -> NodeId;
    let wrong: [Change; 5] = [
        |script, a, _| script.on_failure(a, "second"),
        |script, _, handler| script.on_failure(handler, "of the handler"),
        |script, _, handler| script.call(&["b"], &[Input::Node(handler)]),
        |script, a, _| script.call(&["b"], &[Input::Failure(a), Input::Node(a)]),
        |script, _, handler| script.each(handler, |script, x| script.call(&["b"], &[x])),
    ];
    for change in wrong {
        let mut script = Script::new();
        let a = script.call(&["a"], &[]);
        let handler = script.on_failure(a, "notify");
        change(&mut script, a, handler);
        world.runs += 1;
        let refused = world.store.submit(world.time(), submission(world.runs, script.plan())).await;
        assert!(matches!(refused, Err(HubError::Plan(_))), "{refused:?}");
    }
}
