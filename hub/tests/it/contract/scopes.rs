//! Scopes that steps choose: `Result(scope=…)`.

use bue_model::job::Hints;
use bue_model::plan::{AtMost, Rate};
use bue_model::{Input, JobState, Outcome, RateKey, RunState};

use crate::script::Script;
use crate::world::{LeasedJob, RESET, World, completed, failed, list, value};

/// An answer `pending` that sends the job to a scope.
fn moved(scope: &str) -> Outcome {
    Outcome::Pending { delay_ms: Some(0), scope: Some(scope.into()) }
}

/// A result that sends dependants to a scope.
fn sends(scope: &str) -> Outcome {
    Outcome::Completed { value: value("1"), hints: Hints { scope: Some(scope.into()), ..Hints::default() } }
}

async fn lease_in(world: &mut World, scope: &str) -> Vec<LeasedJob> {
    let scopes = std::mem::replace(&mut world.scopes, vec![scope.into()]);
    let held = world.lease(10).await;
    world.scopes = scopes;
    held
}

/// Leases the one job that is ready in a scope, which must have this name, and reports its outcome.
async fn report_in(world: &mut World, scope: &str, name: &str, outcome: Outcome) -> LeasedJob {
    let mut held = lease_in(world, scope).await;
    assert_eq!(held.iter().map(LeasedJob::name).collect::<Vec<_>>(), [name], "in {scope}");
    world.report_accepted(&held[0], outcome).await;
    held.remove(0)
}

async fn scope_of(world: &World, job: &LeasedJob) -> String {
    world.store.why(job.job()).await.expect("an answer").expect("the job").scope
}

pub(crate) async fn a_pending_job_runs_next_in_the_scope_it_chose(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    let run = world.submit(script).await;
    let a = report_in(&mut world, "default", "a", moved("gpu")).await;
    assert_eq!(scope_of(&world, &a).await, "gpu");
    world.expect_nothing_ready().await;
    let pending = Outcome::Pending { delay_ms: Some(0), scope: None };
    report_in(&mut world, "gpu", "a", pending).await;
    report_in(&mut world, "gpu", "a", moved("default")).await;
    report_in(&mut world, "default", "a", moved("gpu")).await;
    report_in(&mut world, "gpu", "a", completed("1")).await;
    report_in(&mut world, "default", "b", completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn a_released_job_stays_in_the_scope_it_chose(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    world.submit(script).await;
    report_in(&mut world, "default", "a", moved("gpu")).await;
    let released = Outcome::Released { reason: "gone".into(), alone: false };
    report_in(&mut world, "gpu", "a", released).await;
    let held = lease_in(&mut world, "gpu").await;
    world.now += 60_000;
    assert_eq!(world.reap().await, [held[0].job()]);
    report_in(&mut world, "gpu", "a", completed("1")).await;
}

pub(crate) async fn every_new_attempt_is_in_the_scope_of_the_script(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.set("a", |settings| settings.retries = 1);
    world.submit(script).await;
    report_in(&mut world, "default", "a", moved("gpu")).await;
    report_in(&mut world, "gpu", "a", failed("no")).await;
    world.now += 600_000;
    report_in(&mut world, "default", "a", moved("gpu")).await;
    report_in(&mut world, "gpu", "a", RESET).await;
    report_in(&mut world, "default", "a", moved("gpu")).await;
    let a = report_in(&mut world, "gpu", "a", failed("no")).await;
    world.now += 600_000;
    let a = report_in(&mut world, "default", "a", failed("no")).await.job().max(a.job());
    world.store.reset_job(world.time(), a).await.expect("a reset");
    report_in(&mut world, "default", "a", completed("1")).await;
}

pub(crate) async fn a_result_chooses_the_scope_of_all_that_depend(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    let after = script.call(&["after"], &[Input::Node(source)]);
    script.call(&["last"], &[Input::Node(after)]);
    script.call(&["free"], &[]);
    script.set("after", |settings| {
        settings.scope = "heavy".into();
        settings.retries = 1;
    });
    world.submit(script).await;
    let held = world.lease(10).await;
    world.report_accepted(&held[0], sends("gpu")).await;
    world.report_accepted(&held[1], completed("1")).await;
    report_in(&mut world, "gpu", "after", failed("no")).await;
    world.now += 600_000;
    report_in(&mut world, "gpu", "after", moved("default")).await;
    report_in(&mut world, "default", "after", completed("1")).await;
    report_in(&mut world, "gpu", "last", sends("default")).await;
}

pub(crate) async fn a_source_chooses_the_scope_of_the_rounds(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["round"], &[x]));
    world.submit(script).await;
    let Outcome::Completed { value, .. } = list(2) else { unreachable!("a list") };
    let hints = Hints { scope: Some("gpu".into()), ..Hints::default() };
    report_in(&mut world, "default", "source", Outcome::Completed { value, hints }).await;
    world.expect_nothing_ready().await;
    assert_eq!(lease_in(&mut world, "gpu").await.len(), 2);
}

