//! Lists over all runs: of the runs that a filter matches, and of failed jobs.

use bue_hub::{FailedFilter, FailedQuery, Invocation, NamePattern, Position, Rerun, RunQuery};
use bue_model::failed_jobs::{FailureGroup, FailureGroupPage};
use bue_model::param::{Allowed, Param, ParamKind};
use bue_model::wire::{JobView, RunPipeline, Submission};
use bue_model::{JobState, Plan, RunId, RunState, Timestamp, Value};
use uuid::Uuid;

use crate::contract::pipelines::{invocation, plan, publish};
use crate::contract::reruns::same;
use crate::script::{Script, submission};
use crate::world::{World, completed, failed, list};

fn id(number: u128) -> RunId {
    RunId(Uuid::from_u128(number))
}

fn one_step(name: &str) -> Script {
    let mut script = Script::new();
    script.call(&[name], &[]);
    script
}

/// Submits a run of one step under a path, a millisecond after the one before.
async fn submit(world: &mut World, number: u128, path: &str) {
    world.now += 1;
    let submission = Submission { name: path.into(), ..submission(number, one_step("a").plan()) };
    world.store.submit(world.time(), submission).await.expect("a run");
}

/// Returns the numbers of the runs, from pages of this size, each of which must be full but for the last.
async fn numbers(world: &World, query: RunQuery, limit: u32) -> Vec<u128> {
    let (mut numbers, mut after) = (Vec::new(), None);
    loop {
        let page = world.store.run_page(RunQuery { after, limit, ..query.clone() }).await.expect("a page");
        assert!(page.runs.is_sorted_by(|one, next| one.position > next.position), "newest first");
        assert!(page.runs.iter().all(|listed| listed.position.at == listed.run.created_at.0));
        numbers.extend(page.runs.iter().map(|listed| listed.run.id.0.as_u128()));
        let Some(next) = page.next else { return numbers };
        assert_eq!(page.runs.len(), limit as usize, "a page that is not the last is full");
        after = Some(next);
    }
}

/// The same with pages of several sizes, which must join to the same list.
async fn runs(world: &World, query: RunQuery) -> Vec<u128> {
    let whole = numbers(world, query.clone(), 100).await;
    for limit in [1, 2, 3] {
        assert_eq!(numbers(world, query.clone(), limit).await, whole, "{query:?} in pages of {limit}");
    }
    whole
}

/// Runs 1 to 8, of which 1 and 5 completed, 2 and 6 failed, 3 and 7 were cancelled, and 4 and 8 run.
async fn eight_runs(world: &mut World) {
    for number in 1..=8 {
        submit(world, number, if number < 5 { "etl/load.bue" } else { "etl/send_all.bue" }).await;
        if number % 4 == 3 {
            world.store.cancel_run(world.time(), id(number)).await.expect("cancelled");
        } else if !number.is_multiple_of(4) {
            // the jobs of runs 4 and 8 are leased too, and run for ever
            let leased = world.lease(10).await;
            let held = leased.iter().find(|held| held.lease.run == id(number)).expect("its job");
            let outcome = if number % 4 == 1 { completed("1") } else { failed("no") };
            world.report_accepted(held, outcome).await;
        }
    }
}

