//! Published pipelines, and the runs they start.

use bue_hub::{HubError, Invocation};
use bue_model::param::{Allowed, Param, ParamKind};
use bue_model::pipeline::{Invoked, Publication, Published};
use bue_model::{BlobHash, BlobRef, Input, ParamIndex, Plan, RunId, RunState};
use uuid::Uuid;

use crate::script::Script;
use crate::world::{World, completed};

fn plan(step: &str) -> Plan {
    let mut script = Script::new();
    script.call(&[step], &[Input::Param(ParamIndex(0))]);
    let day = Param { name: "day".into(), kind: ParamKind::Text, default: None, allowed: Allowed::All, line: 1 };
    Plan { params: vec![day], ..script.plan() }
}

fn publication(upload: u128, plan: Plan) -> Publication {
    let code = plan.steps.iter().map(|_| BlobRef { hash: BlobHash([7; 32]), len: 1 }).collect();
    Publication { upload: RunId(Uuid::from_u128(upload)), script: "test.bue".into(), plan, code }
}

async fn publish(world: &World, name: &str, upload: u128, plan: Plan) -> Published {
    world.store.publish(world.time(), name.to_owned(), publication(upload, plan)).await.expect("published")
}

/// A run of the current version with this value of its parameter.
async fn invocation(world: &World, name: &str, run: u128, day: &str) -> Invocation {
    let mut version = world.store.runnable(name.to_owned()).await.expect("read").expect("a pipeline");
    version.plan.params.clear();
    for node in &mut version.plan.nodes {
        if let bue_model::Node::Job(job) = node {
            job.inputs = vec![Input::Literal(day.to_owned().into())];
        }
    }
    let params = format!("{{\"day\":\"{day}\"}}");
    Invocation { run: RunId(Uuid::from_u128(run)), pipeline: name.to_owned(), version, params }
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
    let first = invocation(&world, "p", 11, "mon").await;
    invoke(&world, vec![first]).await.expect("a run");
    publish(&world, "p", 2, plan("b")).await;
    let second = invocation(&world, "p", 12, "tue").await;
    invoke(&world, vec![second]).await.expect("a run");
    let mut seen = Vec::new();
    world
        .run_all(|held| {
            seen.push((held.name().to_owned(), held.arguments()));
            completed("1")
        })
        .await;
    assert_eq!(seen, [("a".to_owned(), vec!["mon".to_owned()]), ("b".to_owned(), vec!["tue".to_owned()])]);
    let view = world.store.pipeline("p".into()).await.expect("read").expect("a pipeline");
    let runs: Vec<_> = view.runs.iter().map(|run| (run.version, run.state, run.params.as_str())).collect();
    assert_eq!(runs, [(2, RunState::Completed, "{\"day\":\"tue\"}"), (1, RunState::Completed, "{\"day\":\"mon\"}")]);
}

pub(crate) async fn long_parameters_of_runs_are_cut_in_the_view(world: World) {
    publish(&world, "p", 1, plan("a")).await;
    let run = invocation(&world, "p", 11, &"x".repeat(5_000)).await;
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
    let run = invocation(&world, "p", 11, "mon").await;
    for _ in 0..3 {
        let invoked = [Invoked { run: run.run, state: RunState::Running }];
        assert_eq!(invoke(&world, vec![run.clone()]).await.expect("a run"), invoked);
    }
    assert_eq!(world.store.runs(10).await.expect("runs").len(), 1);
}

pub(crate) async fn a_key_is_not_used_for_other_parameters(world: World) {
    publish(&world, "p", 1, plan("a")).await;
    let run = invocation(&world, "p", 11, "mon").await;
    invoke(&world, vec![run]).await.expect("a run");
    let other = invocation(&world, "p", 11, "tue").await;
    let refused = invoke(&world, vec![other]).await;
    assert!(matches!(refused, Err(HubError::OtherInvocation(_))), "{refused:?}");
}

pub(crate) async fn a_batch_starts_all_of_its_runs_or_none(mut world: World) {
    publish(&world, "p", 1, plan("a")).await;
    let mut batch = Vec::new();
    for run in 11..31 {
        batch.push(invocation(&world, "p", run, "mon").await);
    }
    let mut bad = batch.clone();
    bad[19].version.plan.calls.clear();
    assert!(matches!(invoke(&world, bad).await, Err(HubError::Plan(_))));
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
    let (run, late) = (invocation(&world, "p", 11, "mon").await, invocation(&world, "p", 12, "tue").await);
    invoke(&world, vec![run]).await.expect("a run");
    publish(&world, "q", 2, plan("b")).await;
    let unused = invocation(&world, "q", 13, "wed").await;
    for name in ["p", "q"] {
        world.store.unpublish(name.into()).await.expect("unpublished");
        assert!(matches!(world.store.unpublish(name.into()).await, Err(HubError::PipelineNotFound(_))));
        assert_eq!(world.store.runnable(name.into()).await.expect("read"), None);
    }
    assert!(matches!(invoke(&world, vec![unused]).await, Err(HubError::PipelineNotFound(_))));
    // it read the version before: a run of that version is no worse than the one that is running
    invoke(&world, vec![late]).await.expect("the version is still there");
    assert_eq!(world.run_all(|held| completed(&held.arguments()[0])).await, 2);
}

pub(crate) async fn code_is_kept_as_long_as_a_version_needs_it(mut world: World) {
    publish(&world, "p", 1, plan("a")).await;
    publish(&world, "p", 2, plan("b")).await;
    let run = invocation(&world, "p", 11, "mon").await;
    let run = invoke(&world, vec![run]).await.expect("a run")[0].run;
    let roots = async |world: &World| {
        let mut roots: Vec<u128> =
            world.store.gc_roots().await.expect("roots").runs.iter().map(|run| run.0.as_u128()).collect();
        roots.sort_unstable();
        roots
    };
    assert_eq!(roots(&world).await, [1, 2, 11]);
    world.store.unpublish("p".into()).await.expect("unpublished");
    assert_eq!(roots(&world).await, [2, 11], "version 2 has a run");
    world.run_all(|_| completed("1")).await;
    world.store.delete_run(run).await.expect("deleted");
    assert_eq!(roots(&world).await, [0_u128; 0]);
}
