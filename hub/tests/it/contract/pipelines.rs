//! Published pipelines, and the runs they start.

use bue_hub::{HubError, Invocation};
use bue_model::param::{Allowed, Param, ParamDefault, ParamKind, ParamProblem, RunTime, TimeDefault};
use bue_model::pipeline::{Invoked, Publication, Published};
use bue_model::{BlobHash, BlobRef, Input, ParamIndex, Plan, RunId, RunState, Value, cbor};
use jiff::tz::TimeZone;
use uuid::Uuid;

use crate::script::Script;
use crate::world::{World, completed};

pub(crate) fn plan(step: &str) -> Plan {
    let mut script = Script::new();
    script.call(&[step], &[Input::Param(ParamIndex(0))]);
    let day = Param { name: "day".into(), kind: ParamKind::Text, default: None, allowed: Allowed::All, line: 1 };
    Plan { params: vec![day], ..script.plan() }
}

fn publication(upload: u128, plan: Plan) -> Publication {
    let code = plan.steps.iter().map(|_| BlobRef { hash: BlobHash([7; 32]), len: 1 }).collect();
    Publication { upload: RunId(Uuid::from_u128(upload)), script: "test.bue".into(), plan, code }
}

pub(crate) async fn publish(world: &World, name: &str, upload: u128, plan: Plan) -> Published {
    world.store.publish(world.time(), name.to_owned(), publication(upload, plan)).await.expect("published")
}

/// A run of the current version with this value of its parameter.
pub(crate) fn invocation(name: &str, run: u128, day: &str) -> Invocation {
    Invocation {
        run: RunId(Uuid::from_u128(run)),
        pipeline: name.to_owned(),
        params: [("day".to_owned(), Value::Text(day.to_owned()))].into(),
        priority: 0,
        time: RunTime { at: jiff::Timestamp::UNIX_EPOCH, zone: TimeZone::UTC },
    }
}

/// The argument of a job, which gets this value of the parameter.
fn argument(day: &str) -> String {
    String::from_utf8(cbor::encode(&Value::Text(day.to_owned()))).expect("a short text")
}

async fn invoke(world: &World, invocations: Vec<Invocation>) -> Result<Vec<Invoked>, HubError> {
    world.store.invoke(world.time(), invocations).await
}

pub(crate) async fn equal_content_is_the_same_version(mut world: World) {
    assert_eq!(publish(&world, "p", 1, plan("a")).await, Published { version: 1, created: true });
    assert_eq!(publish(&world, "p", 2, plan("a")).await, Published { version: 1, created: false });
    assert_eq!(publish(&world, "p", 3, plan("b")).await, Published { version: 2, created: true });
    assert_eq!(publish(&world, "q", 4, plan("a")).await, Published { version: 1, created: true });
    world.now += 5;
    assert_eq!(publish(&world, "p", 5, plan("a")).await, Published { version: 1, created: false });
    let view = world.store.pipeline("p".into()).await.expect("read").expect("a pipeline");
    assert_eq!((view.version, view.params[0].name.as_str()), (1, "day"));
    assert_eq!(view.versions.iter().map(|version| version.version).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(view.versions[1].published_at.0, world.now - 5);
    let names: Vec<_> = world.store.pipelines().await.expect("a list").into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["p", "q"]);
    assert_eq!(world.store.pipeline("r".into()).await.expect("read"), None);
}

