//! What users request: to cancel, reset and delete.

use bue_hub::HubError;
use bue_model::wire::{NoValue, ResultCursor, RoundValue, Verdict};
use bue_model::{Input, JobId, JobState, Outcome, RunId, RunState, Timestamp};
use uuid::Uuid;

use crate::script::Script;
use crate::world::{World, completed, failed, list};

/// A script that runs a chain of steps for each element of a list.
pub(super) fn looped(body: &[&str]) -> Script {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(body, &[x]));
    script
}

pub(crate) async fn a_cancelled_run_has_ended_and_its_reports_are_stale(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    script.call(&["c"], &[]);
    let run = world.submit(script).await;
    let held = world.lease(1).await.remove(0);
    let changed = world.store.cancel_run(world.time(), run).await.expect("cancelled");
    assert_eq!(changed.jobs, 3);
    let view = world.view(run).await;
    assert_eq!((view.state, view.finished_at), (RunState::Cancelled, Some(world.time())));
    assert_eq!(world.report(&held, completed("late")).await, Verdict::LeaseLost);
    assert_eq!(world.heartbeat(&[&held]).await, [held.job()]);
    world.expect_nothing_ready().await;
    world.now += 1_000_000;
    assert_eq!(world.reap().await, []);
    assert_eq!(world.view(run).await, view);
    assert_eq!(world.results(run).await, "- -");
    assert_eq!(world.store.cancel_run(world.time(), run).await.expect("again").jobs, 0);
}

pub(crate) async fn cancelling_a_run_counts_rounds_that_were_never_instantiated(mut world: World) {
    let run = world.submit(looped(&["a", "b"])).await;
    world.lease_and_report("source", list(5_000)).await;
    let held = world.lease(10).await;
    world.report_accepted(&held[0], completed("1")).await;
    let changed = world.store.cancel_run(world.time(), run).await.expect("cancelled");
    assert_eq!(changed.jobs, 9_999);
    let (a, b) = (world.step(run, "a").await, world.step(run, "b").await);
    assert_eq!((a.completed, a.cancelled, a.blocked + a.available + a.running), (1, 4_999, 0));
    assert_eq!((b.cancelled, b.blocked + b.available), (5_000, 0));
    let page = world.page(run).await;
    let RoundValue::Rounds(rounds) = &page.results[1].value else { panic!("rounds") };
    assert_eq!(rounds.len(), 5_000);
    assert!(rounds.iter().all(|round| *round == RoundValue::Nothing(NoValue::Cancelled)));
}

pub(crate) async fn a_reset_run_tries_its_failed_jobs_again(mut world: World) {
    let mut script = looped(&["a", "b"]);
    script.set("a", |settings| settings.retries = 1);
    let run = world.submit(script).await;
    world.lease_and_report("source", list(4)).await;
    for _ in 0..2 {
        world.run_all(|held| if held.arguments()[0].ends_with("[2]") { failed("no") } else { completed("1") }).await;
        world.now += 2_000;
    }
    assert_eq!(world.state(run).await, RunState::Failed);
    assert_eq!(world.results(run).await, "list of 4 [1 1 - 1]");
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("reset").jobs, 1);
    let view = world.view(run).await;
    assert_eq!((view.state, view.finished_at), (RunState::Running, None));
    assert!(world.page(run).await.failed.is_empty());
    let held = world.lease_and_report("a", failed("again")).await;
    assert_eq!(held.lease.attempt, 1, "attempts are fresh");
    world.now += 2_000;
    world.run_all(|_| completed("2")).await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.results(run).await, "list of 4 [1 1 2 1]");
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("nothing").jobs, 0);
}

