//! Loops that run while their source does: the source reports its list in pieces.

use bue_hub::HubError;
use bue_model::job::Hints;
use bue_model::wire::{PieceVerdict, Verdict};
use bue_model::{Input, JobState, Outcome, RunId, RunState, ValueRef};
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

/// `for x in source(): a(x)`, with its source leased.
async fn started(world: &mut World, script: Script) -> (RunId, LeasedJob) {
    let run = world.submit(script).await;
    let source = world.lease_named("source").await;
    assert!(source.step.reports_pieces);
    (run, source)
}

/// Completes everything that is ready with its arguments. Returns the names and arguments.
async fn run_ready(world: &mut World) -> Vec<String> {
    let mut seen = Vec::new();
    world
        .run_all(|held| {
            let text = format!("{}({})", held.name(), held.arguments().join(", "));
            seen.push(text.clone());
            completed(&text)
        })
        .await;
    seen
}

/// The rest of a list: so many elements in one chunk.
fn rest(text: &str, count: u32) -> Outcome {
    let chunk = bue_model::Chunk { count, value: Box::new(value(text)) };
    let chunks = if count > 0 { vec![chunk] } else { Vec::new() };
    Outcome::Completed { value: ValueRef::List(chunks), hints: Hints::default() }
}

pub(crate) async fn rounds_start_while_their_source_runs(mut world: World) {
    let (run, source) = started(&mut world, simple(&["a", "b"])).await;
    world.piece_accepted(&source, 0, 2).await;
    assert_eq!(world.step(run, "b").await.blocked, 2);
    let seen = run_ready(&mut world).await;
    assert_eq!(seen, ["a(c0[0])", "a(c0[1])", "b(a(c0[0]))", "b(a(c0[1]))"]);
    assert_eq!(world.state(run).await, RunState::Running);
    world.piece_accepted(&source, 2, 1).await;
    world.piece_accepted(&source, 3, 2).await;
    assert_eq!(run_ready(&mut world).await.len(), 6);
    world.report_accepted(&source, rest("end", 1)).await;
    assert_eq!(run_ready(&mut world).await, ["a(end[0])", "b(a(end[0]))"]);
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(
        world.results(run).await,
        "list of 6 [b(a(c0[0])) b(a(c0[1])) b(a(c2[0])) b(a(c3[0])) b(a(c3[1])) b(a(end[0]))]"
    );
    let counts = world.step(run, "b").await;
    assert_eq!((counts.completed, counts.blocked + counts.available + counts.running), (6, 0));
}

/// The end may come while rounds are open, and may have no elements of its own.
pub(crate) async fn the_last_round_ends_a_loop_whose_source_has_ended(mut world: World) {
    for rounds_first in [true, false] {
        let (run, source) = started(&mut world, simple(&["a"])).await;
        world.piece_accepted(&source, 0, 2).await;
        if rounds_first {
            run_ready(&mut world).await;
        }
        world.report_accepted(&source, rest("", 0)).await;
        run_ready(&mut world).await;
        assert_eq!(world.state(run).await, RunState::Completed);
        assert_eq!(world.results(run).await, "list of 2 [a(c0[0]) a(c0[1])]");
    }
}

pub(crate) async fn a_piece_is_recorded_once(mut world: World) {
    let (run, source) = started(&mut world, simple(&["a"])).await;
    for _ in 0..3 {
        world.piece_accepted(&source, 0, 3).await;
    }
    // a part of it, and none
    world.piece_accepted(&source, 1, 2).await;
    world.piece_accepted(&source, 3, 0).await;
    assert_eq!(world.step(run, "a").await.available, 3);
    for (first, count) in [(4, 1), (2, 2), (4, 0)] {
        let refused = world.send_piece(&source, first, count).await;
        assert!(matches!(refused, Err(HubError::BadRequest(_))), "{first}, {count}: {refused:?}");
    }
    world.piece_accepted(&source, 3, 1).await;
    world.report_accepted(&source, rest("", 0)).await;
    assert_eq!(run_ready(&mut world).await.len(), 4);
    assert_eq!(world.results(run).await, "list of 4 [a(c0[0]) a(c0[1]) a(c0[2]) a(c3[0])]");
}