pub(crate) async fn a_run_keeps_the_version_it_started_with(mut world: World) {
    publish(&world, "p", 1, plan("a")).await;
    let first = invocation("p", 11, "mon");
    invoke(&world, vec![first]).await.expect("a run");
    for (run, expected) in [(11, Some("p".to_owned())), (12, None)] {
        assert_eq!(world.store.pipeline_of(RunId(Uuid::from_u128(run))).await.expect("read"), expected);
    }
    publish(&world, "p", 2, plan("b")).await;
    let second = invocation("p", 12, "tue");
    invoke(&world, vec![second]).await.expect("a run");
    let mut seen = Vec::new();
    world
        .run_all(|held| {
            seen.push((held.name().to_owned(), held.arguments()));
            completed("1")
        })
        .await;
    assert_eq!(seen, [("a".to_owned(), vec![argument("mon")]), ("b".to_owned(), vec![argument("tue")])]);
    let view = world.store.pipeline("p".into()).await.expect("read").expect("a pipeline");
    let runs: Vec<_> = view.runs.iter().map(|run| (run.version, run.state, run.params.as_str())).collect();
    assert_eq!(runs, [(2, RunState::Completed, "{\"day\":\"tue\"}"), (1, RunState::Completed, "{\"day\":\"mon\"}")]);
}

pub(crate) async fn long_parameters_of_runs_are_cut_in_the_view(world: World) {
    publish(&world, "p", 1, plan("a")).await;
    let run = invocation("p", 11, &"x".repeat(5_000));
    invoke(&world, vec![run]).await.expect("a run");
    let view = world.store.pipeline("p".into()).await.expect("read").expect("a pipeline");
    let params = &view.runs[0].params;
    assert!(params.starts_with("{\"day\":\"xxx") && params.ends_with("x…"), "{params}");
    assert_eq!(params.chars().count(), 1_000);
}

pub(crate) async fn a_bad_plan_is_not_published(world: World) {
    let mut undeclared = plan("a");
    undeclared.params.clear();
    let mut later = plan("a");
    if let bue_model::Node::Job(job) = &mut later.nodes[0] {
        job.inputs = vec![Input::Node(bue_model::NodeId(7))];
    }
    for bad in [undeclared, later] {
        let refused = world.store.publish(world.time(), "p".into(), publication(1, bad)).await;
        assert!(matches!(refused, Err(HubError::Plan(_))), "{refused:?}");
    }
    assert_eq!(world.store.pipelines().await.expect("a list"), []);
}

pub(crate) async fn invoking_twice_starts_one_run(world: World) {
    publish(&world, "p", 1, plan("a")).await;
    let run = invocation("p", 11, "mon");
    for _ in 0..3 {
        let invoked = [Invoked { run: run.run, state: RunState::Running }];
        assert_eq!(invoke(&world, vec![run.clone()]).await.expect("a run"), invoked);
    }
    assert_eq!(world.store.runs(10).await.expect("runs").len(), 1);
}

pub(crate) async fn a_key_is_not_used_for_another_run(world: World) {
    publish(&world, "p", 1, json_plan()).await;
    let run = |value: Value| Invocation { params: [("day".to_owned(), value)].into(), ..invocation("p", 11, "") };
    let large = "1".repeat(50);
    let number = run(Value::integer(large.parse().expect("digits")));
    invoke(&world, vec![number.clone()]).await.expect("a run");
    let other_priority = Invocation { priority: 5, ..number.clone() };
    for other in [run(Value::Text("tue".into())), run(Value::Text(large)), other_priority] {
        let refused = invoke(&world, vec![other]).await;
        assert!(matches!(refused, Err(HubError::OtherInvocation(_))), "{refused:?}");
    }
    invoke(&world, vec![number]).await.expect("the same run");
}

fn json_plan() -> Plan {
    let mut plan = plan("a");
    plan.params[0].kind = ParamKind::Json;
    plan
}

pub(crate) async fn a_repeated_invocation_finds_its_run_whatever_became_of_the_pipeline(world: World) {
    publish(&world, "p", 1, plan("a")).await;
    let run = invocation("p", 11, "mon");
    let invoked = [Invoked { run: run.run, state: RunState::Running }];
    assert_eq!(invoke(&world, vec![run.clone()]).await.expect("a run"), invoked);
    let mut other = plan("a");
    other.params[0].name = "week".into();
    publish(&world, "p", 2, other).await;
    assert_eq!(invoke(&world, vec![run.clone()]).await.expect("the run of version 1"), invoked);
    world.store.unpublish("p".into()).await.expect("unpublished");
    assert_eq!(invoke(&world, vec![run]).await.expect("the run of version 1"), invoked);
    let new = invoke(&world, vec![invocation("p", 12, "mon")]).await;
    assert!(matches!(new, Err(HubError::PipelineNotFound(_))), "{new:?}");
}