pub(crate) async fn runs_are_found_by_state_path_and_time(mut world: World) {
    let first_at = world.now + 1;
    eight_runs(&mut world).await;
    let all = RunQuery::default();
    assert_eq!(runs(&world, all.clone()).await, [8, 7, 6, 5, 4, 3, 2, 1]);
    let states = |states: &[RunState]| RunQuery { states: states.to_vec(), ..RunQuery::default() };
    for (of, expected) in [
        (&[RunState::Running][..], &[8, 4][..]),
        (&[RunState::Completed], &[5, 1]),
        (&[RunState::Failed], &[6, 2]),
        (&[RunState::Cancelled], &[7, 3]),
        (&[RunState::Failed, RunState::Running], &[8, 6, 4, 2]),
        (&[RunState::Running, RunState::Failed, RunState::Cancelled], &[8, 7, 6, 4, 3, 2]),
    ] {
        assert_eq!(runs(&world, states(of)).await, expected, "{of:?}");
    }
    let named = |name| RunQuery { name: Some(name), ..RunQuery::default() };
    assert_eq!(runs(&world, named(NamePattern::Exact("etl/load.bue".into()))).await, [4, 3, 2, 1]);
    assert_eq!(runs(&world, named(NamePattern::Exact("etl/load".into()))).await, []);
    assert_eq!(runs(&world, named(NamePattern::Prefix("etl/load".into()))).await, [4, 3, 2, 1]);
    // characters that mean something in patterns of SQL mean themselves
    assert_eq!(runs(&world, named(NamePattern::Prefix("etl/send_a".into()))).await, [8, 7, 6, 5]);
    assert_eq!(runs(&world, named(NamePattern::Prefix("etl/send%".into()))).await, []);
    assert_eq!(runs(&world, named(NamePattern::Prefix("etl_".into()))).await, []);
    assert_eq!(runs(&world, named(NamePattern::Prefix(String::new()))).await.len(), 8);
    let (since, until) = (Some(Timestamp(first_at + 2)), Some(Timestamp(first_at + 6)));
    assert_eq!(runs(&world, RunQuery { since, ..all.clone() }).await, [8, 7, 6, 5, 4, 3]);
    assert_eq!(runs(&world, RunQuery { until, ..all.clone() }).await, [6, 5, 4, 3, 2, 1]);
    assert_eq!(
        runs(&world, RunQuery { since, until, ..states(&[RunState::Failed, RunState::Cancelled]) }).await,
        [6, 3]
    );
    let name = Some(NamePattern::Exact("etl/send_all.bue".into()));
    assert_eq!(
        runs(&world, RunQuery { name, until, ..states(&[RunState::Completed, RunState::Failed]) }).await,
        [6, 5]
    );
    let with_failed = |step: Option<&str>| {
        let failed = Some(FailedFilter { step: step.map(str::to_owned) });
        RunQuery { failed, ..RunQuery::default() }
    };
    assert_eq!(runs(&world, with_failed(None)).await, [6, 2]);
    assert_eq!(runs(&world, with_failed(Some("a"))).await, [6, 2]);
    assert_eq!(runs(&world, with_failed(Some("b"))).await, []);
}

/// Runs of the same millisecond are told apart, so that none is left out at the end of a page.
pub(crate) async fn runs_of_the_same_time_are_each_on_one_page(mut world: World) {
    for _ in 0..7 {
        world.submit(one_step("a")).await;
    }
    assert_eq!(runs(&world, RunQuery::default()).await, [7, 6, 5, 4, 3, 2, 1]);
    // the clock went back: a run belongs where its time is
    world.now -= 5;
    let early = world.submit(one_step("a")).await.0.as_u128();
    assert_eq!(runs(&world, RunQuery::default()).await, [7, 6, 5, 4, 3, 2, 1, early]);
    let running = RunQuery { states: vec![RunState::Running, RunState::Failed], ..RunQuery::default() };
    assert_eq!(runs(&world, running).await, [7, 6, 5, 4, 3, 2, 1, early]);
}

/// What matches is far behind what does not: a page must not look at everything before it ends.
pub(crate) async fn a_page_of_runs_that_finds_little_ends_early(mut world: World) {
    const OTHERS: u128 = 11_000;
    submit(&mut world, OTHERS + 1, "wanted.bue").await;
    publish(&world, "p", 1, plan("a")).await;
    for batch in 0..OTHERS / 1_000 {
        let runs = (1..=1_000).map(|number| invocation("p", batch * 1_000 + number, "mon"));
        world.now += 1;
        world.store.invoke(world.time(), runs.collect()).await.expect("runs");
    }
    let query = RunQuery { name: Some(NamePattern::Prefix("wanted".into())), limit: 10, ..RunQuery::default() };
    let first = world.store.run_page(query.clone()).await.expect("a page");
    assert_eq!(first.runs, []);
    assert!(first.next.is_some());
    let second = world.store.run_page(RunQuery { after: first.next, ..query }).await.expect("a page");
    assert_eq!(second.runs.iter().map(|listed| listed.run.id).collect::<Vec<_>>(), [id(OTHERS + 1)]);
    assert_eq!(second.next, None);
}

