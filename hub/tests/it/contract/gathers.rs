//! Gathering: the results of all rounds as one list.

use bue_model::job::INLINE_LIMIT;
use bue_model::{FailureKind, Input, JobState, Outcome, RunState};

use crate::script::Script;
use crate::world::{LeasedJob, World, completed, failed, list};

/// `all = [a(x) for x in source()]`, then `sum(all)`
fn gather() -> Script {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    let all = script.gather(source, &["a", "b"]);
    script.call(&["sum"], &[all]);
    script
}

fn echo(held: &LeasedJob) -> Outcome {
    completed(&held.arguments()[0])
}

pub(crate) async fn a_gathered_list_has_the_rounds_in_order(mut world: World) {
    let run = world.submit(gather()).await;
    world.lease_and_report("source", list(3)).await;
    let mut rounds = world.lease(10).await;
    rounds.rotate_left(1);
    for held in &rounds {
        world.report_accepted(held, echo(held)).await;
    }
    let rounds = world.lease(10).await;
    for held in rounds.iter().rev() {
        world.report_accepted(held, echo(held)).await;
    }
    let sum = world.lease_and_report("sum", completed("s")).await;
    assert_eq!(sum.arguments(), ["[c0[0] c0[1] c0[2]]"]);
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.results(run).await, "list of 3 [c0[0] c0[1] c0[2]] s");
}

pub(crate) async fn a_cancelled_round_gives_nothing(mut world: World) {
    let run = world.submit(gather()).await;
    world.lease_and_report("source", list(3)).await;
    world.run_all(|held| if held.arguments()[0] == "c0[1]" { Outcome::Cancelled } else { echo(held) }).await;
    assert_eq!(world.results(run).await, "list of 3 [c0[0] - c0[2]] [c0[0] - c0[2]]");
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn a_gathered_empty_list_is_empty(mut world: World) {
    world.submit(gather()).await;
    world.lease_and_report("source", list(0)).await;
    assert_eq!(world.lease_named("sum").await.arguments(), ["[]"]);
}

pub(crate) async fn a_failed_round_blocks_what_gathers_it_until_reset(mut world: World) {
    let mut script = Script::new();
    let outer = script.call(&["outer"], &[]);
    script.each(outer, |script, x| {
        let source = script.call(&["source"], &[x]);
        let all = script.gather(source, &["a"]);
        script.call(&["sum"], &[all]);
    });
    let run = world.submit(script).await;
    world.lease_and_report("outer", list(1)).await;
    world.lease_and_report("source", list(3)).await;
    let rounds = world.lease(10).await;
    world.report_accepted(&rounds[0], failed("first")).await;
    world.report_accepted(&rounds[1], completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Running, "a round is still open");
    world.report_accepted(&rounds[2], failed("second")).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    assert_eq!(world.step(run, "sum").await.blocked, 1);
    // one of two is not enough
    world.store.reset_job(world.time(), rounds[0].job()).await.expect("reset");
    assert_eq!(world.state(run).await, RunState::Running);
    world.lease_and_report("a", completed("0")).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    assert_eq!(world.step(run, "sum").await.blocked, 1);
    world.store.reset_run(world.time(), run).await.expect("reset");
    world.lease_and_report("a", completed("2")).await;
    assert_eq!(world.lease_and_report("sum", completed("s")).await.arguments(), ["[0 1 2]"]);
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn a_gathered_list_too_long_for_a_message_fails_the_job(mut world: World) {
    let run = world.submit(gather()).await;
    world.lease_and_report("source", list(1_000)).await;
    let long = "x".repeat(INLINE_LIMIT);
    world.run_all(|_| completed(&long)).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    let failed = &world.page(run).await.failed[0];
    assert_eq!((failed.step.as_str(), failed.failure.kind), ("sum", FailureKind::Limit));
    assert_eq!(world.job(failed.job).await.state, JobState::Failed);
}

pub(crate) async fn a_cancelled_source_cancels_what_gathers_it(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    let all = script.gather(source, &["a"]);
    let sum = script.call(&["sum"], &[all]);
    script.call(&["last"], &[Input::Node(sum)]);
    let run = world.submit(script).await;
    world.lease_and_report("source", Outcome::Cancelled).await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.step(run, "last").await.cancelled, 1);
    assert_eq!(world.results(run).await, "- - - -");
}