pub(crate) async fn a_call_that_starts_over_forgets_the_scope_of_its_earlier_results(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    world.submit(script).await;
    report_in(&mut world, "default", "a", sends("gpu")).await;
    report_in(&mut world, "gpu", "b", RESET).await;
    report_in(&mut world, "default", "a", completed("1")).await;
    report_in(&mut world, "default", "b", completed("1")).await;
}

pub(crate) async fn limits_of_starts_hold_across_scopes(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["round"], &[x]));
    script.set("round", |settings| settings.at_most = Some(AtMost { count: 1, by: None }));
    world.submit(script).await;
    world.lease_and_report("source", list(3)).await;
    report_in(&mut world, "default", "round", moved("gpu")).await;
    report_in(&mut world, "default", "round", moved("gpu")).await;
    let held = lease_in(&mut world, "gpu").await;
    assert_eq!(held.len(), 1);
    world.expect_nothing_ready().await;
    world.report_accepted(&held[0], completed("1")).await;
    report_in(&mut world, "default", "round", completed("1")).await;
    report_in(&mut world, "gpu", "round", completed("1")).await;
}

pub(crate) async fn a_key_is_kept_in_another_scope(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.set("a", |settings| settings.rate = Some(Rate { count: 5, per_ms: 1_000, by: Some("host".into()) }));
    world.submit(script).await;
    report_in(&mut world, "default", "a", Outcome::Keyed { key: RateKey([1; 16]) }).await;
    report_in(&mut world, "default", "a", moved("gpu")).await;
    let held = lease_in(&mut world, "gpu").await;
    assert_eq!(held[0].lease.count_by, None);
}

pub(crate) async fn an_invalid_scope_is_a_failed_attempt(mut world: World) {
    for scope in [String::new(), "a\nb".into(), "x".repeat(1025)] {
        for outcome in [moved(&scope), sends(&scope)] {
            let mut script = Script::new();
            script.call(&["a"], &[]);
            let run = world.submit(script).await;
            let held = world.lease_and_report("a", outcome).await;
            assert_eq!(
                (world.state(run).await, world.job(held.job()).await.state),
                (RunState::Failed, JobState::Failed)
            );
            let message = world.job(held.job()).await.failure.expect("a failure").message;
            assert!(message.contains("the step chose the scope"), "{message}");
        }
    }
}

pub(crate) async fn moved_jobs_count_where_they_wait(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.call(&["b"], &[]);
    let run = world.submit(script).await;
    let held = world.lease(10).await;
    world.report_accepted(&held[0], moved("gpu")).await;
    let idle = |view: &bue_model::wire::RunView| {
        view.unserved.iter().map(|idle| (idle.scope.clone(), idle.steps.join(" "), idle.jobs)).collect::<Vec<_>>()
    };
    assert_eq!(idle(&world.view(run).await), [("gpu".into(), "a".into(), 1)]);
    let tally = world.store.tally(world.time()).await.expect("a tally").scopes;
    assert_eq!((tally["gpu"][&JobState::Available], tally["default"][&JobState::Available]), (1, 0));
    assert_eq!((tally["gpu"][&JobState::Running], tally["default"][&JobState::Running]), (0, 1));
    let scopes = world.store.script_scopes(held[0].job()).await.expect("an answer").expect("the job");
    assert_eq!(scopes.into_iter().collect::<Vec<_>>(), ["default"]);
}
