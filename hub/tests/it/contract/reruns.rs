//! Runs that repeat others, and reuse results where nothing has changed.

use std::collections::BTreeMap;

use bue_hub::{HubError, Replacement, Rerun};
use bue_model::job::Hints;
use bue_model::param::{Allowed, Param, ParamDefault, ParamKind};
use bue_model::pipeline::Invoked;
use bue_model::wire::JobQuery;
use bue_model::{
    BlobHash, BlobRef, Chunk, Input, JobState, Language, Outcome, ParamIndex, Plan, RunId, RunState, Value, ValueRef,
    cbor,
};
use uuid::Uuid;

use crate::contract::pipelines::publish;
use crate::script::{Script, submission};
use crate::world::{LeasedJob, World, completed, failed, list};

/// A rerun that changes nothing.
pub(crate) fn same(original: RunId, run: u128) -> Rerun {
    let (from, only, params, replace) = Default::default();
    Rerun { run: RunId(Uuid::from_u128(run)), original, from, only, params, replace }
}

async fn start(world: &World, rerun: Rerun) -> RunId {
    world.store.rerun(world.time(), rerun).await.expect("a run").run
}

/// Runs everything, and returns the names of what ran, sorted.
async fn run_all(world: &mut World, mut answer: impl FnMut(&LeasedJob) -> Outcome) -> String {
    let mut names = Vec::new();
    world
        .run_all(|held| {
            names.push(held.name().to_owned());
            answer(held)
        })
        .await;
    names.sort();
    names.join(" ")
}

/// Completes a job with a value that depends on its step and its arguments only.
fn pure(held: &LeasedJob) -> Outcome {
    completed(&format!("{}({})", held.name(), held.arguments().join(",")))
}

async fn reused(world: &World, run: RunId) -> u64 {
    world.view(run).await.steps.iter().map(|step| step.reused).sum()
}

/// `a`, then `b` and `c` of it, then `d` of both.
fn diamond() -> Script {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    let b = script.call(&["b"], &[Input::Node(a)]);
    let c = script.call(&["c"], &[Input::Node(a)]);
    script.call(&["d"], &[Input::Node(b), Input::Node(c)]);
    script
}

/// A list of these texts in one inline piece.
fn texts(elements: &[&str]) -> Outcome {
    let values = elements.iter().map(|element| Value::Text((*element).to_owned())).collect();
    let bytes = cbor::encode(&Value::List(values));
    let chunk = Chunk { count: elements.len() as u32, value: Box::new(ValueRef::Inline(bytes.into())) };
    let chunks = if elements.is_empty() { Vec::new() } else { vec![chunk] };
    Outcome::Completed { value: ValueRef::List(chunks), hints: Hints::default() }
}

pub(crate) async fn a_rerun_of_a_failed_run_runs_what_did_not_complete(mut world: World) {
    let run = world.submit(diamond()).await;
    let ran = run_all(&mut world, |held| if held.name() == "c" { failed("no") } else { pure(held) }).await;
    assert_eq!((ran.as_str(), world.state(run).await), ("a b c", RunState::Failed));
    let again = start(&world, same(run, 77)).await;
    let view = world.view(again).await;
    assert_eq!((view.rerun_of, view.counts.completed, view.name.as_str()), (Some(run), 2, "test.bue"));
    let a =
        world.store.jobs(again, JobQuery { limit: 1, ..JobQuery::default() }).await.expect("a page").expect("the run");
    assert!(a.jobs[0].reused && a.jobs[0].attempts == 0 && a.jobs[0].worker.is_none(), "{:?}", a.jobs[0]);
    assert_eq!(run_all(&mut world, pure).await, "c d");
    assert_eq!(world.results(again).await, "a() b(a()) c(a()) d(b(a()),c(a()))");
    assert_eq!((world.state(again).await, reused(&world, again).await), (RunState::Completed, 2));
    assert_eq!(world.state(run).await, RunState::Failed, "the original stays as it is");
    // everything of the rerun can be reused in turn
    let third = start(&world, same(again, 78)).await;
    assert_eq!((world.state(third).await, reused(&world, third).await), (RunState::Completed, 4));
    assert_eq!(world.results(third).await, world.results(again).await);
    world.expect_nothing_ready().await;
}