pub(crate) async fn runs_are_found_by_pipeline_and_parameters(mut world: World) {
    publish(&world, "p", 1, plan("a")).await;
    publish(&world, "q", 1, plan("a")).await;
    let long = "x".repeat(5_000);
    let days =
        [("p", "mon"), ("p", "tue"), ("q", "mon"), ("p", "mon"), ("q", "[1, 2]"), ("q", long.as_str()), ("p", "")];
    for (number, (pipeline, day)) in (1..).zip(days) {
        world.now += 1;
        world.store.invoke(world.time(), vec![invocation(pipeline, number, day)]).await.expect("a run");
    }
    submit(&mut world, 8, "test.bue").await;
    let of = |pipeline: Option<&str>, day: Option<&str>| RunQuery {
        pipeline: pipeline.map(str::to_owned),
        params: day.iter().map(|day| ("day".to_owned(), (*day).to_owned())).collect(),
        ..RunQuery::default()
    };
    for (pipeline, day, expected) in [
        (Some("p"), None, &[7, 4, 2, 1][..]),
        (Some("q"), None, &[6, 5, 3]),
        (Some("r"), None, &[]),
        (None, Some("mon"), &[4, 3, 1]),
        (Some("p"), Some("mon"), &[4, 1]),
        (None, Some("[1, 2]"), &[5]),
        (None, Some("[1,2]"), &[]),
        (None, Some(long.as_str()), &[6]),
        (None, Some(""), &[7]),
        (None, Some("wed"), &[]),
    ] {
        assert_eq!(runs(&world, of(pipeline, day)).await, expected, "{pipeline:?} {day:?}");
    }
    let two =
        RunQuery { params: [("day".into(), "mon".into()), ("depth".into(), "3".into())].into(), ..of(None, None) };
    assert_eq!(runs(&world, two).await, []);
    let listed = world.store.runs(2).await.expect("runs");
    assert_eq!(
        (&listed[0].pipeline, &listed[1].pipeline),
        (&None, &Some(RunPipeline { name: "p".into(), version: 1 }))
    );
    assert_eq!(world.view(id(7)).await.pipeline, listed[1].pipeline);
    // a rerun has the parameters that its caller changed, and the others of its original
    world.store.cancel_run(world.time(), id(1)).await.expect("cancelled");
    world.now += 1;
    let params = [("day".to_owned(), Value::Text("wed".to_owned()))].into();
    let rerun = Rerun { params, ..same(id(1), 9) };
    world.store.rerun(world.time(), rerun).await.expect("a rerun");
    assert_eq!(runs(&world, of(Some("p"), Some("wed"))).await, [9]);
    // and what is deleted is not found
    world.store.cancel_run(world.time(), id(9)).await.expect("cancelled");
    for number in [1, 9] {
        world.store.delete_run(id(number)).await.expect("deleted");
    }
    assert_eq!(runs(&world, of(None, Some("wed"))).await, []);
    assert_eq!(runs(&world, of(Some("p"), None)).await, [7, 4, 2]);
}

