//! Fan-outs: an independent round for each element, instantiated when the window has room.

use std::collections::BTreeMap;
use std::slice;

use bue_model::job::Hints;
use bue_model::{Chunk, Input, JobState, Outcome, RunState, ValueRef};
use bue_test_support::wait::wait_until_async;

use crate::script::Script;
use crate::world::{LeasedJob, RESET, World, completed, failed, list, value};

/// `for x in source(): body(x)`
fn simple(body: &[&str]) -> Script {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(body, &[x]));
    script
}

pub(crate) async fn each_element_has_its_round(mut world: World) {
    let run = world.submit(simple(&["a", "b"])).await;
    world.lease_and_report("source", list(12)).await;
    assert_eq!(world.step(run, "b").await.blocked, 12);
    world
        .run_all(|held| {
            let argument = &held.arguments()[0];
            completed(&if held.name() == "a" { format!("a({argument})") } else { format!("b{argument}") })
        })
        .await;
    assert_eq!(world.state(run).await, RunState::Completed);
    let page = world.results(run).await;
    assert!(page.starts_with("list of 12 [ba(c0[0]) ba(c0[1]) "), "{page}");
    assert!(page.ends_with(" ba(c0[9]) ba(c1[0]) ba(c1[1])]"), "{page}");
}

pub(crate) async fn no_element_means_nothing(mut world: World) {
    for empty in [Vec::new(), vec![Chunk { count: 0, value: Box::new(value("")) }]] {
        let run = world.submit(simple(&["a"])).await;
        world
            .lease_and_report("source", Outcome::Completed { value: ValueRef::List(empty), hints: Hints::default() })
            .await;
        world.expect_nothing_ready().await;
        assert_eq!(world.state(run).await, RunState::Completed);
        assert_eq!(world.results(run).await, "list of 0 []");
    }
}

/// Rounds that wait for hours must not keep others from starting, and those of a very long loop are not all instantiated.
pub(crate) async fn rounds_are_instantiated_a_window_at_a_time(mut world: World) {
    const WINDOW: u32 = 50_000;
    let run = world.submit(simple(&["a"])).await;
    world.lease_and_report("source", list(WINDOW + 10_000)).await;
    let step = world.step(run, "a").await;
    assert_eq!(step.available + step.blocked, u64::from(WINDOW) + 10_000, "all are counted");
    let is_full = async || world.step(run, "a").await.available >= WINDOW.into();
    wait_until_async("the window is full", is_full).await;
    let mut done = 0;
    while done < 2_000 {
        let held = world.lease(500).await;
        done += held.len() as u64;
        world.report_all_accepted(held.into_iter().map(|held| (held, completed("1"))).collect()).await;
        assert!(world.step(run, "a").await.available <= WINDOW.into());
    }
    let is_refilled = async || world.step(run, "a").await.blocked <= 10_000 - done;
    wait_until_async("the window is full again", is_refilled).await;
}

pub(crate) async fn ten_thousand_elements_are_each_seen_once(mut world: World) {
    let run = world.submit(simple(&["a"])).await;
    world.lease_and_report("source", list(10_000)).await;
    let mut seen = BTreeMap::new();
    world
        .run_all(|held| {
            *seen.entry(held.arguments()[0].clone()).or_insert(0) += 1;
            completed("1")
        })
        .await;
    assert_eq!(seen.len(), 10_000);
    assert!(seen.values().all(|times| *times == 1));
    assert!(seen.contains_key("c0[0]") && seen.contains_key("c999[9]"));
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.step(run, "a").await.completed, 10_000);
}

pub(crate) async fn loops_nest(mut world: World) {
    let mut script = Script::new();
    let outer = script.call(&["outer"], &[]);
    script.each(outer, |script, x| {
        let inner = script.call(&["inner"], slice::from_ref(&x));
        script.each(inner, |script, y| {
            let third = script.call(&["third"], &[x.clone(), y.clone()]);
            script.each(third, |script, z| script.call(&["leaf"], &[z, y, x]));
        });
    });
    let run = world.submit(script).await;
    world
        .run_all(|held| match held.name() {
            "outer" => list(3),
            // one, two and no elements
            "inner" => list([1, 2, 0][held.arguments()[0].as_bytes()[3] as usize - usize::from(b'0')]),
            "third" => list(2),
            _ => completed(&held.arguments().join(",")),
        })
        .await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(
        world.results(run).await,
        "list of 3 [list of 1 list of 2 list of 0] [[list of 2] [list of 2 list of 2] []] \
         [[[c0[0],c0[0],c0[0] c0[1],c0[0],c0[0]]] \
         [[c0[0],c0[0],c0[1] c0[1],c0[0],c0[1]] [c0[0],c0[1],c0[1] c0[1],c0[1],c0[1]]] []]"
    );
}