pub(crate) async fn from_runs_a_step_and_all_that_depends_on_it(mut world: World) {
    let run = world.submit(diamond()).await;
    run_all(&mut world, pure).await;
    let again = start(&world, Rerun { from: vec!["b".into()], ..same(run, 77) }).await;
    assert_eq!(run_all(&mut world, pure).await, "b d", "although the results are the same");
    assert_eq!((world.state(again).await, reused(&world, again).await), (RunState::Completed, 2));
    let unknown = world.store.rerun(world.time(), Rerun { from: vec!["x".into()], ..same(run, 78) }).await;
    assert!(matches!(unknown, Err(HubError::StepNotFound { .. })), "{unknown:?}");
    assert_eq!(world.store.run(RunId(Uuid::from_u128(78))).await.expect("an answer"), None);
}

pub(crate) async fn only_runs_a_step_and_what_gets_other_results_from_it(mut world: World) {
    let run = world.submit(diamond()).await;
    run_all(&mut world, pure).await;
    start(&world, Rerun { only: vec!["a".into()], ..same(run, 77) }).await;
    assert_eq!(run_all(&mut world, pure).await, "a", "with the same result, nothing else runs");
    let again = start(&world, Rerun { only: vec!["b".into()], ..same(run, 78) }).await;
    let other = |held: &LeasedJob| if held.name() == "b" { completed("new") } else { pure(held) };
    assert_eq!(run_all(&mut world, other).await, "b d");
    assert_eq!(world.results(again).await, "a() new c(a()) d(new,c(a()))");
}

/// What dependants inherit is an input of theirs.
pub(crate) async fn another_env_is_another_input(mut world: World) {
    let with_env = |env: &'static [u8]| {
        let hints = Hints { env: Some(env.into()), ..Hints::default() };
        move |held: &LeasedJob| match pure(held) {
            Outcome::Completed { value, .. } if held.name() == "a" => {
                Outcome::Completed { value, hints: hints.clone() }
            }
            outcome => outcome,
        }
    };
    let run = world.submit(diamond()).await;
    run_all(&mut world, with_env(b"1")).await;
    start(&world, Rerun { only: vec!["a".into()], ..same(run, 77) }).await;
    assert_eq!(run_all(&mut world, with_env(b"1")).await, "a");
    start(&world, Rerun { only: vec!["a".into()], ..same(run, 78) }).await;
    assert_eq!(run_all(&mut world, with_env(b"2")).await, "a b c d");
}

/// Two calls of the same step with the same arguments are two jobs, and one result does not stand for the other.
pub(crate) async fn a_result_is_reused_for_the_same_call_only(mut world: World) {
    let mut script = Script::new();
    script.call(&["order"], &[]);
    script.call(&["order"], &[]);
    let run = world.submit(script).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[0], completed("1")).await;
    world.report_accepted(&held[1], failed("no")).await;
    let again = start(&world, same(run, 77)).await;
    world.lease_and_report("order", completed("2")).await;
    assert_eq!(world.results(again).await, "1 2");
}

fn with_param() -> Plan {
    let mut script = Script::new();
    let a = script.call(&["a"], &[Input::Param(ParamIndex(0))]);
    let b = script.call(&["b"], &[]);
    script.call(&["c"], &[Input::Node(a), Input::Node(b)]);
    let default = Some(ParamDefault::Value(cbor::encode(&Value::Text("mon".into())).into()));
    let day = Param { name: "day".into(), kind: ParamKind::Text, default, allowed: Allowed::All, line: 1 };
    Plan { params: vec![day], ..script.plan() }
}

fn day(text: &str) -> BTreeMap<String, Value> {
    [("day".to_owned(), Value::Text(text.to_owned()))].into()
}