/// Values that are no texts are found by their JSON, however it is written.
pub(crate) async fn values_of_parameters_are_compared_as_json(world: World) {
    let kinds = [("n", ParamKind::Int), ("list", ParamKind::Json)];
    let params = kinds.into_iter().zip(1..).map(|((name, kind), line)| {
        let allowed = Allowed::All;
        Param { name: name.into(), kind, default: None, allowed, line }
    });
    let plan = Plan { params: params.collect(), ..one_step("a").plan() };
    publish(&world, "p", 1, plan).await;
    let list = Value::List(vec![Value::Int(1), Value::Text("x".into())]);
    let params = [("n".to_owned(), Value::Int(200)), ("list".to_owned(), list)].into();
    let run = Invocation { params, ..invocation("p", 1, "") };
    world.store.invoke(world.time(), vec![run]).await.expect("a run");
    for (name, text, expected) in [
        ("n", "200", 1),
        ("n", "200.0", 0),
        ("n", "\"200\"", 0),
        ("list", r#"[1,"x"]"#, 1),
        ("list", r#" [ 1, "x" ] "#, 1),
        ("list", r#"["x",1]"#, 0),
    ] {
        let query = RunQuery { params: [(name.into(), text.into())].into(), ..RunQuery::default() };
        assert_eq!(runs(&world, query).await.len(), expected, "{name} {text}");
    }
    let both = RunQuery {
        params: [("n".into(), "200".into()), ("list".into(), r#"[1,"x"]"#.into())].into(),
        ..RunQuery::default()
    };
    assert_eq!(runs(&world, both).await, [1]);
}

/// Two runs of `for x in source(): a(x)` and `b()`: jobs of `a` failed at two times, and one of `b`.
async fn failures(world: &mut World) -> (RunId, RunId) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["a"], &[x]));
    let first = world.submit(script).await;
    world.lease_and_report("source", list(3)).await;
    for (round, held) in (1..).zip(world.lease(3).await) {
        world.now += 10;
        world.report_accepted(&held, failed(&format!("row {round} of 3 is bad\nmore {round}"))).await;
    }
    let second = world.submit(one_step("b")).await;
    world.now += 10;
    world.lease_and_report("b", failed("row 7 of 9 is bad")).await;
    (first, second)
}

async fn groups(world: &World, query: FailedQuery) -> FailureGroupPage {
    world.store.failure_groups(query).await.expect("groups")
}

fn query(limit: u32) -> FailedQuery {
    FailedQuery { limit, ..FailedQuery::default() }
}

pub(crate) async fn failed_jobs_of_all_runs_are_listed_newest_first(mut world: World) {
    let begin = world.now;
    let (first, second) = failures(&mut world).await;
    let all = world.store.failed_page(query(100)).await.expect("a page");
    let seen: Vec<_> = all.jobs.iter().map(|one| (one.job.run, one.job.step.as_str(), one.at.0 - begin)).collect();
    assert_eq!(seen, [(second, "b", 40), (first, "a", 30), (first, "a", 20), (first, "a", 10)]);
    assert_eq!((all.next, all.jobs[0].name.as_str()), (None, "test.bue"));
    for one in &all.jobs {
        let alone = JobView { last_attempts: Vec::new(), ..world.job(one.job.id).await };
        assert_eq!((&alone, one.job.state), (&one.job, JobState::Failed));
    }
    let mut pages = (Vec::new(), None);
    loop {
        let page = world.store.failed_page(FailedQuery { after: pages.1, ..query(1) }).await.expect("a page");
        pages.0.extend(page.jobs);
        pages.1 = page.next;
        if pages.1.is_none() {
            break;
        }
    }
    assert_eq!(pages.0, all.jobs);
    let of_step = FailedQuery { step: Some("a".into()), since: Some(Timestamp(begin + 20)), ..query(9) };
    let listed = world.store.failed_page(of_step.clone()).await.expect("a page");
    assert_eq!(listed.jobs, all.jobs[1..3]);
    let until = Some(Timestamp(begin + 30));
    let listed = world.store.failed_page(FailedQuery { until, ..of_step }).await.expect("a page");
    assert_eq!(listed.jobs, all.jobs[2..3]);
    // what is reset or deleted is not listed, and what fails again is listed where it failed last
    world.store.reset_job(world.time(), all.jobs[3].job.id).await.expect("a reset");
    world.store.delete_run(second).await.expect("deleted");
    world.now += 10;
    world.lease_and_report("a", failed("again")).await;
    let listed = world.store.failed_page(query(9)).await.expect("a page");
    let ids: Vec<_> = listed.jobs.iter().map(|one| one.job.id).collect();
    assert_eq!(ids, [all.jobs[3].job.id, all.jobs[1].job.id, all.jobs[2].job.id]);
    assert_eq!(listed.jobs[0].at, world.time());
}

pub(crate) async fn failures_are_grouped_by_step_and_message(mut world: World) {
    let begin = world.now;
    let (first, second) = failures(&mut world).await;
    let page = groups(&world, query(100)).await;
    assert_eq!((page.jobs, page.next), (4, None));
    let short = |group: &FailureGroup| {
        let (newest, oldest) = (&group.newest, &group.oldest);
        let times = (newest.at.0 - begin, oldest.at.0 - begin);
        (group.step.clone(), group.message.clone(), group.count, newest.run, times)
    };
    let expected = [
        ("b".to_owned(), "row # of # is bad".to_owned(), 1, second, (40, 40)),
        ("a".to_owned(), "row # of # is bad".to_owned(), 3, first, (30, 10)),
    ];
    assert_eq!(page.groups.iter().map(short).collect::<Vec<_>>(), expected);
    let cut = groups(&world, query(1)).await;
    assert_eq!((cut.groups.len(), cut.jobs), (1, 1));
    let next: Position = cut.next.expect("there are more").parse().expect("a position");
    let rest = groups(&world, FailedQuery { after: Some(next), ..query(1) }).await;
    assert_eq!((rest.groups.iter().map(short).collect::<Vec<_>>(), rest.next), (expected[1..].to_vec(), None));
    let of_step = groups(&world, FailedQuery { step: Some("b".into()), ..query(9) }).await;
    assert_eq!(of_step.groups.iter().map(short).collect::<Vec<_>>(), expected[..1]);
}
