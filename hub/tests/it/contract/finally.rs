//! `finally`: what runs when a run ends.

use bue_hub::HubError;
use bue_model::plan::AtMost;
use bue_model::wire::JobQuery;
use bue_model::{Input, JobState, NodeId, RunState};

use super::handlers::input_of;
use crate::script::{Script, submission};
use crate::world::{LeasedJob, PENDING, World, completed, failed, list};

/// `a()`, and `last(run)` at the end.
fn ending() -> Script {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    script.finally(|script, run| script.call(&["last", "after"], &[run]));
    script
}

/// Leases the first job of `finally`, which must get this state and number of failed jobs.
async fn lease_last(world: &mut World, state: &str, failed: u32) -> LeasedJob {
    let held = world.lease_named("last").await;
    let expected = format!(r#"{{"id":"{}","state":"{state}","failed":{failed}}}"#, held.lease.run);
    assert_eq!(input_of(&held), expected);
    held
}

async fn complete_last(world: &mut World, state: &str, failed: u32) {
    let held = lease_last(world, state, failed).await;
    world.report_accepted(&held, completed("1")).await;
    world.lease_and_report("after", completed("1")).await;
    world.expect_nothing_ready().await;
}

pub(crate) async fn finally_runs_when_everything_else_has_ended(mut world: World) {
    let run = world.submit(ending()).await;
    assert_eq!(world.view(run).await.counts.open(), 2, "the block is no job yet");
    world.lease_and_report("a", completed("1")).await;
    world.lease_and_report("b", completed("2")).await;
    assert_eq!(world.state(run).await, RunState::Running);
    complete_last(&mut world, "completed", 0).await;
    let view = world.view(run).await;
    assert_eq!((view.state, view.counts.completed, view.counts.open()), (RunState::Completed, 4, 0));
    assert_eq!(world.results(run).await, "2", "its calls have no results of the run");
}

pub(crate) async fn a_failed_run_ends_with_finally(mut world: World) {
    let run = world.submit(ending()).await;
    world.lease_and_report("a", failed("no")).await;
    complete_last(&mut world, "failed", 1).await;
    assert_eq!(world.state(run).await, RunState::Failed);
}

pub(crate) async fn a_run_of_nothing_else_runs_finally(mut world: World) {
    let mut script = Script::new();
    script.finally(|script, run| script.call(&["last", "after"], &[run]));
    let run = world.submit(script).await;
    complete_last(&mut world, "completed", 0).await;
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn finally_tells_how_many_jobs_failed(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| {
        let round = script.call(&["round"], &[x]);
        script.on_failure(round, "notify");
    });
    script.finally(|script, run| script.call(&["last", "after"], &[run]));
    let run = world.submit(script).await;
    world.lease_and_report("source", list(25)).await;
    let mut rounds = 0;
    while world.view(run).await.counts.available > 0 && rounds < 25 {
        let held = world.lease(25).await;
        rounds += held.iter().filter(|held| held.name() == "round").count();
        let outcomes = held.into_iter().map(|held| {
            let outcome = if held.name() == "round" { failed("no") } else { completed("1") };
            (held, outcome)
        });
        world.report_all_accepted(outcomes.collect()).await;
    }
    for held in world.lease(25).await {
        world.report_accepted(&held, completed("1")).await;
    }
    complete_last(&mut world, "failed", 25).await;
    assert_eq!(world.state(run).await, RunState::Failed);
}

pub(crate) async fn finally_runs_after_a_cancellation_which_a_second_one_ends(mut world: World) {
    let run = world.submit(ending()).await;
    let a = world.lease_named("a").await;
    assert_eq!(world.store.cancel_run(world.time(), run).await.expect("cancelled").jobs, 2);
    assert_eq!(world.heartbeat(&[&a]).await, [a.job()]);
    assert_eq!(world.state(run).await, RunState::Running);
    assert!(matches!(world.store.delete_run(run).await, Err(HubError::RunStillRunning(_))));
    complete_last(&mut world, "cancelled", 0).await;
    assert_eq!(world.state(run).await, RunState::Cancelled);

    let run = world.submit(ending()).await;
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    let held = lease_last(&mut world, "cancelled", 0).await;
    assert_eq!(world.store.cancel_run(world.time(), run).await.expect("cancelled").jobs, 2);
    assert_eq!(world.heartbeat(&[&held]).await, [held.job()]);
    assert_eq!(world.state(run).await, RunState::Cancelled);
    world.expect_nothing_ready().await;

    let run = world.submit(ending()).await;
    world.lease_and_report("a", completed("1")).await;
    world.lease_and_report("b", completed("1")).await;
    lease_last(&mut world, "completed", 0).await;
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    assert_eq!(world.state(run).await, RunState::Cancelled, "a cancelled `finally` ends the run");
    world.expect_nothing_ready().await;
    assert_eq!(world.view(run).await.counts.open(), 0);
}

pub(crate) async fn a_failure_in_finally_fails_the_run_and_can_be_reset(mut world: World) {
    let run = world.submit(ending()).await;
    world.lease_and_report("a", completed("1")).await;
    world.lease_and_report("b", completed("1")).await;
    let held = lease_last(&mut world, "completed", 0).await;
    world.report_accepted(&held, failed("no")).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("a reset").jobs, 1);
    assert_eq!(world.state(run).await, RunState::Running);
    complete_last(&mut world, "completed", 0).await;
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn a_reset_of_the_run_runs_finally_again(mut world: World) {
    let run = world.submit(ending()).await;
    let a = world.lease_and_report("a", failed("no")).await;
    complete_last(&mut world, "failed", 1).await;
    world.store.reset_job(world.time(), a.job()).await.expect("a reset");
    assert_eq!(world.state(run).await, RunState::Running);
    world.lease_and_report("a", completed("1")).await;
    world.lease_and_report("b", failed("no")).await;
    complete_last(&mut world, "failed", 1).await;
    world.store.reset_run(world.time(), run).await.expect("a reset");
    world.lease_and_report("b", completed("1")).await;
    complete_last(&mut world, "completed", 0).await;
    let view = world.view(run).await;
    assert_eq!((view.state, view.counts.completed), (RunState::Completed, 2 + 3 * 2));
}

pub(crate) async fn a_reset_cancels_what_failed_in_an_earlier_finally(mut world: World) {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    script.finally(|script, run| {
        let source = script.call(&["source"], &[run]);
        let all = script.gather(source, &["round", "after"]);
        script.call(&["end"], &[all]);
    });
    assert_eq!(a, NodeId(0));
    let run = world.submit(script).await;
    world.lease_and_report("a", failed("no")).await;
    world.lease_and_report("source", list(3)).await;
    for held in world.lease(3).await {
        world.report_accepted(&held, failed("no")).await;
    }
    assert_eq!(world.state(run).await, RunState::Failed);
    assert_eq!(world.page(run).await.failed.len(), 4);
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("a reset").jobs, 1, "only what is outside");
    assert!(world.page(run).await.failed.is_empty());
    let counts = world.view(run).await.counts;
    assert_eq!((counts.available, counts.blocked, counts.failed, counts.cancelled), (1, 0, 0, 7));
    world.run_all(|held| if held.name() == "source" { list(3) } else { completed("1") }).await;
    let counts = world.view(run).await.counts;
    assert_eq!((world.state(run).await, counts.completed), (RunState::Completed, 1 + 1 + 1 + 6 + 1));
}