pub(crate) async fn a_body_sees_values_from_outside(mut world: World) {
    let mut script = Script::new();
    let early = Input::Node(script.call(&["early"], &[]));
    let source = script.call(&["source"], slice::from_ref(&early));
    let late = Input::Node(script.call(&["late"], slice::from_ref(&early)));
    script.each(source, |script, x| {
        let a = Input::Node(script.call(&["a"], &[early, x]));
        script.call(&["b"], &[late, a]);
    });
    let run = world.submit(script).await;
    world.lease_and_report("early", completed("e")).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[0], list(2)).await;
    let rounds = world.lease(10).await;
    assert_eq!(rounds[1].arguments(), ["e", "c0[1]"]);
    world.report_accepted(&rounds[0], completed("a0")).await;
    world.expect_nothing_ready().await;
    // parents in an outer block complete when the rounds exist already
    world.report_accepted(&held[1], completed("l")).await;
    assert_eq!(world.lease_and_report("b", completed("b0")).await.arguments(), ["l", "a0"]);
    world.report_accepted(&rounds[1], completed("a1")).await;
    assert_eq!(world.lease_and_report("b", completed("b1")).await.arguments(), ["l", "a1"]);
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.results(run).await, "e list of 2 l [a0 a1] [b0 b1]");
}

pub(crate) async fn a_body_that_uses_only_the_outside_runs_once_a_round(mut world: World) {
    let mut script = Script::new();
    let outside = Input::Node(script.call(&["outside"], &[]));
    let source = script.call(&["source"], &[]);
    script.each(source, |script, _| {
        script.call(&["uses"], &[outside]);
        script.call(&["nothing"], &[]);
    });
    let run = world.submit(script).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[1], list(3)).await;
    assert_eq!(world.lease_names().await, ["nothing"; 3]);
    world.report_accepted(&held[0], completed("o")).await;
    assert_eq!(world.lease_names().await, ["uses"; 3]);
    assert_eq!(world.state(run).await, RunState::Running);
}

pub(crate) async fn a_round_does_not_wait_for_what_only_a_later_job_needs(mut world: World) {
    let mut script = Script::new();
    let slow = Input::Node(script.call(&["slow"], &[]));
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| {
        let inner = script.call(&["inner"], &[x]);
        script.each(inner, |script, y| {
            let a = Input::Node(script.call(&["a"], &[y]));
            script.call(&["b"], &[a, slow]);
        });
    });
    let run = world.submit(script).await;
    let slow = world.lease(1).await.remove(0);
    world
        .run_all(|held| match held.name() {
            "source" | "inner" => list(2),
            _ => completed("1"),
        })
        .await;
    assert_eq!(world.step(run, "a").await.completed, 4);
    world.report_accepted(&slow, completed("s")).await;
    assert_eq!(world.run_all(|_| completed("2")).await, 4);
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn an_outer_failure_blocks_every_round_and_its_reset_unblocks_them(mut world: World) {
    let mut script = Script::new();
    let outside = Input::Node(script.call(&["outside"], &[]));
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| {
        let a = Input::Node(script.call(&["a"], &[x]));
        script.call(&["b"], &[a, outside]);
    });
    let run = world.submit(script).await;
    let outside = world.lease(1).await.remove(0);
    world.lease_and_report("source", list(3_000)).await;
    world.report_accepted(&outside, failed("broken")).await;
    // what does not depend on it runs, in all rounds, also in those that are instantiated later
    assert_eq!(world.run_all(|_| completed("1")).await, 3_000);
    assert_eq!(world.state(run).await, RunState::Failed);
    let b = world.step(run, "b").await;
    assert_eq!((b.blocked, b.cancelled, b.completed), (3_000, 0, 0));
    world.store.reset_job(world.time(), outside.job()).await.expect("reset");
    assert_eq!(world.state(run).await, RunState::Running);
    assert_eq!(world.run_all(|_| completed("2")).await, 3_001);
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.step(run, "b").await.completed, 3_000);
}

