//! The attempts of a job, and what the attempts of a step used.

use bue_hub::FailedQuery;
use bue_model::attempt::{AttemptUsage, AttemptVerdict, AttemptView, StepUsage};
use bue_model::wire::{JobQuery, JobView, MAX_ATTEMPT_VIEWS, Report};
use bue_model::{JobId, JobState, Outcome, Timestamp};

use crate::script::Script;
use crate::world::{LeasedJob, PENDING, RESET, World, completed, failed};

/// Returns an attempt of the worker of every world.
fn attempt(started_at: i64, ended_at: i64, verdict: AttemptVerdict) -> AttemptView {
    AttemptView {
        started_at: Timestamp(started_at),
        ended_at: Some(Timestamp(ended_at)),
        worker: Some("w1".into()),
        verdict: Some(verdict),
        run_ms: Some(10),
        cpu_ms: None,
        peak_memory: None,
    }
}

async fn attempts(world: &World, job: JobId) -> Vec<AttemptView> {
    world.job(job).await.last_attempts
}

/// Leases the one job that is ready, reports its outcome a second later, and lets a minute pass.
async fn attempt_with(world: &mut World, outcome: Outcome) -> LeasedJob {
    let held = world.lease_one().await;
    world.now += 1_000;
    world.report_accepted(&held, outcome).await;
    world.now += 60_000;
    held
}

pub(crate) async fn every_attempt_tells_its_times_worker_and_verdict(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.set("a", |settings| settings.retries = 1);
    world.submit(script).await;
    let start = world.now;
    let job = attempt_with(&mut world, PENDING).await.job();
    let pending = attempt(start, start + 1_000, AttemptVerdict::Pending);
    let waiting = world.job(job).await;
    assert_eq!((waiting.started_at, waiting.run_ms), (Some(Timestamp(start)), Some(10)));
    assert_eq!(waiting.last_attempts, std::slice::from_ref(&pending));
    attempt_with(&mut world, failed("no")).await;
    let failure = attempt(start + 61_000, start + 62_000, AttemptVerdict::Failed);
    // a worker that dies reports nothing
    let held = world.lease_one().await;
    let running = world.job(job).await;
    let started_at = Timestamp(start + 122_000);
    assert_eq!((running.started_at, running.run_ms), (Some(started_at), None));
    let last = running.last_attempts.last().expect("the running one");
    assert_eq!((last.started_at, last.ended_at, last.verdict), (started_at, None, None));
    world.now += 60_000;
    assert_eq!(world.reap().await, [held.job()]);
    let lost = AttemptView { run_ms: None, ..attempt(start + 122_000, start + 182_000, AttemptVerdict::Lost) };
    attempt_with(&mut world, Outcome::Released { reason: "drained".into(), alone: false }).await;
    let released = attempt(start + 182_000, start + 183_000, AttemptVerdict::Released);
    attempt_with(&mut world, completed("1")).await;
    let done = attempt(start + 243_000, start + 244_000, AttemptVerdict::Completed);
    assert_eq!(attempts(&world, job).await, [pending, failure, lost, released, done]);
    let view = world.job(job).await;
    assert_eq!((view.state, view.started_at), (JobState::Completed, Some(Timestamp(start + 243_000))));
    assert_eq!(view.run_ms, Some(10));
}

pub(crate) async fn a_job_keeps_its_last_attempts(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.set("a", |settings| settings.pending_limit_ms = u64::MAX);
    world.submit(script).await;
    let mut job = None;
    for _ in 0..MAX_ATTEMPT_VIEWS + 5 {
        job = Some(attempt_with(&mut world, Outcome::Pending { delay_ms: Some(1), scope: None }).await.job());
    }
    let job = job.expect("a job");
    let kept = attempts(&world, job).await;
    assert_eq!(kept.len(), MAX_ATTEMPT_VIEWS);
    assert!(kept.is_sorted_by(|one, next| next.started_at.since_ms(one.started_at) == 61_000), "{kept:?}");
    attempt_with(&mut world, completed("1")).await;
    let all = attempts(&world, job).await;
    assert_eq!(all.len(), MAX_ATTEMPT_VIEWS);
    assert_eq!(all[..MAX_ATTEMPT_VIEWS - 1], kept[1..]);
}