pub(crate) async fn a_job_can_be_cancelled(mut world: World) {
    let mut script = Script::new();
    let call = script.call(&["a", "b", "c"], &[]);
    script.call(&["after"], &[Input::Node(call)]);
    script.call(&["other"], &[]);
    let run = world.submit(script).await;
    let held = world.lease(2).await;
    // the whole call, also by a job of it that does not run yet
    let changed = world.store.cancel_job(world.time(), JobId(held[0].job().0 + 1)).await.expect("cancelled");
    assert_eq!(changed.jobs, 4);
    assert_eq!(world.report(&held[0], completed("late")).await, Verdict::LeaseLost);
    world.report_accepted(&held[1], completed("o")).await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.store.cancel_job(world.time(), held[0].job()).await.expect("again").jobs, 0);
}

pub(crate) async fn what_is_stuck_behind_a_failed_job_can_be_cancelled(mut world: World) {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    script.call(&["b", "c"], &[Input::Node(a)]);
    let run = world.submit(script).await;
    let held = world.lease_and_report("a", failed("no")).await;
    let changed = world.store.cancel_job(world.time(), JobId(held.job().0 + 2)).await.expect("cancelled");
    assert_eq!(changed.jobs, 2, "the whole call");
    assert_eq!(world.state(run).await, RunState::Failed);
    world.store.reset_run(world.time(), run).await.expect("reset");
    world.lease_and_report("a", completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Completed);
    assert_eq!(world.results(run).await, "1 -");
}

/// Whichever parent failed or was cancelled first, no reset brings back what depends on both, so nothing waits for it.
pub(crate) async fn a_cancellation_reaches_what_is_stuck_behind_a_failed_job(mut world: World) {
    let mut script = Script::new();
    let a = Input::Node(script.call(&["a"], &[]));
    let b = Input::Node(script.call(&["b"], &[]));
    let source = script.call(&["source"], &[]);
    let all = script.gather_of(source, |script, x| script.call(&["c", "d"], &[x, a, b]));
    script.call(&["sum"], &[all]);
    let run = world.submit(script).await;
    let held = world.lease(3).await;
    world.report_accepted(&held[2], list(2)).await;
    world.report_accepted(&held[0], failed("a")).await;
    assert_eq!(world.step(run, "d").await.blocked, 2);
    world.report_accepted(&held[1], Outcome::Cancelled).await;
    assert_eq!(world.step(run, "d").await.cancelled, 2);
    assert_eq!(world.lease_and_report("sum", completed("s")).await.arguments(), ["[- -]"]);
    assert_eq!(world.state(run).await, RunState::Failed, "a did");
}

pub(crate) async fn a_failed_job_can_be_reset(mut world: World) {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    let b = script.call(&["b"], &[]);
    script.call(&["c"], &[Input::Node(a), Input::Node(b)]);
    let run = world.submit(script).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[0], failed("a")).await;
    world.report_accepted(&held[1], failed("b")).await;
    let c = JobId(held[1].job().0 + 1);
    assert_eq!(world.job(c).await.blocked_by, Some(held[0].job()));
    world.store.reset_job(world.time(), held[0].job()).await.expect("reset");
    assert_eq!(world.job(c).await.blocked_by, Some(held[1].job()), "it is stuck behind the other one now");
    world.lease_and_report("a", completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    world.store.reset_job(world.time(), held[1].job()).await.expect("reset");
    assert_eq!(world.job(c).await.blocked_by, None);
    world.lease_and_report("b", completed("2")).await;
    assert_eq!(world.lease_named("c").await.arguments(), ["1", "2"]);
}

/// What was stuck and cancelled stays so, and does not keep the run from ending once the failed job was reset.
pub(crate) async fn a_reset_cancels_what_was_stuck_and_cannot_complete(mut world: World) {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    let b = script.call(&["b"], &[]);
    let c = script.call(&["c", "d"], &[Input::Node(a), Input::Node(b)]);
    script.call(&["e"], &[Input::Node(c)]);
    let run = world.submit(script).await;
    let held = world.lease(2).await;
    world.report_accepted(&held[0], failed("a")).await;
    world.store.cancel_job(world.time(), held[1].job()).await.expect("cancelled");
    assert_eq!(world.state(run).await, RunState::Failed);
    world.store.reset_run(world.time(), run).await.expect("reset");
    world.lease_and_report("a", completed("1")).await;
    for name in ["b", "c", "d", "e"] {
        let step = world.step(run, name).await;
        assert_eq!((step.cancelled, step.blocked), (1, 0), "{name}");
    }
    assert_eq!(world.state(run).await, RunState::Completed);
}