pub(crate) async fn a_piece_with_a_stale_token_changes_nothing(mut world: World) {
    let (run, source) = started(&mut world, simple(&["a"])).await;
    world.piece_accepted(&source, 0, 1).await;
    world.now += 60_000;
    assert_eq!(world.reap().await, [source.job()]);
    assert!(matches!(world.send_piece(&source, 1, 1).await, Ok(PieceVerdict::LeaseLost)));
    assert_eq!(world.step(run, "a").await.available, 1);
    let seen: Vec<_> = world.lease(10).await;
    let again = seen.iter().find(|held| held.name() == "source").expect("the source").clone();
    assert!(matches!(world.send_piece(&source, 1, 1).await, Ok(PieceVerdict::LeaseLost)));
    world.piece_accepted(&again, 1, 1).await;
    world.report_accepted(&again, rest("", 0)).await;
    assert!(matches!(world.send_piece(&again, 2, 1).await, Ok(PieceVerdict::LeaseLost)));
    assert_eq!(world.report(&source, rest("", 0)).await, Verdict::LeaseLost);
}

/// What an earlier attempt reported stays, and the next one is sent it.
pub(crate) async fn an_attempt_is_sent_what_earlier_ones_reported(mut world: World) {
    let mut script = simple(&["a"]);
    script.set("source", |settings| (settings.retries, settings.retry_delay_ms) = (2, Some((0, 0))));
    let (run, source) = started(&mut world, script).await;
    assert!(source.lease.recorded.is_empty());
    world.piece_accepted(&source, 0, 2).await;
    world.piece_accepted(&source, 2, 1).await;
    world.report_accepted(&source, failed("broken")).await;
    let recorded = |held: &LeasedJob| held.lease.recorded.iter().map(|chunk| chunk.count).collect::<Vec<_>>();
    let held = world.lease(10).await;
    let again = held.iter().find(|held| held.name() == "source").expect("the source").clone();
    assert_eq!((held.len(), recorded(&again)), (4, vec![2, 1]));
    assert!(held.iter().filter(|held| held.name() == "a").all(|held| held.lease.recorded.is_empty()));
    let rounds = held.into_iter().filter(|held| held.name() == "a");
    world.report_all_accepted(rounds.map(|held| (held, completed("1"))).collect()).await;
    // its call starts over, which undoes nothing
    world.report_accepted(&again, RESET).await;
    let again = world.lease_named("source").await;
    assert_eq!(recorded(&again), [2, 1]);
    world.report_accepted(&again, rest("end", 1)).await;
    run_ready(&mut world).await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.results(run).await, "list of 4 [1 1 1 a(end[0])]");
}

/// Whether the rounds end before the source fails or after it.
pub(crate) async fn a_loop_is_stuck_behind_a_source_that_failed(mut world: World) {
    for rounds_first in [true, false] {
        let mut script = Script::new();
        let source = script.call(&["source"], &[]);
        let all = script.gather(source, &["a"]);
        script.call(&["sum"], &[all]);
        let (run, source) = started(&mut world, script).await;
        world.piece_accepted(&source, 0, 2).await;
        if rounds_first {
            assert_eq!(run_ready(&mut world).await.len(), 2);
            assert_eq!(world.state(run).await, RunState::Running);
        }
        world.report_accepted(&source, failed("broken")).await;
        if !rounds_first {
            assert_eq!(world.state(run).await, RunState::Running, "its rounds go on");
            assert_eq!(run_ready(&mut world).await.len(), 2);
        }
        assert_eq!(world.state(run).await, RunState::Failed);
        assert_eq!(world.store.reset_run(world.time(), run).await.expect("a reset").jobs, 1);
        assert_eq!(world.state(run).await, RunState::Running);
        let source = world.lease_named("source").await;
        assert_eq!(source.lease.recorded.len(), 1);
        world.piece_accepted(&source, 2, 1).await;
        world.report_accepted(&source, rest("end", 1)).await;
        let seen = run_ready(&mut world).await;
        assert_eq!(seen, ["a(c2[0])", "a(end[0])", "sum([a(c0[0]) a(c0[1]) a(c2[0]) a(end[0])])"]);
        assert_eq!(world.state(run).await, RunState::Completed);
    }
}

pub(crate) async fn a_failed_round_fails_a_loop_at_its_end(mut world: World) {
    let (run, source) = started(&mut world, simple(&["a"])).await;
    world.piece_accepted(&source, 0, 2).await;
    world.run_all(|held| if held.arguments() == ["c0[0]"] { failed("broken") } else { completed("1") }).await;
    assert_eq!(world.state(run).await, RunState::Running);
    world.piece_accepted(&source, 2, 1).await;
    assert_eq!(run_ready(&mut world).await, ["a(c2[0])"], "other rounds start nevertheless");
    world.report_accepted(&source, rest("", 0)).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("a reset").jobs, 1);
    assert_eq!(run_ready(&mut world).await, ["a(c0[0])"]);
    assert_eq!(world.state(run).await, RunState::Completed);
}

