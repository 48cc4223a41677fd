//! Resets of what was cancelled.

use bue_hub::HubError;
use bue_model::plan::Rate;
use bue_model::wire::Verdict;
use bue_model::{Input, JobId, JobState, Outcome, RunState};

use crate::script::Script;
use crate::world::{World, completed, failed, list};

pub(crate) async fn a_reset_brings_back_what_was_cancelled_with_the_run(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    script.call(&["c"], &[]);
    let run = world.submit(script).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[1], completed("c")).await;
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("reset").jobs, 2);
    let view = world.view(run).await;
    assert_eq!((view.state, view.finished_at, view.counts.cancelled), (RunState::Running, None, 0));
    assert_eq!(world.report(&held[0], completed("late")).await, Verdict::LeaseLost);
    let a = world.lease_and_report("a", completed("a")).await;
    assert!(a.lease.token.number > held[0].lease.token.number && a.lease.attempt == 1);
    assert_eq!(world.lease_and_report("b", completed("b")).await.arguments(), ["a"]);
    assert_eq!((world.state(run).await, world.results(run).await), (RunState::Completed, "b c".to_owned()));
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("nothing").jobs, 0);
}

pub(crate) async fn what_a_step_cancelled_stays_cancelled(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["a", "b"], &[x]));
    let run = world.submit(script).await;
    world.lease_and_report("source", list(3)).await;
    let held = world.lease(3).await;
    world.report_accepted(&held[0], Outcome::Cancelled).await;
    world.now += 1;
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("reset").jobs, 4);
    assert_eq!(world.run_all(|_| completed("1")).await, 4);
    assert_eq!((world.state(run).await, world.results(run).await), (RunState::Completed, "list of 3 [- 1 1]".into()));
}

pub(crate) async fn failed_and_stuck_jobs_of_a_cancelled_run_run_again(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    let all = script.gather(source, &["a", "b"]);
    script.call(&["sum"], &[all]);
    script.call(&["open"], &[]);
    let run = world.submit(script).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[0], list(3)).await;
    let rounds = world.lease(3).await;
    for (round, outcome) in rounds.iter().zip([failed("no"), completed("1"), failed("no")]) {
        world.report_accepted(round, outcome).await;
    }
    world.lease_and_report("b", completed("1")).await;
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    assert!(matches!(world.store.reset_job(world.time(), rounds[0].job()).await, Err(HubError::RunCancelled(_))));
    // b of two rounds, sum, open; and the two failed jobs
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("reset").jobs, 6);
    assert_eq!(world.run_all(|held| completed(held.name())).await, 6);
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.results(run).await, "list of 3 [b 1 b] sum open");
}

/// Rounds that did not exist when the run was cancelled.
pub(crate) async fn rounds_go_on_after_a_reset(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["a"], &[x]));
    let run = world.submit(script).await;
    world.lease_and_report("source", list(60_000)).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[0], completed("1")).await;
    let cancelled = world.store.cancel_run(world.time(), run).await.expect("cancelled").jobs;
    let restored = world.store.reset_run(world.time(), run).await.expect("reset").jobs;
    assert_eq!((cancelled, restored), (59_999, 59_999));
    let step = world.step(run, "a").await;
    assert_eq!((step.completed, step.cancelled), (1, 0));
    let done = async || {
        let held = world.lease(1_000).await;
        let outcomes = held.into_iter().map(|held| (held, completed("1"))).collect();
        world.report_all_accepted(outcomes).await;
        world.state(run).await == RunState::Completed
    };
    bue_test_support::wait::wait_until_async("all rounds", done).await;
}