/// The same in rounds, each of which settles once.
pub(crate) async fn a_reset_cancels_in_every_round(mut world: World) {
    let mut script = Script::new();
    let a = Input::Node(script.call(&["a"], &[]));
    let b = Input::Node(script.call(&["b"], &[]));
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| {
        script.call(&["ok"], &[x]);
        let c = script.call(&["c"], &[a.clone(), b.clone()]);
        script.call(&["d"], &[Input::Node(c)]);
        script.call(&["e"], &[b, a]);
    });
    let run = world.submit(script).await;
    let held = world.lease(3).await;
    world.report_accepted(&held[2], list(20)).await;
    assert_eq!(world.run_all(|_| completed("1")).await, 20);
    world.report_accepted(&held[0], failed("a")).await;
    world.report_accepted(&held[1], Outcome::Cancelled).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    world.store.reset_run(world.time(), run).await.expect("reset");
    world.lease_and_report("a", completed("1")).await;
    for name in ["c", "d", "e"] {
        let step = world.step(run, name).await;
        assert_eq!((step.cancelled, step.blocked), (20, 0), "{name}");
    }
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn a_reset_or_cancellation_in_the_wrong_state_is_refused(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    let run = world.submit(script).await;
    let held = world.lease_and_report("a", completed("1")).await;
    let now = world.time();
    let store = world.store.clone();
    assert!(matches!(
        store.reset_job(now, held.job()).await,
        Err(HubError::JobNotFailed { state: JobState::Completed, .. })
    ));
    assert!(matches!(
        store.cancel_job(now, held.job()).await,
        Err(HubError::JobEnded { state: JobState::Completed, .. })
    ));
    assert!(matches!(store.reset_job(now, JobId(99)).await, Err(HubError::JobNotFound(JobId(99)))));
    assert!(matches!(store.cancel_job(now, JobId(u64::MAX)).await, Err(HubError::JobNotFound(_))));
    // a loop has an id too
    let other = world.submit(looped(&["a"])).await;
    let each = JobId(held.job().0 + 3);
    assert!(matches!(store.cancel_job(now, each).await, Err(HubError::JobNotFound(_))));
    assert!(matches!(store.reset_job(now, each).await, Err(HubError::JobNotFound(_))));
    assert_eq!(store.job(each).await.expect("an answer"), None);
    store.cancel_run(now, other).await.expect("cancelled");
    let unknown = RunId(Uuid::from_u128(99));
    assert!(matches!(store.reset_run(now, unknown).await, Err(HubError::RunNotFound(_))));
    assert!(matches!(store.cancel_run(now, unknown).await, Err(HubError::RunNotFound(_))));
    world.lease_and_report("b", failed("no")).await;
    store.cancel_run(now, run).await.expect("nothing to do");
    assert_eq!(world.state(run).await, RunState::Failed, "a run that has ended stays as it is");
}

/// Runs a script with loops, retries, a failed job, a gathered list and a rate to its end.
async fn ended_run(world: &mut World) -> RunId {
    let mut script = looped(&["a", "b"]);
    script.set("a", |settings| settings.retries = 1);
    let source = script.call(&["source"], &[]);
    let gathered = script.gather(source, &["c"]);
    script.call(&["sum"], &[gathered]);
    let run = world.submit(script).await;
    for _ in 0..2 {
        world
            .run_all(|held| match (held.name(), held.arguments().concat().as_str()) {
                ("source", _) => list(3),
                ("a", "c0[1]") => failed("no"),
                _ => completed("1"),
            })
            .await;
        world.now += 100_000_000;
    }
    assert_eq!(world.state(run).await, RunState::Failed);
    run
}

