//! Leases expire, tokens grow, and stale reports change nothing.

use bue_hub::LEASE_MS;
use bue_model::attempt::AttemptUsage;
use bue_model::plan::Rate;
use bue_model::wire::{LeaseRequest, Report, Verdict};
use bue_model::{JobState, Outcome, RunState, Timestamp};

use crate::script::Script;
use crate::world::{LeasedJob, RESET, World, completed, failed};

const LEASE: i64 = LEASE_MS as i64;

fn one_step() -> Script {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script
}

fn released() -> Outcome {
    Outcome::Released { reason: "the sandbox host died".into(), alone: false }
}

pub(crate) async fn a_stale_token_changes_nothing(mut world: World) {
    let run = world.submit(one_step()).await;
    let old = world.lease_one().await;
    world.now += LEASE;
    world.reap().await;
    let new = world.lease_one().await;
    assert!(new.lease.token > old.lease.token);
    for outcome in [completed("old"), failed("old"), RESET, Outcome::Cancelled, released()] {
        let before = world.view(run).await;
        assert_eq!(world.report(&old, outcome).await, Verdict::LeaseLost);
        assert_eq!(world.view(run).await, before);
    }
    world.report_accepted(&new, completed("new")).await;
    assert_eq!(world.report(&old, completed("old")).await, Verdict::LeaseLost);
    assert_eq!(world.results(run).await, "new");
    // a token of no lease, and a job that does not exist
    let forged = Report {
        job: bue_model::JobId(u64::MAX),
        token: bue_model::Token::unsealed(u64::MAX),
        outcome: completed("forged"),
        log: None,
        arguments: Vec::new(),
        usage: AttemptUsage::of_ms(0),
    };
    assert_eq!(world.send_report(forged).await, Verdict::LeaseLost);
}

pub(crate) async fn a_report_that_comes_twice_counts_once(mut world: World) {
    for outcome in [completed("1"), failed("1"), Outcome::Pending { delay_ms: Some(7), scope: None }, released()] {
        let mut script = Script::new();
        script.call(&["a", "b"], &[]);
        script.set("a", |settings| settings.retries = 3);
        let run = world.submit(script).await;
        let held = world.lease_one().await;
        world.report_accepted(&held, outcome.clone()).await;
        let before = world.view(run).await;
        world.report_accepted(&held, outcome).await;
        assert_eq!(world.view(run).await, before);
        world.store.cancel_run(world.time(), run).await.expect("cancelled");
    }
}

pub(crate) async fn a_reaped_lease_changes_nothing(mut world: World) {
    let run = world.submit(one_step()).await;
    let held = world.lease_one().await;
    world.now += LEASE - 1;
    assert_eq!(world.reap().await, []);
    world.now += 1;
    assert_eq!(world.reap().await, [held.job()]);
    assert_eq!(world.report(&held, completed("late")).await, Verdict::LeaseLost);
    assert_eq!(world.job(held.job()).await.state, JobState::Available);
    let again = world.lease_one().await;
    assert_eq!((again.job(), again.lease.attempt), (held.job(), 1), "an expired lease is no attempt");
    world.report_accepted(&again, completed("1")).await;
    assert_eq!(world.results(run).await, "1");
}

pub(crate) async fn a_heartbeat_keeps_a_lease(mut world: World) {
    world.submit(one_step()).await;
    let held = world.lease_one().await;
    for _ in 0..10 {
        world.now += LEASE - 1;
        assert_eq!(world.heartbeat(&[&held]).await, []);
        world.now += 1;
        assert_eq!(world.reap().await, []);
    }
    world.now += LEASE;
    assert_eq!(world.reap().await, [held.job()]);
}

pub(crate) async fn a_heartbeat_returns_the_jobs_that_are_lost(mut world: World) {
    let mut script = Script::new();
    for name in ["kept", "cancelled", "reaped", "done"] {
        script.call(&[name], &[]);
    }
    world.submit(script).await;
    let held = world.lease(10).await;
    let [kept, cancelled, reaped, done] = held.as_slice() else { panic!("four jobs") };
    world.store.cancel_job(world.time(), cancelled.job()).await.expect("cancelled");
    world.report_accepted(done, completed("1")).await;
    world.now += LEASE - 1;
    assert_eq!(world.heartbeat(&[kept]).await, []);
    world.now += 1;
    assert_eq!(world.reap().await, [reaped.job()]);
    let everything: Vec<&LeasedJob> = held.iter().collect();
    assert_eq!(world.heartbeat(&everything).await, [cancelled.job(), reaped.job(), done.job()]);
}