pub(crate) async fn limits_of_starts_hold_after_a_reset(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.call(&["a"], &[]);
    script.set("a", |settings| settings.rate = Some(Rate { count: 1, per_ms: 1_000, by: None }));
    let run = world.submit(script).await;
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    world.store.reset_run(world.time(), run).await.expect("reset");
    world.lease_and_report("a", completed("1")).await;
    world.expect_nothing_ready().await;
    world.now += 1_000;
    world.lease_and_report("a", completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn a_cancelled_job_runs_again_with_its_call_and_dependants(mut world: World) {
    let mut script = Script::new();
    let call = script.call(&["a", "b"], &[]);
    let other = script.call(&["other"], &[]);
    script.call(&["after"], &[Input::Node(call), Input::Node(other)]);
    let run = world.submit(script).await;
    let held = world.lease(2).await;
    let b = JobId(held[0].job().0 + 1);
    assert_eq!(world.store.cancel_job(world.time(), b).await.expect("cancelled").jobs, 3);
    world.report_accepted(&held[1], completed("o")).await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.store.reset_job(world.time(), b).await.expect("reset").jobs, 3);
    assert_eq!(world.state(run).await, RunState::Running);
    world.lease_and_report("a", completed("1")).await;
    world.lease_and_report("b", completed("2")).await;
    assert_eq!(world.lease_and_report("after", completed("3")).await.arguments(), ["2", "o"]);
    assert_eq!((world.state(run).await, world.results(run).await), (RunState::Completed, "2 o 3".into()));
}

pub(crate) async fn a_job_behind_another_cancelled_one_is_refused(mut world: World) {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    let b = script.call(&["b"], &[]);
    script.call(&["c"], &[Input::Node(a), Input::Node(b)]);
    script.call(&["open"], &[]);
    let run = world.submit(script).await;
    let held = world.lease(3).await;
    let c = JobId(held[1].job().0 + 1);
    world.store.cancel_job(world.time(), held[0].job()).await.expect("cancelled");
    world.store.cancel_job(world.time(), held[1].job()).await.expect("cancelled");
    let refused = world.store.reset_job(world.time(), c).await;
    assert!(matches!(refused, Err(HubError::BehindEnded { parent, .. }) if parent == held[0].job()), "{refused:?}");
    assert_eq!(world.store.reset_job(world.time(), held[0].job()).await.expect("reset").jobs, 1);
    assert_eq!(world.job(c).await.state, JobState::Cancelled, "its other parent is");
    assert_eq!(world.store.reset_job(world.time(), held[1].job()).await.expect("reset").jobs, 2);
    world.report_accepted(&held[2], completed("o")).await;
    assert_eq!(world.run_all(|held| completed(held.name())).await, 3);
    assert_eq!((world.state(run).await, world.results(run).await), (RunState::Completed, "a b c o".into()));
}

pub(crate) async fn a_round_comes_back_while_its_loop_runs(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    let all = script.gather(source, &["a", "b"]);
    script.call(&["sum"], &[all]);
    let run = world.submit(script).await;
    world.lease_and_report("source", list(3)).await;
    let held = world.lease(3).await;
    world.report_accepted(&held[0], Outcome::Cancelled).await;
    world.report_accepted(&held[1], failed("no")).await;
    assert_eq!(world.store.reset_job(world.time(), held[0].job()).await.expect("reset").jobs, 2);
    world.report_accepted(&held[2], completed("1")).await;
    world.run_all(|held| completed(held.name())).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    world.store.reset_run(world.time(), run).await.expect("reset");
    world.run_all(|held| completed(held.name())).await;
    assert_eq!(
        (world.state(run).await, world.results(run).await),
        (RunState::Completed, "list of 3 [b b b] sum".into())
    );
}

/// What gathers the rounds may have used that there was no result.
pub(crate) async fn a_round_of_a_loop_that_has_ended_is_refused(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    let all = script.gather(source, &["a"]);
    script.call(&["sum"], &[all]);
    let outside = script.call(&["outside"], &[]);
    let second = script.call(&["second"], &[]);
    script.each(second, |script, x| script.call(&["d"], &[x, Input::Node(outside)]));
    let run = world.submit(script).await;
    let held = world.lease(3).await;
    world.report_accepted(&held[0], list(1)).await;
    world.report_accepted(&held[2], list(2)).await;
    let round = world.lease_and_report("a", Outcome::Cancelled).await;
    let refused = world.store.reset_job(world.time(), round.job()).await;
    assert!(matches!(refused, Err(HubError::LoopEnded { .. })), "{refused:?}");
    // and rounds that were cancelled with a job outside do not come back
    world.store.cancel_job(world.time(), held[1].job()).await.expect("cancelled");
    let refused = world.store.reset_job(world.time(), held[1].job()).await;
    assert!(matches!(refused, Err(HubError::LoopEnded { .. })), "{refused:?}");
    assert_eq!(world.job(held[1].job()).await.state, JobState::Cancelled, "nothing was changed");
    world.lease_and_report("sum", completed("s")).await;
    assert_eq!(world.state(run).await, RunState::Completed);
}

fn ending() -> Script {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.finally(|script, run| script.call(&["last", "more"], &[run]));
    script
}

pub(crate) async fn a_reset_of_a_cancelled_run_runs_finally_again(mut world: World) {
    let run = world.submit(ending()).await;
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    assert!(matches!(world.store.reset_run(world.time(), run).await, Err(HubError::RunEnding(_))));
    world.run_all(|_| completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Cancelled);
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("reset").jobs, 1);
    assert_eq!(world.run_all(|_| completed("1")).await, 3);
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.step(run, "last").await.completed, 2);
    // also if the block itself was cancelled meanwhile
    let run = world.submit(ending()).await;
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    world.now += 1;
    world.lease_and_report("last", failed("no")).await;
    assert_eq!(world.state(run).await, RunState::Cancelled);
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("reset").jobs, 1);
    assert_eq!(world.run_all(|_| completed("1")).await, 3);
    assert_eq!((world.state(run).await, world.view(run).await.counts.failed), (RunState::Completed, 0));
}

pub(crate) async fn a_finally_that_was_cancelled_goes_on_or_starts_over(mut world: World) {
    // nothing else was cancelled, so the block goes on
    let run = world.submit(ending()).await;
    world.lease_and_report("a", completed("1")).await;
    world.lease_and_report("last", completed("1")).await;
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    assert_eq!(world.state(run).await, RunState::Cancelled);
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("reset").jobs, 1);
    assert_eq!(world.run_all(|_| completed("1")).await, 1);
    assert_eq!(world.state(run).await, RunState::Completed);
    // the rest of the run goes on, and the block runs at its end
    let run = world.submit(ending()).await;
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    world.now += 1;
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("reset").jobs, 1);
    assert_eq!(world.run_all(|_| completed("1")).await, 3);
    assert_eq!(world.state(run).await, RunState::Completed);
}