pub(crate) async fn attempts_outlive_resets_and_cancellations(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    let run = world.submit(script).await;
    let start = world.now;
    let a = attempt_with(&mut world, completed("1")).await.job();
    let b = attempt_with(&mut world, RESET).await.job();
    let first = attempt(start, start + 1_000, AttemptVerdict::Completed);
    assert_eq!(attempts(&world, a).await, std::slice::from_ref(&first));
    assert_eq!(attempts(&world, b).await, [attempt(start + 61_000, start + 62_000, AttemptVerdict::Reset)]);
    let held = world.lease_named("a").await;
    world.now += 500;
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    let cancelled =
        AttemptView { run_ms: None, ..attempt(start + 122_000, start + 122_500, AttemptVerdict::Cancelled) };
    assert_eq!(attempts(&world, held.job()).await, [first.clone(), cancelled.clone()]);
    world.store.reset_run(world.time(), run).await.expect("a reset");
    assert_eq!(attempts(&world, a).await, [first.clone(), cancelled.clone()]);
    let last = attempt_with(&mut world, failed("no")).await;
    assert_eq!(last.job(), a);
    let failure = attempt(start + 122_500, start + 123_500, AttemptVerdict::Failed);
    assert_eq!(attempts(&world, a).await, [first, cancelled, failure]);
}

pub(crate) async fn a_job_without_an_attempt_tells_none(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    let run = world.submit(script).await;
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    let page = world.store.jobs(run, JobQuery { limit: 10, ..JobQuery::default() }).await.expect("a page");
    let jobs = page.expect("the run").jobs;
    assert_eq!(jobs.len(), 2);
    for job in jobs {
        let JobView { started_at, run_ms, last_attempts, .. } = world.job(job.id).await;
        assert_eq!((started_at, run_ms, last_attempts), (None, None, Vec::new()));
    }
}

pub(crate) async fn lists_tell_the_start_and_not_the_attempts(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let run = world.submit(script).await;
    let start = Timestamp(world.now);
    attempt_with(&mut world, failed("no")).await;
    let page = world.store.jobs(run, JobQuery { limit: 10, ..JobQuery::default() }).await.expect("a page");
    let listed = page.expect("the run").jobs.remove(0);
    let errors = world.store.failed_page(FailedQuery { limit: 10, ..FailedQuery::default() }).await.expect("a page");
    for job in [&listed, &errors.jobs[0].job] {
        assert_eq!((job.started_at, job.run_ms, job.last_attempts.len()), (Some(start), Some(10), 0));
    }
}

pub(crate) async fn a_step_tells_what_its_attempts_used(mut world: World) {
    let mut script = Script::new();
    for _ in 0..20 {
        script.call(&["a"], &[]);
    }
    let run = world.submit(script).await;
    assert_eq!(world.step(run, "a").await.usage, StepUsage::default());
    for (held, run_ms) in world.lease(20).await.into_iter().zip(1_u64..) {
        let (cpu_ms, peak_memory) = (Some(run_ms), (run_ms < 20).then_some(run_ms << 20));
        let usage = AttemptUsage { run_ms: run_ms * 100, cpu_ms, peak_memory };
        let (job, token, arguments) = (held.job(), held.lease.token, Vec::new());
        // one that only gives the job back says nothing about its step
        let outcome =
            if run_ms == 1 { Outcome::Released { reason: String::new(), alone: false } } else { completed("1") };
        world.send_report(Report { job, token, outcome, log: None, arguments, usage }).await;
    }
    let usage = world.step(run, "a").await.usage;
    assert_eq!((usage.attempts, usage.cpu_ms, usage.peak_memory), (19, (2..=20).sum(), Some(19 << 20)));
    let (p50, p95) = (usage.p50_ms.expect("half"), usage.p95_ms.expect("most"));
    assert!((734..=1_467).contains(&p50) && (1_267..=2_534).contains(&p95), "{p50} and {p95}");
    let again = world.lease_one().await;
    let view = world.job(again.job()).await;
    assert_eq!(view.last_attempts.len(), 2);
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    world.store.delete_run(run).await.expect("deleted");
}