pub(crate) async fn a_deleted_run_leaves_nothing_and_other_runs_intact(mut world: World) {
    let (other, run) = (ended_run(&mut world).await, ended_run(&mut world).await);
    let (view, results) = (world.view(other).await, world.page(other).await);
    let mut jobs = Vec::new();
    for job in 1..100 {
        if world.store.job(JobId(job)).await.expect("a view").is_some_and(|view| view.run == run) {
            jobs.push(JobId(job));
        }
    }
    assert_eq!(jobs.len(), 12);
    world.store.delete_run(run).await.expect("deleted");
    assert!(world.store.run(run).await.expect("an answer").is_none());
    assert!(world.store.results(run, ResultCursor::default()).await.expect("an answer").is_none());
    for job in jobs {
        assert!(world.store.job(job).await.expect("an answer").is_none());
        assert!(matches!(world.store.reset_job(world.time(), job).await, Err(HubError::JobNotFound(_))));
    }
    assert!(matches!(world.store.delete_run(run).await, Err(HubError::RunNotFound(_))));
    assert_eq!((world.view(other).await, world.page(other).await), (view, results));
    assert_eq!(world.reap().await, []);
    // a later run has nothing of it, whatever its key in the store
    let later = ended_run(&mut world).await;
    assert_eq!(world.store.runs(10).await.expect("runs").iter().map(|run| run.id).collect::<Vec<_>>(), [later, other]);
    assert_eq!(world.results(later).await, world.results(other).await);
}

pub(crate) async fn ended_runs_are_those_that_ended_before_a_time(mut world: World) {
    let one_job = || {
        let mut script = Script::new();
        script.call(&["a"], &[]);
        script
    };
    let mut ended = Vec::new();
    for outcome in [completed("1"), failed("no"), Outcome::Cancelled] {
        ended.push(world.submit(one_job()).await);
        world.now += 1000;
        world.lease_and_report("a", outcome).await;
    }
    let open = world.submit(one_job()).await;
    let first = world.now - 2000;
    let before = async |world: &World, time: i64, limit: u32| {
        world.store.ended_runs(Timestamp(time), limit).await.expect("runs")
    };
    assert_eq!(before(&world, first, 9).await, []);
    assert_eq!(before(&world, first + 1, 9).await, ended[..1]);
    assert_eq!(before(&world, i64::MAX, 9).await, ended);
    assert_eq!(before(&world, i64::MAX, 2).await, ended[..2]);
    // one that was reset has not ended
    world.store.reset_run(world.time(), ended[1]).await.expect("reset");
    assert_eq!(before(&world, i64::MAX, 9).await, [ended[0], ended[2]]);
    let held = world.store.gc_roots().await.expect("roots");
    assert_eq!(sorted(held.runs), sorted([&ended[..], &[open]].concat()));
    world.store.delete_run(ended[0]).await.expect("deleted");
    let later = world.store.gc_roots().await.expect("roots");
    assert_eq!(sorted(later.runs), sorted(vec![ended[1], ended[2], open]));
    assert_eq!(later.database, held.database, "a database has one identity");
}

fn sorted(mut runs: Vec<RunId>) -> Vec<RunId> {
    runs.sort_unstable_by_key(|run| run.0);
    runs
}

pub(crate) async fn a_running_run_cannot_be_deleted(mut world: World) {
    let run = world.submit(looped(&["a"])).await;
    let held = world.lease_one().await;
    assert!(matches!(world.store.delete_run(run).await, Err(HubError::RunStillRunning(refused)) if refused == run));
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    world.store.delete_run(run).await.expect("deleted");
    assert_eq!(world.report(&held, list(3)).await, Verdict::LeaseLost);
    assert_eq!(world.heartbeat(&[&held]).await, [held.job()]);
}