/// A round that failed is reset while the source runs, and after both failed.
pub(crate) async fn a_round_is_reset_whether_or_not_its_source_runs(mut world: World) {
    let (run, source) = started(&mut world, simple(&["a"])).await;
    world.piece_accepted(&source, 0, 1).await;
    let round = world.lease_and_report("a", failed("broken")).await;
    world.store.reset_job(world.time(), round.job()).await.expect("a reset");
    world.lease_and_report("a", failed("broken again")).await;
    world.report_accepted(&source, failed("broken, too")).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    world.store.reset_job(world.time(), round.job()).await.expect("a reset");
    assert_eq!(world.state(run).await, RunState::Running);
    world.lease_and_report("a", completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    world.store.reset_job(world.time(), source.job()).await.expect("a reset");
    world.lease_and_report("source", rest("", 0)).await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.results(run).await, "list of 1 [1]");
}

/// By its step or by a person.
pub(crate) async fn a_cancelled_source_cancels_the_rounds(mut world: World) {
    for by_step in [true, false] {
        let mut script = Script::new();
        let source = script.call(&["source"], &[]);
        script.each(source, |script, x| {
            let inner = script.call(&["inner"], std::slice::from_ref(&x));
            script.each(inner, |script, y| script.call(&["a"], &[y]));
        });
        let (run, source) = started(&mut world, script).await;
        world.piece_accepted(&source, 0, 3).await;
        let inner = world.lease(10).await;
        world.report_accepted(&inner[0], list(2)).await;
        world.report_accepted(&inner[1], failed("broken")).await;
        match by_step {
            true => world.report_accepted(&source, Outcome::Cancelled).await,
            false => drop(world.store.cancel_job(world.time(), source.job()).await.expect("cancelled")),
        }
        assert_eq!(world.report(&inner[2], list(1)).await, Verdict::LeaseLost);
        world.expect_nothing_ready().await;
        assert_eq!(world.state(run).await, RunState::Completed);
        let (inner_counts, a) = (world.step(run, "inner").await, world.step(run, "a").await);
        assert_eq!((inner_counts.completed, inner_counts.cancelled, inner_counts.failed), (1, 2, 0));
        assert_eq!((a.cancelled, a.blocked + a.available), (2, 0));
        let refused = world.store.reset_job(world.time(), source.job()).await;
        assert!(matches!(refused, Err(HubError::LoopEnded { .. })), "{refused:?}");
    }
}

pub(crate) async fn a_cancelled_run_goes_on_where_it_was(mut world: World) {
    for rounds_end_before in [true, false] {
        let (run, source) = started(&mut world, simple(&["a"])).await;
        world.piece_accepted(&source, 0, 2).await;
        if rounds_end_before {
            run_ready(&mut world).await;
        }
        world.store.cancel_run(world.time(), run).await.expect("cancelled");
        assert!(matches!(world.send_piece(&source, 2, 1).await, Ok(PieceVerdict::LeaseLost)));
        world.now += 1;
        world.store.reset_run(world.time(), run).await.expect("a reset");
        let held = world.lease(10).await;
        let source = held.iter().find(|held| held.name() == "source").expect("the source").clone();
        assert_eq!(source.lease.recorded.len(), 1);
        let rounds = held.into_iter().filter(|held| held.name() == "a");
        world.report_all_accepted(rounds.map(|held| (held, completed("1"))).collect()).await;
        world.piece_accepted(&source, 2, 1).await;
        world.report_accepted(&source, rest("", 0)).await;
        run_ready(&mut world).await;
        assert_eq!(world.state(run).await, RunState::Completed);
        assert_eq!(world.step(run, "a").await.completed, 3);
    }
}