pub(crate) async fn a_parameter_changes_what_depends_on_it(mut world: World) {
    let run = world.store.submit(world.time(), submission(1, with_param())).await.expect("a run");
    run_all(&mut world, pure).await;
    let again = start(&world, Rerun { params: day("tue"), ..same(run, 77) }).await;
    assert_eq!(run_all(&mut world, pure).await, "a c");
    assert_eq!(world.results(again).await, "a(ctue) b() c(a(ctue),b())");
    // the other values are those of the run that is repeated
    let third = start(&world, same(again, 78)).await;
    assert_eq!((run_all(&mut world, pure).await, reused(&world, third).await), (String::new(), 3));
    let refused =
        world.store.rerun(world.time(), Rerun { params: [("dy".into(), Value::Null)].into(), ..same(run, 79) });
    assert!(matches!(refused.await, Err(HubError::UnfitParams { .. })));
    let plan = world.store.stored_plan(third).await.expect("read").expect("a plan");
    let value = Some(ParamDefault::Value(cbor::encode(&Value::Text("tue".into())).into()));
    assert_eq!((plan.plan.params[0].default.clone(), plan.rerun.map(|rerun| rerun.0)), (value, Some(again)));
}

pub(crate) async fn a_rerun_of_a_pipelines_run_has_its_version(mut world: World) {
    publish(&world, "p", 1, with_param()).await;
    let mut invocation = crate::contract::pipelines::invocation("p", 11, "mon");
    invocation.priority = 3;
    world.store.invoke(world.time(), vec![invocation]).await.expect("a run");
    run_all(&mut world, pure).await;
    publish(&world, "p", 2, Plan { params: with_param().params, ..diamond().plan() }).await;
    let run = RunId(Uuid::from_u128(11));
    let again = start(&world, Rerun { params: day("tue"), ..same(run, 77) }).await;
    assert_eq!(run_all(&mut world, pure).await, "a c");
    assert_eq!(world.store.pipeline_of(again).await.expect("read"), Some("p".to_owned()));
    let view = world.store.pipeline("p".into()).await.expect("read").expect("a pipeline");
    let runs: Vec<_> = view.runs.iter().map(|run| (run.version, run.params.as_str())).collect();
    assert_eq!(runs, [(1, r#"{"day":"tue"}"#), (1, r#"{"day":"mon"}"#)]);
    // the version is kept, although the pipeline and the first run are gone
    world.store.unpublish("p".into()).await.expect("removed");
    world.store.delete_run(run).await.expect("deleted");
    assert!(world.store.gc_roots().await.expect("roots").runs.contains(&RunId(Uuid::from_u128(1))));
    start(&world, same(again, 78)).await;
    assert_eq!(run_all(&mut world, pure).await, "");
}

pub(crate) async fn replaced_code_runs_and_so_does_what_gets_other_results(mut world: World) {
    let run = world.submit(diamond()).await;
    run_all(&mut world, pure).await;
    let replacement = |step: &str| Replacement {
        step: step.into(),
        language: Language::Python,
        function: "better".into(),
        file: "fix.py".into(),
        code: BlobRef { hash: BlobHash([8; 32]), len: 5 },
    };
    let again = start(&world, Rerun { replace: vec![replacement("b")], ..same(run, 77) }).await;
    let held = world.lease_named("b").await;
    assert_eq!((held.step.function.as_str(), held.step.code.hash), ("better", BlobHash([8; 32])));
    world.report_accepted(&held, completed("new")).await;
    assert_eq!(run_all(&mut world, pure).await, "d");
    // a rerun has the code of the run that it repeats
    start(&world, Rerun { only: vec!["b".into()], ..same(again, 78) }).await;
    assert_eq!(world.lease_named("b").await.step.function, "better");
    let unknown = Rerun { replace: vec![replacement("x")], ..same(run, 79) };
    assert!(matches!(world.store.rerun(world.time(), unknown).await, Err(HubError::StepNotFound { .. })));
}

/// `source`, `work` in each round, `sum` of the gathered list.
fn gathering() -> Script {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    let all = script.gather(source, &["work", "polish"]);
    let sum = script.call(&["sum"], &[all]);
    script.call(&["last"], &[Input::Node(sum)]);
    script
}

pub(crate) async fn rounds_are_reused_and_lists_gathered_from_them(mut world: World) {
    let run = world.submit(gathering()).await;
    let answer = |held: &LeasedJob| match held.name() {
        "source" => list(25),
        "work" if held.arguments()[0] == "c1[3]" => failed("no"),
        _ => pure(held),
    };
    run_all(&mut world, answer).await;
    let again = start(&world, same(run, 77)).await;
    assert_eq!(run_all(&mut world, pure).await, "last polish sum work");
    assert_eq!((world.state(again).await, reused(&world, again).await), (RunState::Completed, 49));
    // the gathered list is the same now
    let third = start(&world, Rerun { only: vec!["last".into()], ..same(again, 78) }).await;
    assert_eq!(run_all(&mut world, pure).await, "last");
    assert_eq!(world.results(third).await, world.results(again).await);
    let other = |held: &LeasedJob| match held.arguments().first().map(String::as_str) {
        Some("c0[0]") => completed("new"),
        _ => pure(held),
    };
    start(&world, Rerun { only: vec!["work".into()], ..same(again, 79) }).await;
    let ran = run_all(&mut world, other).await;
    assert_eq!(ran, format!("last polish sum{}", " work".repeat(25)), "one round is different");
    start(&world, Rerun { from: vec!["work".into()], ..same(again, 80) }).await;
    assert_eq!(run_all(&mut world, pure).await, format!("last{} sum{}", " polish".repeat(25), " work".repeat(25)));
}

pub(crate) async fn a_changed_list_runs_its_new_elements(mut world: World) {
    let run = world.submit(gathering()).await;
    let answer = |elements: &'static [&'static str]| {
        move |held: &LeasedJob| if held.name() == "source" { texts(elements) } else { pure(held) }
    };
    run_all(&mut world, answer(&["a", "b", "c"])).await;
    let rerun = |number| Rerun { only: vec!["source".into()], ..same(run, number) };
    let again = start(&world, rerun(77)).await;
    assert_eq!(run_all(&mut world, answer(&["x", "a", "c"])).await, "last polish source sum work");
    assert_eq!(reused(&world, again).await, 4);
    let empty = start(&world, rerun(78)).await;
    assert_eq!(run_all(&mut world, answer(&[])).await, "last source sum");
    // an empty list is the same empty list
    start(&world, Rerun { only: vec!["source".into()], ..same(empty, 79) }).await;
    assert_eq!(run_all(&mut world, answer(&[])).await, "source");
    // the list did not shrink to what the other run had
    start(&world, Rerun { only: vec!["source".into()], ..same(empty, 80) }).await;
    assert_eq!(run_all(&mut world, answer(&["a"])).await, "last polish source sum work");
}

pub(crate) async fn nested_rounds_are_reused(mut world: World) {
    let mut script = Script::new();
    let outside = Input::Node(script.call(&["outside"], &[]));
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| {
        let inner = script.call(&["inner"], &[x]);
        script.each(inner, |script, y| script.call(&["deep"], &[y, outside.clone()]));
    });
    let run = world.submit(script).await;
    let answer = |held: &LeasedJob| match held.name() {
        "source" => texts(&["a", "b"]),
        "inner" => texts(&["1", "2", "3"]),
        _ => pure(held),
    };
    run_all(&mut world, answer).await;
    let again = start(&world, same(run, 77)).await;
    assert_eq!((world.state(again).await, reused(&world, again).await), (RunState::Completed, 10));
    assert_eq!(world.results(again).await, world.results(run).await);
    start(&world, Rerun { from: vec!["inner".into()], ..same(run, 78) }).await;
    assert_eq!(run_all(&mut world, answer).await, "deep deep deep deep deep deep inner inner");
    start(&world, Rerun { only: vec!["outside".into()], ..same(run, 79) }).await;
    let other = |held: &LeasedJob| if held.name() == "outside" { completed("new") } else { answer(held) };
    assert_eq!(run_all(&mut world, other).await, "deep deep deep deep deep deep outside");
}

/// More rounds than are instantiated at once.
pub(crate) async fn many_rounds_are_reused(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    let all = script.gather(source, &["work"]);
    script.call(&["sum"], &[all]);
    let run = world.submit(script).await;
    world.lease_and_report("source", list(5_000)).await;
    while world.step(run, "work").await.completed < 5_000 {
        world.run_all(|held| if held.name() == "sum" { failed("no") } else { completed("1") }).await;
    }
    world.run_all(|_| failed("no")).await;
    let again = start(&world, same(run, 77)).await;
    wait_for(&world, again, 5_001).await;
    assert_eq!(run_all(&mut world, |_| completed("s")).await, "sum");
    assert_eq!(world.state(again).await, RunState::Completed);
}

/// Waits until as many jobs are completed: rounds are instantiated in the background.
async fn wait_for(world: &World, run: RunId, jobs: u64) {
    bue_test_support::wait::wait_until_async("the rounds", async || world.view(run).await.counts.completed >= jobs)
        .await;
}

pub(crate) async fn handlers_and_finally_run_anew(mut world: World) {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    script.on_failure(a, "notify");
    script.finally(|script, run| script.call(&["clean"], &[run]));
    let run = world.submit(script).await;
    let answer = |held: &LeasedJob| if held.name() == "a" { failed("no") } else { pure(held) };
    assert_eq!(run_all(&mut world, answer).await, "a clean notify");
    let again = start(&world, same(run, 77)).await;
    assert_eq!(run_all(&mut world, answer).await, "a clean notify");
    let third = start(&world, same(again, 78)).await;
    assert_eq!(run_all(&mut world, pure).await, "a clean");
    start(&world, same(third, 79)).await;
    assert_eq!(run_all(&mut world, pure).await, "clean");
}

/// A step that starts its call over does not want what was there.
pub(crate) async fn a_call_that_starts_over_reuses_nothing(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b", "c"], &[]);
    let run = world.submit(script).await;
    run_all(&mut world, |held| if held.name() == "c" { failed("no") } else { pure(held) }).await;
    let again = start(&world, same(run, 77)).await;
    let c = world.lease_named("c").await;
    world.report_accepted(&c, crate::world::RESET).await;
    assert_eq!(run_all(&mut world, pure).await, "a b c");
    assert_eq!(world.state(again).await, RunState::Completed);
}

/// A reset may replace results from which others were computed.
pub(crate) async fn nothing_is_reused_of_a_run_that_has_changed(mut world: World) {
    let run = world.submit(diamond()).await;
    run_all(&mut world, |held| if held.name() == "d" { failed("no") } else { pure(held) }).await;
    start(&world, Rerun { only: vec!["a".into()], ..same(run, 77) }).await;
    let a = world.lease_named("a").await;
    world.store.reset_run(world.time(), run).await.expect("reset");
    let d = world.lease_named("d").await;
    world.report_accepted(&a, completed("a()")).await;
    world.report_accepted(&d, completed("d")).await;
    assert_eq!(run_all(&mut world, pure).await, "b c d");
}

pub(crate) async fn a_deleted_run_lends_its_blobs_and_no_more_results(mut world: World) {
    let run = world.submit(diamond()).await;
    run_all(&mut world, |held| if held.name() == "d" { failed("no") } else { pure(held) }).await;
    let again = start(&world, Rerun { only: vec!["c".into()], ..same(run, 77) }).await;
    world.store.delete_run(run).await.expect("deleted");
    assert_eq!(run_all(&mut world, pure).await, "c d");
    assert_eq!(world.results(again).await, "a() b(a()) c(a()) d(b(a()),c(a()))");
    let third = start(&world, same(again, 78)).await;
    world.store.delete_run(again).await.expect("deleted");
    let roots = world.store.gc_roots().await.expect("roots").runs;
    assert!([run, again, third].iter().all(|run| roots.contains(run)), "{roots:?}");
    world.store.delete_run(third).await.expect("deleted");
    assert_eq!(world.store.gc_roots().await.expect("roots").runs, []);
    assert!(matches!(world.store.rerun(world.time(), same(run, 79)).await, Err(HubError::RunNotFound(_))));
}

pub(crate) async fn the_same_rerun_is_one_run(mut world: World) {
    let run = world.submit(diamond()).await;
    assert!(matches!(world.store.rerun(world.time(), same(run, 77)).await, Err(HubError::OriginalRunning(_))));
    run_all(&mut world, pure).await;
    let rerun = Rerun { only: vec!["a".into()], ..same(run, 77) };
    for _ in 0..2 {
        let started = world.store.rerun(world.time(), rerun.clone()).await.expect("a run");
        assert_eq!(started, Invoked { run: rerun.run, state: RunState::Running });
    }
    assert_eq!(world.step(rerun.run, "a").await.available, 1);
    for other in [same(run, 77), Rerun { original: rerun.run, ..rerun.clone() }, same(run, 1)] {
        let refused = world.store.rerun(world.time(), other).await;
        assert!(matches!(refused, Err(HubError::OtherRerun(_))), "{refused:?}");
    }
}

pub(crate) async fn limits_and_expiries_do_not_hold_what_is_reused(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    script.set("a", |settings| {
        settings.rate = Some(bue_model::plan::Rate { count: 1, per_ms: 1_000_000, by: None });
        settings.expires_ms = Some(1);
    });
    let run = world.submit(script).await;
    run_all(&mut world, |held| if held.name() == "b" { failed("no") } else { pure(held) }).await;
    world.now += 10;
    let again = start(&world, same(run, 77)).await;
    let a =
        world.store.jobs(again, JobQuery { limit: 1, ..JobQuery::default() }).await.expect("a page").expect("the run");
    assert_eq!(a.jobs[0].state, JobState::Completed);
    assert_eq!(run_all(&mut world, pure).await, "b");
}

pub(crate) async fn equal_results_have_equal_digests(mut world: World) {
    let first = world.submit(diamond()).await;
    run_all(&mut world, pure).await;
    let second = world.submit(diamond()).await;
    run_all(&mut world, |held| if held.name() == "b" { completed("other") } else { pure(held) }).await;
    let mut digests = Vec::new();
    for run in [first, second] {
        let query = JobQuery { limit: 10, digests: true, ..JobQuery::default() };
        let page = world.store.jobs(run, query).await.expect("a page").expect("the run");
        digests.push(page.jobs.into_iter().map(|job| job.digest.expect("a digest")).collect::<Vec<_>>());
    }
    let equal: Vec<bool> = digests[0].iter().zip(&digests[1]).map(|(one, other)| one == other).collect();
    assert_eq!(equal, [true, false, true, false]);
}

pub(crate) async fn a_stage_stands_for_its_job(mut world: World) {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    let fused = script.fused_call(&["read", "parse"], &[Input::Node(a)]);
    script.call(&["load"], &[Input::Node(fused)]);
    let run = world.submit(script).await;
    assert_eq!(run_all(&mut world, pure).await, "a load read|parse");
    start(&world, Rerun { from: vec!["parse".into()], ..same(run, 77) }).await;
    assert_eq!(run_all(&mut world, pure).await, "load read|parse");
    start(&world, Rerun { only: vec!["read".into()], ..same(run, 78) }).await;
    assert_eq!(run_all(&mut world, pure).await, "read|parse");
    for step in ["parse", "read|parse"] {
        let replacement = Replacement {
            step: step.into(),
            language: Language::Python,
            function: "f".into(),
            file: "f.py".into(),
            code: BlobRef { hash: BlobHash([9; 32]), len: 1 },
        };
        let rerun = Rerun { replace: vec![replacement], ..same(run, 79) };
        let refused = world.store.rerun(world.time(), rerun).await;
        assert!(matches!(&refused, Err(HubError::BadRequest(text)) if text.contains(step)), "{refused:?}");
    }
}

pub(crate) async fn lists_made_of_reused_lists_are_reused(mut world: World) {
    let mut script = Script::new();
    let (a, b) = (script.call(&["a"], &[]), script.call(&["b"], &[]));
    let merged = script.list_job("a + b", "merge", &[a, b]);
    script.each(merged, |script, x| script.call(&["body"], &[x]));
    let run = world.submit(script).await;
    let answer = |held: &LeasedJob| match held.name() {
        "a" => texts(&["1"]),
        "b" => texts(&["2"]),
        "a + b" => texts(&["1", "2"]),
        _ => completed("x"),
    };
    assert_eq!(run_all(&mut world, answer).await, "a a + b b body body");
    let again = start(&world, same(run, 77)).await;
    assert_eq!(run_all(&mut world, answer).await, "");
    assert_eq!((world.state(again).await, reused(&world, again).await), (RunState::Completed, 5));
    start(&world, Rerun { only: vec!["b".into()], ..same(run, 78) }).await;
    let longer = |held: &LeasedJob| match held.name() {
        "b" => texts(&["2", "3"]),
        "a + b" => texts(&["1", "2", "3"]),
        _ => completed("x"),
    };
    assert_eq!(run_all(&mut world, longer).await, "a + b b body", "only the new element");
}
