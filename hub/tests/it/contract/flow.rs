//! Jobs start once, when their parents have completed, with their values.

use bue_model::job::{Hints, INLINE_LIMIT};
use bue_model::{Input, JobState, Outcome, RunState, ValueRef};

use crate::script::{Script, submission};
use crate::world::{World, completed, list, value};

pub(crate) async fn a_job_starts_when_all_its_parents_are_completed_and_only_once(mut world: World) {
    let mut script = Script::new();
    let top = script.call(&["top"], &[]);
    let left = script.call(&["left"], &[Input::Node(top)]);
    let right = script.call(&["right"], &[Input::Node(top)]);
    script.call(&["bottom"], &[Input::Node(left), Input::Node(right)]);
    let run = world.submit(script).await;
    world.lease_and_report("top", completed("t")).await;
    let both = world.lease(10).await;
    assert_eq!(both.len(), 2);
    world.report_accepted(&both[1], completed("r")).await;
    world.expect_nothing_ready().await;
    world.report_accepted(&both[0], completed("l")).await;
    let bottom = world.lease_and_report("bottom", completed("b")).await;
    assert_eq!(bottom.arguments(), ["l", "r"]);
    world.expect_nothing_ready().await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.step(run, "bottom").await.attempts, 1);
    assert_eq!(world.results(run).await, "t l r b");
}

pub(crate) async fn the_same_argument_twice_is_passed_twice(mut world: World) {
    let mut script = Script::new();
    let a = Input::Node(script.call(&["a"], &[]));
    let b = Input::Node(script.call(&["b"], &[]));
    script.call(&["c"], &[a.clone(), b, a]);
    world.submit(script).await;
    for held in world.lease(2).await {
        let name = held.name().to_owned();
        world.report_accepted(&held, completed(&name)).await;
    }
    assert_eq!(world.lease_named("c").await.arguments(), ["a", "b", "a"]);
}

pub(crate) async fn a_call_hands_values_down_its_chain(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b", "c"], &[]);
    let run = world.submit(script).await;
    assert_eq!(world.lease_and_report("a", completed("1")).await.arguments(), Vec::<String>::new());
    assert_eq!(world.lease_and_report("b", completed("2")).await.arguments(), ["1"]);
    assert_eq!(world.state(run).await, RunState::Running);
    assert_eq!(world.lease_and_report("c", completed("3")).await.arguments(), ["2"]);
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.results(run).await, "3");
}

pub(crate) async fn calling_a_pipe_twice_makes_new_jobs(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.call(&["a"], &[]);
    let run = world.submit(script).await;
    assert_eq!(world.run_all(|_| completed("x")).await, 2);
    assert_eq!(world.results(run).await, "x x");
}

pub(crate) async fn a_run_of_nothing_is_completed(mut world: World) {
    let run = world.submit(Script::new()).await;
    let view = world.view(run).await;
    assert_eq!(view.state, RunState::Completed);
    assert_eq!(view.finished_at, Some(world.time()));
}

pub(crate) async fn submitting_a_run_twice_changes_nothing(mut world: World) {
    let plan = || {
        let mut script = Script::new();
        script.call(&["a", "b"], &[]);
        script.plan()
    };
    let run = world.store.submit(world.time(), submission(1, plan())).await.expect("a run");
    world.lease_and_report("a", completed("1")).await;
    let before = world.view(run).await;
    let again = world.store.submit(world.time(), submission(1, plan())).await.expect("the run");
    assert_eq!(again, run);
    assert_eq!(world.view(run).await, before);
    // another plan under the same id is the same run, too
    let again = world.store.submit(world.time(), submission(1, Script::new().plan())).await.expect("the run");
    assert_eq!((again, world.view(run).await), (run, before));
    world.lease_named("b").await;
    assert_eq!(world.store.runs(10).await.expect("runs").len(), 1);
}

pub(crate) async fn hints_reach_all_that_depend(mut world: World) {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    script.call(&["b", "c"], &[Input::Node(a)]);
    script.call(&["other"], &[]);
    world.submit(script).await;
    let held = world.lease(1).await.remove(0);
    let hints = Hints { priority: Some(5), env: Some(b"env".to_vec().into()), scope: None };
    world.report_accepted(&held, Outcome::Completed { value: value("1"), hints }).await;
    let b = world.lease(1).await.remove(0);
    assert_eq!((b.name(), b.lease.env.as_deref()), ("b", Some(&b"env"[..])));
    world.report_accepted(&b, completed("2")).await;
    // also what depends on it indirectly, before the older job of lower priority
    let c = world.lease(1).await.remove(0);
    assert_eq!((c.name(), c.lease.env.as_deref()), ("c", Some(&b"env"[..])));
    let other = world.lease_named("other").await;
    assert_eq!(other.lease.env, None);
}

pub(crate) async fn of_two_hints_the_later_parent_decides(mut world: World) {
    let mut script = Script::new();
    let a = Input::Node(script.call(&["a"], &[]));
    let b = Input::Node(script.call(&["b"], &[]));
    script.call(&["c"], &[a, b]);
    world.submit(script).await;
    let mut both = world.lease(2).await;
    // whichever completes last
    both.reverse();
    for held in both {
        let env = Some(held.name().as_bytes().to_vec().into());
        world
            .report_accepted(
                &held,
                Outcome::Completed { value: value("1"), hints: Hints { priority: None, env, scope: None } },
            )
            .await;
    }
    assert_eq!(world.lease_named("c").await.lease.env.as_deref(), Some(&b"b"[..]));
}

pub(crate) async fn a_batch_names_each_step_once(mut world: World) {
    let mut script = Script::new();
    for _ in 0..5 {
        script.call(&["a"], &[]);
        script.call(&["b"], &[]);
    }
    world.submit(script).await;
    let batch = world.store.lease(world.time(), world.request(10)).await.expect("leases").batch;
    assert_eq!((batch.steps.len(), batch.leases.len()), (2, 10));
    assert!(batch.leases.iter().all(|lease| lease.attempt == 1 && (lease.step as usize) < 2));
}

pub(crate) async fn a_job_knows_which_loop_runs_over_it(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["body"], &[x]));
    script.call(&["source"], &[]);
    world.submit(script).await;
    let held = world.lease(10).await;
    assert_eq!(held[0].step.loop_text.as_deref(), Some("for x in … (line 1)"));
    assert_eq!(held[1].step.loop_text, None, "the same step, but no loop over this call");
}

pub(crate) async fn a_result_too_long_to_be_inline_is_a_failed_attempt(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let run = world.submit(script).await;
    let long = ValueRef::Inline(vec![0; INLINE_LIMIT + 1].into());
    let held = world.lease_and_report("a", Outcome::Completed { value: long, hints: Hints::default() }).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    let failure = world.job(held.job()).await.failure.expect("a reason");
    assert!(failure.message.contains("65537"), "{}", failure.message);
}

pub(crate) async fn a_loop_over_no_list_is_a_failed_attempt(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["body"], &[x]));
    script.set("source", |settings| settings.retries = 1);
    let run = world.submit(script).await;
    let held = world.lease_and_report("source", completed("no list")).await;
    assert_eq!(world.job(held.job()).await.state, JobState::Available);
    world.now += 2_000;
    world.lease_and_report("source", list(1)).await;
    world.lease_and_report("body", completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Completed);
}