pub(crate) async fn contradicting_declarations_are_not_published(world: World) {
    let number = |number| ParamDefault::Value(cbor::encode(&Value::Int(number)).into());
    let bytes = |number| cbor::encode(&Value::Int(number)).into();
    let day = || plan("a").params[0].clone();
    let large = cbor::encode(&Value::Text("x".repeat(70_000))).into();
    let int = || Param { kind: ParamKind::Int, ..day() };
    for (params, problem) in [
        (vec![day(), day()], "it is declared twice"),
        (vec![Param { name: String::new(), ..day() }], "its name has no characters, or more than 1024 bytes"),
        (vec![Param { default: Some(number(1)), ..day() }], "is an int, not a text"),
        (vec![Param { default: Some(ParamDefault::Value(large)), ..day() }], "its default takes more than 64 KiB"),
        (vec![Param { default: Some(ParamDefault::Time(TimeDefault::Today)), ..day() }], "`today` is not a text"),
        (
            vec![Param { allowed: Allowed::Range(Some(bytes(1)), None), ..day() }],
            "a parameter that is a text has no range",
        ),
        (vec![Param { allowed: Allowed::Range(Some(bytes(2)), Some(bytes(1))), ..int() }], "its range is empty"),
        (
            vec![Param { allowed: Allowed::Range(Some(bytes(2)), None), default: Some(number(1)), ..int() }],
            "its default is not in 2..",
        ),
        (
            vec![Param { allowed: Allowed::OneOf(vec![b"\xff".to_vec().into()]), ..int() }],
            "it has a value that is no CBOR",
        ),
    ] {
        let refused = world.store.publish(world.time(), "p".into(), publication(1, Plan { params, ..plan("a") })).await;
        let message = refused.expect_err(problem).to_string();
        assert!(message.contains("its parameter `") && message.contains(problem), "{message}");
    }
    assert_eq!(world.store.pipelines().await.expect("a list"), []);
}

pub(crate) async fn a_batch_starts_all_of_its_runs_or_none(mut world: World) {
    publish(&world, "p", 1, plan("a")).await;
    let batch: Vec<_> = (11..31).map(|run| invocation("p", run, "mon")).collect();
    let mut bad = batch.clone();
    bad[19].params.clear();
    let refused = invoke(&world, bad).await;
    let Err(HubError::UnfitParams { position: 19, errors }) = &refused else { panic!("{refused:?}") };
    assert_eq!((errors[0].name.as_str(), &errors[0].problem), ("day", &ParamProblem::Missing));
    assert_eq!(world.store.runs(100).await.expect("runs").len(), 0);
    let runs: Vec<_> = batch.iter().map(|invocation| invocation.run).collect();
    let invoked = |state| runs.iter().map(|run| Invoked { run: *run, state }).collect::<Vec<_>>();
    assert_eq!(invoke(&world, batch.clone()).await.expect("runs"), invoked(RunState::Running));
    assert_eq!(world.store.runs(100).await.expect("runs").len(), 20);
    assert_eq!(world.run_all(|held| completed(&held.arguments()[0])).await, 20);
    assert_eq!(invoke(&world, batch).await.expect("runs"), invoked(RunState::Completed));
}

pub(crate) async fn an_unpublished_pipeline_starts_no_run_and_its_runs_go_on(mut world: World) {
    publish(&world, "p", 1, plan("a")).await;
    publish(&world, "q", 2, plan("b")).await;
    invoke(&world, vec![invocation("p", 11, "mon")]).await.expect("a run");
    for name in ["p", "q"] {
        world.store.unpublish(name.into()).await.expect("unpublished");
        assert!(matches!(world.store.unpublish(name.into()).await, Err(HubError::PipelineNotFound(_))));
        assert_eq!(world.store.pipeline(name.into()).await.expect("read"), None);
        let refused = invoke(&world, vec![invocation(name, 13, "wed")]).await;
        assert!(matches!(refused, Err(HubError::PipelineNotFound(_))), "{refused:?}");
    }
    assert_eq!(world.run_all(|held| completed(&held.arguments()[0])).await, 1);
}