pub(crate) async fn an_outer_failure_blocks_the_loops_in_every_round(mut world: World) {
    let mut script = Script::new();
    let outside = Input::Node(script.call(&["outside"], &[]));
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| {
        let a = script.call(&["a"], &[x, outside]);
        script.each(a, |script, y| script.call(&["b"], &[y, Input::Node(a)]));
    });
    let run = world.submit(script).await;
    let outside = world.lease(1).await.remove(0);
    world.lease_and_report("source", list(1_500)).await;
    world.report_accepted(&outside, failed("broken")).await;
    world.expect_nothing_ready().await;
    assert_eq!(world.state(run).await, RunState::Failed);
    world.store.reset_job(world.time(), outside.job()).await.expect("reset");
    let work = world.run_all(|held| if held.name() == "a" { list(2) } else { completed("1") });
    assert_eq!(work.await, 1 + 1_500 + 3_000);
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.step(run, "b").await.completed, 3_000);
}

pub(crate) async fn an_outer_cancellation_cancels_in_every_round(mut world: World) {
    let mut script = Script::new();
    let outside = Input::Node(script.call(&["outside"], &[]));
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| {
        script.call(&["a"], &[x]);
        script.call(&["b"], &[outside]);
    });
    let run = world.submit(script).await;
    let outside = world.lease(1).await.remove(0);
    world.lease_and_report("source", list(3_000)).await;
    world.report_accepted(&outside, Outcome::Cancelled).await;
    assert_eq!(world.run_all(|_| completed("1")).await, 3_000);
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.step(run, "b").await.cancelled, 3_000);
}

pub(crate) async fn a_reset_in_a_round_leaves_the_others_alone(mut world: World) {
    let run = world.submit(simple(&["a", "b", "c"])).await;
    world.lease_and_report("source", list(3)).await;
    let mut resets = 0;
    world
        .run_all(|held| {
            if held.name() == "b" && held.arguments() == ["c0[1]"] && resets < 4 {
                resets += 1;
                return RESET;
            }
            completed(&held.arguments()[0])
        })
        .await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.results(run).await, "list of 3 [c0[0] c0[1] c0[2]]");
    let (a, c) = (world.step(run, "a").await, world.step(run, "c").await);
    assert_eq!((a.attempts, a.completed, c.attempts), (3 + 4, 3, 3));
}

pub(crate) async fn a_cancellation_in_a_round_leaves_the_others_alone(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| {
        let a = Input::Node(script.call(&["a", "b"], slice::from_ref(&x)));
        script.call(&["after"], &[a]);
        script.call(&["other"], &[x]);
    });
    let run = world.submit(script).await;
    world.lease_and_report("source", list(3)).await;
    world
        .run_all(|held| match (held.name(), held.arguments()[0].as_str()) {
            ("a", "c0[1]") => Outcome::Cancelled,
            (_, argument) => completed(argument),
        })
        .await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.results(run).await, "list of 3 [c0[0] - c0[2]] [c0[0] - c0[2]] [c0[0] c0[1] c0[2]]");
}

pub(crate) async fn two_loops_run_over_one_list(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["a"], &[x]));
    script.each(source, |script, x| script.call(&["b"], &[x]));
    script.call(&["c"], &[Input::Node(source)]);
    let run = world.submit(script).await;
    world.lease_and_report("source", list(2)).await;
    world.run_all(|held| completed(&held.arguments()[0])).await;
    assert_eq!(world.results(run).await, "list of 2 [c0[0] c0[1]] [c0[0] c0[1]] list of 2");
}

pub(crate) async fn hints_of_a_source_reach_the_rounds(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| {
        let inner = script.call(&["inner"], &[x]);
        script.each(inner, |script, y| script.call(&["leaf"], &[y]));
    });
    script.call(&["other"], &[]);
    let run = world.submit(script).await;
    let source = world.lease(1).await.remove(0);
    let Outcome::Completed { value, .. } = list(1) else { panic!("a list") };
    let hints = Hints { priority: Some(9), env: Some(b"e".to_vec().into()), scope: None };
    world.report_accepted(&source, Outcome::Completed { value, hints }).await;
    let inner = world.lease(1).await.remove(0);
    assert_eq!((inner.name(), inner.lease.env.is_some()), ("inner", true));
    world.report_accepted(&inner, list(1)).await;
    let leaf = world.lease(1).await.remove(0);
    assert_eq!((leaf.name(), leaf.lease.env.is_some()), ("leaf", true));
    assert_eq!(world.job(leaf.job()).await.state, JobState::Running);
    world.lease_named("other").await;
    assert_eq!(world.state(run).await, RunState::Running);
}