/// All rounds are stuck behind a job that failed outside of the loop, and come back behind it.
pub(crate) async fn a_loop_of_stuck_rounds_comes_back_with_a_cancelled_run(mut world: World) {
    for streams in [true, false] {
        let mut script = Script::new();
        let bad = script.call(&["bad"], &[]);
        script.call(&["other"], &[]);
        let source = script.call(&["source"], &[]);
        script.each(source, |script, x| script.call(&["a"], &[x, Input::Node(bad)]));
        let run = world.submit(script).await;
        let held = world.lease(10).await;
        let named = |name: &str| held.iter().find(|held| held.name() == name).expect(name).clone();
        if streams {
            world.piece_accepted(&named("source"), 0, 2).await;
        }
        world.report_accepted(&named("bad"), failed("broken")).await;
        world.report_accepted(&named("source"), if streams { rest("", 0) } else { list(2) }).await;
        world.now += 1;
        world.store.cancel_run(world.time(), run).await.expect("cancelled");
        world.now += 1;
        world.store.reset_run(world.time(), run).await.expect("a reset");
        assert_eq!(run_ready(&mut world).await.len(), 4);
        assert_eq!(world.state(run).await, RunState::Completed);
    }
}

/// What failed is in the rounds of a loop in a loop.
pub(crate) async fn a_loop_of_loops_that_failed_comes_back_with_a_cancelled_run(mut world: World) {
    let mut script = Script::new();
    script.call(&["other"], &[]);
    let outer = script.call(&["outer"], &[]);
    script.each(outer, |script, x| {
        let inner = script.call(&["inner"], &[x]);
        script.each(inner, |script, y| script.call(&["a"], &[y]));
    });
    let run = world.submit(script).await;
    let held = world.lease(10).await;
    let outer = held.iter().find(|held| held.name() == "outer").expect("the source");
    world.report_accepted(outer, list(1)).await;
    world.lease_and_report("inner", list(1)).await;
    world.lease_and_report("a", failed("broken")).await;
    world.now += 1;
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    world.now += 1;
    world.store.reset_run(world.time(), run).await.expect("a reset");
    assert_eq!(run_ready(&mut world).await.len(), 2);
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn a_full_window_makes_the_source_wait(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each_in_window(source, 3, |script, x| script.call(&["a"], &[x]));
    let (run, source) = started(&mut world, script).await;
    assert_eq!(source.step.window, Some(3));
    world.piece_accepted(&source, 0, 2).await;
    assert!(matches!(world.send_piece(&source, 2, 5).await, Ok(PieceVerdict::WindowFull)));
    let is_filled = async || world.step(run, "a").await.available == 3;
    wait_until_async("three rounds are there", is_filled).await;
    for done in 1..=5 {
        let has_more = async || world.step(run, "a").await.available > 0;
        wait_until_async("a round is there", has_more).await;
        let held = world.lease_one_of(1).await;
        world.report_accepted(&held, completed("1")).await;
        assert!(world.step(run, "a").await.available <= 3);
        let expected = if done < 5 { PieceVerdict::WindowFull } else { PieceVerdict::Accepted };
        let verdict = world.send_piece(&source, 7, 0).await.expect("a verdict");
        assert_eq!(verdict, expected, "{done} of 7 rounds have ended");
    }
    world.report_accepted(&source, rest("", 0)).await;
    while world.state(run).await == RunState::Running {
        let has_more = async || world.step(run, "a").await.available > 0;
        wait_until_async("a round is there", has_more).await;
        let held = world.lease_one_of(1).await;
        world.report_accepted(&held, completed("1")).await;
    }
    assert_eq!(world.step(run, "a").await.completed, 7);
}

/// Also of a loop whose source completes at once.
pub(crate) async fn a_window_limits_the_rounds_of_any_list(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each_in_window(source, 2, |script, x| script.call(&["a"], &[x]));
    let run = world.submit(script).await;
    world.lease_and_report("source", list(7)).await;
    let mut done = 0;
    while done < 7 {
        let has_more = async || world.step(run, "a").await.available > 0;
        wait_until_async("rounds are there", has_more).await;
        let held = world.lease(10).await;
        assert!(held.len() <= 2, "{}", held.len());
        done += held.len();
        world.report_all_accepted(held.into_iter().map(|held| (held, completed("1"))).collect()).await;
    }
    assert_eq!(world.state(run).await, RunState::Completed);
}

/// Jobs and rounds that use the whole list wait for its end.
pub(crate) async fn the_whole_list_is_there_at_the_end_of_the_source(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    let whole = Input::Node(source);
    script.each(source, |script, x| {
        script.call(&["a"], &[x.clone()]);
        script.call(&["b"], &[x, whole.clone()]);
    });
    script.call(&["length"], &[whole]);
    let (run, source) = started(&mut world, script).await;
    world.piece_accepted(&source, 0, 2).await;
    assert_eq!(run_ready(&mut world).await, ["a(c0[0])", "a(c0[1])"]);
    world.report_accepted(&source, rest("end", 1)).await;
    let mut seen = run_ready(&mut world).await;
    seen.sort();
    let expected =
        ["a(end[0])", "b(c0[0], list of 3)", "b(c0[1], list of 3)", "b(end[0], list of 3)", "length(list of 3)"];
    assert_eq!(seen, expected);
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn several_loops_run_over_one_source(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["a"], &[x]));
    script.each_in_window(source, 2, |script, x| script.call(&["b"], &[x]));
    let (run, source) = started(&mut world, script).await;
    assert_eq!(source.step.window, Some(2));
    assert!(matches!(world.send_piece(&source, 0, 2).await, Ok(PieceVerdict::WindowFull)));
    assert_eq!(run_ready(&mut world).await, ["a(c0[0])", "a(c0[1])", "b(c0[0])", "b(c0[1])"]);
    world.piece_accepted(&source, 2, 1).await;
    world.report_accepted(&source, rest("", 0)).await;
    assert_eq!(run_ready(&mut world).await.len(), 2);
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn a_source_in_a_round_streams(mut world: World) {
    let mut script = Script::new();
    let outer = script.call(&["outer"], &[]);
    script.each(outer, |script, x| {
        let source = script.call(&["source"], &[x]);
        script.each(source, |script, y| script.call(&["a"], &[y]));
    });
    let run = world.submit(script).await;
    world.lease_and_report("outer", list(2)).await;
    let sources = world.lease(10).await;
    assert_eq!(sources.len(), 2);
    world.piece_accepted(&sources[0], 0, 1).await;
    world.piece_accepted(&sources[1], 0, 2).await;
    assert_eq!(run_ready(&mut world).await.len(), 3);
    world.report_accepted(&sources[1], failed("broken")).await;
    world.report_accepted(&sources[0], rest("", 0)).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    world.store.reset_run(world.time(), run).await.expect("a reset");
    world.lease_and_report("source", rest("end", 1)).await;
    run_ready(&mut world).await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.results(run).await, "list of 2 [list of 1 list of 3] [[a(c0[0])] [a(c0[0]) a(c0[1]) a(end[0])]]");
}