pub(crate) async fn a_priority_is_added_to_that_of_every_step(mut world: World) {
    publish(&world, "p", 1, plan("a")).await;
    let batch = (0..3).map(|index| Invocation {
        priority: [-1, 7, i64::MAX][index as usize],
        ..invocation("p", 11 + index, &index.to_string())
    });
    invoke(&world, batch.collect()).await.expect("runs");
    let leased = world.lease(3).await;
    let order: Vec<_> = leased.iter().map(|held| held.arguments()[0].clone()).collect();
    assert_eq!(order, ["2", "1", "0"].map(argument));
}

pub(crate) async fn code_is_kept_as_long_as_a_version_needs_it(mut world: World) {
    publish(&world, "p", 1, plan("a")).await;
    publish(&world, "p", 2, plan("b")).await;
    let run = invocation("p", 11, "mon");
    let run = invoke(&world, vec![run]).await.expect("a run")[0].run;
    let roots = async |world: &World| {
        let mut roots: Vec<u128> =
            world.store.gc_roots().await.expect("roots").runs.iter().map(|run| run.0.as_u128()).collect();
        roots.sort_unstable();
        roots
    };
    assert_eq!(roots(&world).await, [1, 2, 11]);
    // the same content again: its code is kept for this upload too, whether or not the first one was real
    publish(&world, "p", 3, plan("b")).await;
    publish(&world, "p", 3, plan("b")).await;
    assert_eq!(roots(&world).await, [1, 2, 3, 11]);
    world.store.unpublish("p".into()).await.expect("unpublished");
    assert_eq!(roots(&world).await, [2, 3, 11], "version 2 has a run");
    world.run_all(|_| completed("1")).await;
    world.store.delete_run(run).await.expect("deleted");
    assert_eq!(roots(&world).await, [0_u128; 0]);
}

/// One transaction is what every worker waits for.
pub(crate) async fn a_batch_that_starts_too_much_is_refused(world: World) {
    let mut script = Script::new();
    let large = (0..30_000).map(|_| Input::Param(ParamIndex(0))).collect::<Vec<_>>();
    for inputs in large.chunks(10) {
        script.call(&["a"], inputs);
    }
    let day = Param { name: "day".into(), kind: ParamKind::Text, default: None, allowed: Allowed::All, line: 1 };
    publish(&world, "p", 1, Plan { params: vec![day], ..script.plan() }).await;
    let batch = |runs: u128, day: &str| (11..11 + runs).map(|run| invocation("p", run, day)).collect::<Vec<_>>();
    let refused = invoke(&world, batch(50, "mon")).await;
    assert!(matches!(&refused, Err(HubError::BadRequest(problem)) if problem.contains("start fewer")), "{refused:?}");
    assert_eq!(world.store.runs(100).await.expect("runs").len(), 0);
    // each of these has 15 MB of values
    let refused = invoke(&world, batch(5, &"x".repeat(500))).await;
    assert!(matches!(&refused, Err(HubError::BadRequest(problem)) if problem.contains("64 MiB")), "{refused:?}");
    assert_eq!(world.store.runs(100).await.expect("runs").len(), 0);
    // 30,000 copies of a value are more than a plan may have
    let refused = invoke(&world, batch(1, &"x".repeat(1_000))).await;
    let Err(HubError::UnfitParams { errors, .. }) = &refused else { panic!("{refused:?}") };
    assert!(errors[0].to_string().contains("at its 30000 uses"), "{errors:?}");
    invoke(&world, batch(3, "mon")).await.expect("runs");
}
