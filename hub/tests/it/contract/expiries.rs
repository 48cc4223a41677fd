//! `!expires`.

use bue_model::plan::Rate;
use bue_model::{Input, JobId, JobState, Outcome, RateKey, RunState};

use crate::script::Script;
use crate::world::{PENDING, World, completed, failed, list};

/// How long the jobs of these tests may wait, in milliseconds.
const LIMIT: u64 = 10_000;

/// `a()`, which expires, and `b` after it, which does not.
fn expiring() -> Script {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    script.set("a", |settings| settings.expires_ms = Some(LIMIT));
    script
}

async fn expect_expired(world: &World, job: JobId) {
    let view = world.job(job).await;
    assert_eq!((view.state, view.attempts), (JobState::Failed, 0), "job {job}");
    let message = view.failure.expect("a failure").message;
    assert!(message.contains("had not started 10 s after its run was created"), "{message}");
}

pub(crate) async fn a_job_expires_although_no_worker_asks(mut world: World) {
    let run = world.submit(expiring()).await;
    world.now += 9_999;
    let at = world.now + 1;
    assert_eq!(world.expire().await, (vec![], Some(at)));
    world.now = at;
    let (jobs, next_at) = world.expire().await;
    assert_eq!((jobs.len(), next_at), (1, None));
    expect_expired(&world, jobs[0]).await;
    assert_eq!(world.job(JobId(jobs[0].0 + 1)).await.blocked_by, Some(jobs[0]));
    assert_eq!(world.state(run).await, RunState::Failed);
    let step = world.step(run, "a").await;
    assert_eq!((step.attempts, step.available, step.failed), (0, 0, 1));
    assert_eq!(world.expire().await, (vec![], None));
    world.expect_nothing_ready().await;
}

pub(crate) async fn an_expired_job_is_not_leased(mut world: World) {
    let mut script = expiring();
    script.call(&["free"], &[]);
    let run = world.submit(script).await;
    world.now += LIMIT as i64;
    let answer = world.store.lease(world.time(), world.request(1)).await.expect("an answer");
    assert_eq!((answer.batch.leases.len(), answer.next_at), (0, Some(world.time())), "to come back at once");
    let page = world.page(run).await;
    assert_eq!(page.failed.iter().map(|job| job.step.as_str()).collect::<Vec<_>>(), ["a"]);
    expect_expired(&world, page.failed[0].job).await;
    world.lease_and_report("free", completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Failed);
}

pub(crate) async fn a_job_that_has_started_does_not_expire(mut world: World) {
    let released = Outcome::Released { reason: "gone".into(), alone: false };
    for outcome in [PENDING, failed("no"), released, Outcome::Reset { delay_ms: None }] {
        let mut script = expiring();
        script.set("a", |settings| settings.retries = 1);
        let run = world.submit(script).await;
        world.now += 9_999;
        world.lease_and_report("a", outcome).await;
        world.now += LIMIT as i64;
        assert_eq!(world.expire().await, (vec![], None));
        world.lease_and_report("a", completed("1")).await;
        world.lease_and_report("b", completed("1")).await;
        assert_eq!(world.state(run).await, RunState::Completed);
    }
}

pub(crate) async fn a_job_whose_worker_died_does_not_expire(mut world: World) {
    world.submit(expiring()).await;
    let held = world.lease_named("a").await;
    world.now += 60_000;
    assert_eq!(world.expire().await, (vec![], None));
    assert_eq!(world.reap().await, [held.job()]);
    assert_eq!(world.expire().await, (vec![], None));
    world.lease_and_report("a", completed("1")).await;
}

pub(crate) async fn asking_for_a_key_does_not_start_a_job(mut world: World) {
    let mut script = expiring();
    let rate = Rate { count: 1, per_ms: 1_000, by: Some("host".into()) };
    script.set("a", |settings| settings.rate = Some(rate));
    world.submit(script).await;
    let held = world.lease_and_report("a", Outcome::Keyed { key: RateKey([1; 16]) }).await;
    world.now += LIMIT as i64;
    assert_eq!(world.expire().await, (vec![held.job()], None));
    expect_expired(&world, held.job()).await;
}

pub(crate) async fn a_blocked_job_expires_when_its_parents_have_completed(mut world: World) {
    let mut script = Script::new();
    script.call(&["slow", "late", "last"], &[]);
    script.set("late", |settings| settings.expires_ms = Some(LIMIT));
    let run = world.submit(script).await;
    let slow = world.lease_named("slow").await;
    world.now += LIMIT as i64;
    assert_eq!(world.expire().await, (vec![], None));
    world.heartbeat(&[&slow]).await;
    world.report_accepted(&slow, completed("1")).await;
    expect_expired(&world, JobId(slow.job().0 + 1)).await;
    assert_eq!(world.state(run).await, RunState::Failed);
    let step = world.step(run, "late").await;
    assert_eq!((step.blocked, step.available, step.failed), (0, 0, 1));
}

pub(crate) async fn after_a_reset_the_time_counts_from_the_reset(mut world: World) {
    let mut script = Script::new();
    let a = script.call(&["a"], &[]);
    script.each(a, |script, x| script.call(&["round"], &[x]));
    script.call(&["b"], &[Input::Node(a)]);
    for step in ["a", "b", "round"] {
        script.set(step, |settings| settings.expires_ms = Some(LIMIT));
    }
    let run = world.submit(script).await;
    world.now += LIMIT as i64;
    assert_eq!(world.expire().await.0.len(), 1);
    world.now += 1_000_000;
    assert_eq!(world.store.reset_run(world.time(), run).await.expect("a reset").jobs, 1);
    let at = world.now + LIMIT as i64;
    assert_eq!(world.expire().await, (vec![], Some(at)));
    world.now = at - 1;
    world.lease_and_report("a", list(2)).await;
    assert_eq!(world.expire().await, (vec![], Some(at)), "a dependant, and rounds that did not exist before");
    assert_eq!(world.run_all(|_| completed("1")).await, 3);
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn rounds_that_are_made_too_late_fail(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["round", "after"], &[x]));
    script.set("round", |settings| settings.expires_ms = Some(LIMIT));
    let run = world.submit(script).await;
    world.now += LIMIT as i64;
    world.lease_and_report("source", list(1_200)).await;
    assert_eq!(world.expire().await.0.len(), 1_000, "a transaction has its limit");
    while world.expire().await.1.is_some() {}
    assert_eq!(world.state(run).await, RunState::Failed);
    let step = world.step(run, "round").await;
    assert_eq!((step.attempts, step.failed), (0, 1_200));
}

pub(crate) async fn why_tells_when_a_job_expires(mut world: World) {
    let at = world.now + LIMIT as i64;
    world.submit(expiring()).await;
    let held = world.lease(0).await;
    assert!(held.is_empty());
    let held = world.lease_named("a").await;
    let why = world.store.why(held.job()).await.expect("an answer").expect("the job");
    assert_eq!(why.expires_at, None, "it has started");
    world.submit(expiring()).await;
    let why = world.store.why(JobId(held.job().0 + 2)).await.expect("an answer").expect("the job");
    assert_eq!((why.job.step.as_str(), why.expires_at.map(|at| at.0)), ("a", Some(at)));
}