pub(crate) async fn a_released_job_is_ready_at_once(mut world: World) {
    let run = world.submit(one_step()).await;
    let held = world.lease_one().await;
    world.report_accepted(&held, released()).await;
    let again = world.lease_one().await;
    assert_eq!(again.lease.attempt, 1);
    world.report_accepted(&again, completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn a_job_that_is_released_five_times_fails(mut world: World) {
    let run = world.submit(one_step()).await;
    for _ in 0..bue_hub::MAX_RELEASES {
        assert_eq!(world.state(run).await, RunState::Running);
        world.lease_and_report("a", released()).await;
    }
    assert_eq!(world.state(run).await, RunState::Failed);
    let page = world.page(run).await;
    assert!(page.failed[0].failure.message.contains("the sandbox host died"), "{:?}", page.failed);
    assert_eq!(page.failed[0].worker.as_deref(), Some("w1"));
}

pub(crate) async fn five_expired_leases_fail_a_job(mut world: World) {
    let run = world.submit(one_step()).await;
    for _ in 0..bue_hub::MAX_RELEASES {
        world.lease_one().await;
        world.now += LEASE;
        world.reap().await;
    }
    assert_eq!(world.state(run).await, RunState::Failed);
    assert!(world.page(run).await.failed[0].failure.message.contains("w1"));
}

/// It is never leased alone, so all its releases count.
pub(crate) async fn five_expired_leases_fail_a_job_under_a_rate(mut world: World) {
    let mut script = one_step();
    script.set("a", |settings| settings.rate = Some(Rate { count: 100, per_ms: 1_000, by: None }));
    let run = world.submit(script).await;
    for _ in 0..bue_hub::MAX_RELEASES {
        world.lease_one().await;
        world.now += LEASE;
        world.reap().await;
    }
    assert_eq!(world.state(run).await, RunState::Failed);
}

/// Two jobs, of which each worker that holds the first one dies.
fn killer_and_innocent() -> Script {
    let mut script = Script::new();
    script.call(&["killer"], &[]);
    script.call(&["innocent"], &[]);
    script
}

pub(crate) async fn the_neighbour_of_a_job_that_kills_its_workers_completes(mut world: World) {
    let run = world.submit(killer_and_innocent()).await;
    let mut deaths = 0;
    while world.state(run).await == RunState::Running {
        let held = world.lease(10).await;
        assert!(!held.is_empty(), "a worker that starts again gets a job at once");
        if held.iter().any(|held| held.name() == "killer") {
            deaths += 1;
            world.now += LEASE;
            world.reap().await;
        } else {
            world.report_accepted(&held[0], completed("1")).await;
        }
    }
    assert_eq!(deaths, bue_hub::MAX_RELEASES);
    assert_eq!(world.step(run, "innocent").await.completed, 1);
    let page = world.page(run).await;
    assert_eq!(page.failed.iter().map(|failed| failed.step.as_str()).collect::<Vec<_>>(), ["killer"]);
}

pub(crate) async fn a_host_that_dies_with_several_steps_fails_none_of_them(mut world: World) {
    let run = world.submit(killer_and_innocent()).await;
    for _ in 0..2 * bue_hub::MAX_RELEASES {
        // a worker that always holds something else, so that nothing is ever alone there
        world.submit(one_step()).await;
        for held in world.lease(10).await.iter().filter(|held| held.name() != "a") {
            world.report_accepted(held, released()).await;
        }
        world.now += bue_hub::ISOLATION_MS as i64;
    }
    assert_eq!(world.state(run).await, RunState::Running);
    let alone = Outcome::Released { reason: "the sandbox host died".into(), alone: true };
    for _ in bue_hub::SUSPECT_RELEASES..bue_hub::MAX_RELEASES {
        for held in world.lease(10).await.iter().filter(|held| held.name() == "killer") {
            world.report_accepted(held, alone.clone()).await;
        }
        world.now += bue_hub::ISOLATION_MS as i64;
    }
    let page = world.page(run).await;
    assert_eq!(page.failed.iter().map(|failed| failed.step.as_str()).collect::<Vec<_>>(), ["killer"]);
}

fn second_worker(world: &World) -> LeaseRequest {
    LeaseRequest { worker: "w2".into(), ..world.request(1) }
}

pub(crate) async fn a_suspect_is_leased_alone(mut world: World) {
    world.submit(one_step()).await;
    for _ in 0..bue_hub::SUSPECT_RELEASES {
        world.lease_and_report("a", released()).await;
    }
    let mut other = Script::new();
    other.call(&["other"], &[]);
    other.call(&["third"], &[]);
    other.set("other", |settings| settings.priority = 1);
    world.submit(other).await;
    // before all others, whatever their priority, and without company
    let suspect = world.lease_named("a").await;
    world.expect_nothing_ready().await;
    // other workers get what is ready
    let leased = world.store.lease(world.time(), second_worker(&world)).await.expect("leases");
    assert_eq!(leased.batch.steps[0].name, "other");
    world.report_accepted(&suspect, released()).await;
    // the second worker holds a job, so it gets others and not the suspect
    let leased = world.store.lease(world.time(), second_worker(&world)).await.expect("leases");
    assert_eq!(leased.batch.steps[0].name, "third");
    let leased = world.store.lease(world.time(), second_worker(&world)).await.expect("leases");
    assert!(leased.batch.leases.is_empty());
    let in_company = world.now + bue_hub::ISOLATION_MS as i64;
    assert_eq!(leased.next_at, Some(Timestamp(in_company)));
    world.now = in_company;
    let leased = world.store.lease(world.time(), second_worker(&world)).await.expect("leases");
    assert_eq!(leased.batch.steps[0].name, "a");
}

pub(crate) async fn tokens_grow_across_a_reset(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    world.submit(script).await;
    let mut last = bue_model::Token::unsealed(0);
    let mut stale = Vec::new();
    for _ in 0..3 {
        let a = world.lease_and_report("a", completed("1")).await;
        assert!(a.lease.token > last);
        last = a.lease.token;
        stale.push(a);
        world.lease_and_report("b", RESET).await;
    }
    let a = world.lease_named("a").await;
    for old in &stale[..2] {
        assert_eq!(world.report(old, completed("old")).await, Verdict::LeaseLost);
    }
    world.report_accepted(&a, completed("new")).await;
    assert_eq!(world.lease_named("b").await.arguments(), ["new"]);
}