pub(crate) async fn a_reset_cancels_an_earlier_finally_whatever_its_ids(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["round"], &[x]));
    script.finally(|script, run| script.call(&["last", "after"], &[run]));
    let run = world.submit(script).await;
    world.lease_and_report("source", failed("no")).await;
    complete_last(&mut world, "failed", 1).await;
    world.store.reset_run(world.time(), run).await.expect("a reset");
    // the rounds get larger ids than the block
    world.lease_and_report("source", list(1)).await;
    world.lease_and_report("round", failed("no")).await;
    let held = lease_last(&mut world, "failed", 1).await;
    world.report_accepted(&held, failed("no")).await;
    assert_eq!(world.page(run).await.failed.len(), 2);
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("a reset").jobs, 1);
    world.lease_and_report("round", completed("1")).await;
    complete_last(&mut world, "completed", 0).await;
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn nothing_outside_is_reset_while_finally_runs(mut world: World) {
    let run = world.submit(ending()).await;
    let a = world.lease_and_report("a", failed("no")).await;
    let held = lease_last(&mut world, "failed", 1).await;
    assert!(matches!(world.store.reset_job(world.time(), a.job()).await, Err(HubError::RunEnding(_))));
    assert!(matches!(world.store.reset_run(world.time(), run).await, Err(HubError::RunEnding(_))));
    world.report_accepted(&held, completed("1")).await;
    world.lease_and_report("after", completed("1")).await;
    world.store.reset_job(world.time(), a.job()).await.expect("a reset");
}

pub(crate) async fn a_cancelled_job_of_finally_ends_the_run(mut world: World) {
    let run = world.submit(ending()).await;
    world.lease_and_report("a", failed("no")).await;
    let held = lease_last(&mut world, "failed", 1).await;
    assert_eq!(world.store.cancel_job(world.time(), held.job()).await.expect("cancelled").jobs, 2);
    assert_eq!(world.state(run).await, RunState::Failed);
}