/// `for x, y in zip(a, b): body(y, x)`, where `b` gets the list that `a` returns
fn zipped() -> Script {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    let b = script.call(&["b"], &[Input::Node(a)]);
    let pairs = script.list_job("zip(a, b)", "zip", &[a, b]);
    script.each(pairs, |script, x| {
        let Input::Loop(pairs) = x else { panic!("an element") };
        script.call(&["body"], &[Input::LoopPart(pairs, 1), Input::LoopPart(pairs, 0), x])
    });
    script
}

pub(crate) async fn a_list_job_gets_lists_and_its_parts_are_arguments(mut world: World) {
    let run = world.submit(zipped()).await;
    let held = world.lease_and_report("a", list(2)).await;
    assert_eq!(held.step.loop_text.as_deref(), Some("zip(a, b) (line 3)"), "its result comes in pieces");
    world.lease_and_report("b", list(2)).await;
    let held = world.lease_and_report("zip(a, b)", list(2)).await;
    assert_eq!(held.arguments(), ["list of 2", "list of 2"]);
    assert_eq!(held.step.loop_text.as_deref(), Some("for x in … (line 3)"));
    let held = world.lease(10).await;
    let arguments: Vec<Vec<String>> = held.iter().map(LeasedJob::arguments).collect();
    assert_eq!(arguments, [["c0[0][1]", "c0[0][0]", "c0[0]"], ["c0[1][1]", "c0[1][0]", "c0[1]"]]);
    world.report_all_accepted(held.into_iter().map(|held| (held, completed("1"))).collect()).await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.results(run).await, "list of 2 list of 2 [1 1]", "that of the list job is not a result");
}

pub(crate) async fn a_list_job_needs_lists(mut world: World) {
    let run = world.submit(zipped()).await;
    let held = world.lease_and_report("a", completed("no list")).await;
    let failure = world.job(held.job()).await.failure.expect("a reason");
    assert!(failure.message.starts_with("zip(a, b) (line 3): the result is no list in pieces"), "{}", failure.message);
    world.expect_nothing_ready().await;
    assert_eq!(world.state(run).await, RunState::Failed);
    world.store.reset_job(world.time(), held.job()).await.expect("reset");
    world.lease_and_report("a", list(2)).await;
    world.lease_and_report("b", list(2)).await;
    world.lease_and_report("zip(a, b)", failed("the lists have different lengths")).await;
    world.expect_nothing_ready().await;
    assert_eq!(world.state(run).await, RunState::Failed, "no round began");
}

/// A list is stored once, also if a loop runs over it and others are made of it.
pub(crate) async fn a_list_is_looped_over_and_used_by_list_jobs(mut world: World) {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    let merged = script.list_job("a + a", "merge", &[a, a]);
    let chunks = script.list_job("a + a !chunk 2", "chunk 2", &[merged]);
    script.each(a, |script, x| script.call(&["one"], &[x]));
    script.each(chunks, |script, x| script.call(&["many"], &[x]));
    let run = world.submit(script).await;
    let held = world.lease_and_report("a", list(1)).await;
    assert_eq!(held.step.loop_text.as_deref(), Some("for x in … (line 3)"));
    let mut lists = Vec::new();
    let answer = |held: &LeasedJob| match held.name() {
        "one" | "many" => completed("1"),
        name => {
            lists.push((name.to_owned(), held.arguments().join(" "), held.step.loop_text.clone().expect("a text")));
            list(if name == "a + a" { 2 } else { 1 })
        }
    };
    world.run_all(answer).await;
    let list = |name: &str, lists: &str, text: &str| (name.to_owned(), lists.to_owned(), text.to_owned());
    assert_eq!(
        lists,
        [
            list("a + a", "list of 1 list of 1", "a + a !chunk 2 (line 3)"),
            list("a + a !chunk 2", "list of 2", "for x in … (line 5)"),
        ]
    );
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.results(run).await, "list of 1 [1] [1]");
}