/// Rounds that have started would lack it.
pub(crate) async fn a_source_sets_nothing_for_rounds_that_have_started(mut world: World) {
    let (run, source) = started(&mut world, simple(&["a"])).await;
    world.piece_accepted(&source, 0, 1).await;
    let hints = Hints { priority: None, env: Some(vec![0xa0].into()), scope: None };
    world.report_accepted(&source, Outcome::Completed { value: ValueRef::List(Vec::new()), hints }).await;
    let job = world.job(source.job()).await;
    assert_eq!(job.state, JobState::Failed);
    assert!(job.failure.expect("a failure").message.contains("its loop had started already"));
    run_ready(&mut world).await;
    assert_eq!(world.state(run).await, RunState::Failed);
}

/// A priority is for the rounds that start later; what the source inherited itself is for all.
pub(crate) async fn rounds_inherit_what_their_source_inherited(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["first", "source"], &[]);
    script.each(source, |script, x| script.call(&["a"], &[x]));
    let run = world.submit(script).await;
    let hints = Hints { priority: Some(7), env: Some(b"env".to_vec().into()), scope: None };
    world.lease_and_report("first", Outcome::Completed { value: value("1"), hints }).await;
    let source = world.lease_named("source").await;
    world.piece_accepted(&source, 0, 1).await;
    let round = world.lease_named("a").await;
    assert_eq!(round.lease.env.as_deref(), Some(&b"env"[..]));
    let hints = Hints { priority: Some(9), env: None, scope: None };
    let end = Outcome::Completed { value: ValueRef::List(vec![]), hints };
    world.piece_accepted(&source, 1, 1).await;
    world.report_accepted(&source, end).await;
    world.report_accepted(&round, completed("1")).await;
    run_ready(&mut world).await;
    assert_eq!(world.state(run).await, RunState::Completed);
}

/// There is nothing to report in pieces where no loop takes it.
pub(crate) async fn a_piece_of_what_no_loop_runs_over_is_refused(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    world.submit(script).await;
    let held = world.lease_named("a").await;
    assert!(!held.step.reports_pieces);
    assert!(matches!(world.send_piece(&held, 0, 1).await, Err(HubError::BadRequest(_))));
    let (_, source) = started(&mut world, simple(&["b"])).await;
    let too_many = world.send_piece(&source, 0, 100_000_001).await;
    assert!(matches!(too_many, Err(HubError::BadRequest(_))), "{too_many:?}");
}