pub(crate) async fn finally_has_loops_and_handlers(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.finally(|script, run| {
        let source = script.call(&["source"], std::slice::from_ref(&run));
        script.each(source, |script, x| {
            let round = script.call(&["round"], &[x, run]);
            script.on_failure(round, "notify");
        });
    });
    let run = world.submit(script).await;
    world.lease_and_report("a", completed("1")).await;
    world.lease_and_report("source", list(2)).await;
    let rounds = world.lease(10).await;
    assert_eq!(rounds.len(), 2);
    assert!(rounds[0].arguments()[1].contains("completed"), "{:?}", rounds[0].arguments());
    world.report_accepted(&rounds[0], failed("no")).await;
    world.report_accepted(&rounds[1], completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Running);
    world.lease_and_report("notify", completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    world.store.reset_run(world.time(), run).await.expect("a reset");
    world.lease_and_report("round", completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn finally_is_no_loop_to_users(mut world: World) {
    let run = world.submit(ending()).await;
    world.lease_and_report("a", failed("no")).await;
    let held = lease_last(&mut world, "failed", 1).await;
    assert_eq!(world.job(held.job()).await.rounds, []);
    let page = world.store.jobs(run, JobQuery { limit: 10, ..JobQuery::default() }).await.expect("a page");
    let jobs = page.expect("the run").jobs;
    let steps: Vec<_> = jobs.iter().map(|job| (job.step.as_str(), job.state)).collect();
    let expected =
        [("a", JobState::Failed), ("b", JobState::Blocked), ("last", JobState::Running), ("after", JobState::Blocked)];
    assert_eq!(steps, expected);
    world.report_accepted(&held, PENDING).await;
    assert_eq!(world.state(run).await, RunState::Running);
}

pub(crate) async fn a_deleted_run_leaves_nothing_of_finally(mut world: World) {
    let run = world.submit(ending()).await;
    let a = world.lease_and_report("a", failed("no")).await;
    complete_last(&mut world, "failed", 1).await;
    world.store.reset_job(world.time(), a.job()).await.expect("a reset");
    world.lease_and_report("a", failed("no")).await;
    let held = lease_last(&mut world, "failed", 1).await;
    world.report_accepted(&held, failed("no")).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    world.store.delete_run(run).await.expect("deleted");
    for job in [a.job(), held.job()] {
        assert_eq!(world.store.job(job).await.expect("an answer"), None);
    }
}

pub(crate) async fn cancelling_what_is_stuck_does_not_run_finally_again(mut world: World) {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    let b = script.call(&["b"], &[]);
    script.call(&["c"], &[Input::Node(a), Input::Node(b)]);
    script.finally(|script, run| script.call(&["last", "after"], &[run]));
    let run = world.submit(script).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[0], failed("no")).await;
    world.report_accepted(&held[1], completed("1")).await;
    complete_last(&mut world, "failed", 1).await;
    let stuck = bue_model::JobId(held[1].job().0 + 1);
    assert_eq!(world.store.cancel_job(world.time(), stuck).await.expect("cancelled").jobs, 1);
    world.expect_nothing_ready().await;
    assert_eq!(world.state(run).await, RunState::Failed);
}

pub(crate) async fn finally_is_under_limits_of_starts(mut world: World) {
    let mut script = Script::new();
    script.finally(|script, run| {
        script.call(&["last"], std::slice::from_ref(&run));
        script.call(&["last"], &[run]);
    });
    script.set("last", |settings| {
        settings.at_most = Some(AtMost { count: 1, by: None });
        settings.expires_ms = Some(1_000);
    });
    let run = world.submit(script).await;
    let held = world.lease_named("last").await;
    world.report_accepted(&held, completed("1")).await;
    world.lease_and_report("last", completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn a_plan_with_an_impossible_finally_is_refused(mut world: World) {
    type Change = fn(&mut Script) -> NodeId;
    let wrong: [Change; 5] = [
        |script| script.finally(|script, _| script.call(&["second"], &[])),
        |script| script.each(NodeId(0), |script, _| script.finally(|script, _| script.call(&["b"], &[]))),
        |script| script.call(&["outside"], &[Input::Run(NodeId(1))]),
        |script| script.call(&["outside"], &[Input::Node(NodeId(2))]),
        |script| script.call(&["outside"], &[Input::Loop(NodeId(1))]),
    ];
    for change in wrong {
        let mut script = Script::new();
        script.call(&["a"], &[]);
        script.finally(|script, run| script.call(&["last"], &[run]));
        change(&mut script);
        world.runs += 1;
        let refused = world.store.submit(world.time(), submission(world.runs, script.plan())).await;
        assert!(matches!(refused, Err(HubError::Plan(_))), "{refused:?}");
    }
    let uses: [fn(&mut Script, Input) -> NodeId; 2] =
        [|script, _| script.call(&["last"], &[Input::Node(NodeId(0))]), |script, _| script.each(NodeId(0), |_, _| ())];
    for body in uses {
        let mut script = Script::new();
        script.call(&["a"], &[]);
        script.finally(body);
        world.runs += 1;
        let refused = world.store.submit(world.time(), submission(world.runs, script.plan())).await;
        assert!(matches!(refused, Err(HubError::Plan(_))), "{refused:?}");
    }
}
