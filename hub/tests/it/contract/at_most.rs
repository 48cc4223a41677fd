//! `!at_most`.

use bue_model::plan::{AtMost, Rate};
use bue_model::wire::AtMostView;
use bue_model::{JobId, Outcome, RateKey, RunState};

use tokio::sync::broadcast::error::TryRecvError;

use crate::script::Script;
use crate::world::{LeasedJob, PENDING, World, completed, failed};

/// This many calls of `limited`, of which two may run at once, for each value of a field if it has one.
fn two_at_once(calls: usize, by: Option<&str>) -> Script {
    let mut script = Script::new();
    for _ in 0..calls {
        script.call(&["limited"], &[]);
    }
    let at_most = AtMost { count: 2, by: by.map(str::to_owned) };
    script.set("limited", |settings| {
        settings.at_most = Some(at_most);
        settings.retries = 9;
    });
    script
}

fn keyed(key: u8) -> Outcome {
    Outcome::Keyed { key: RateKey([key; 16]) }
}

fn jobs(held: &[LeasedJob]) -> Vec<JobId> {
    held.iter().map(LeasedJob::job).collect()
}

pub(crate) async fn no_more_jobs_run_at_once_than_a_limit_allows(mut world: World) {
    let mut script = two_at_once(5, None);
    script.call(&["free"], &[]);
    let run = world.submit(script).await;
    let mut held = world.lease(100).await;
    assert_eq!(held.iter().map(LeasedJob::name).collect::<Vec<_>>(), ["limited", "limited", "free"]);
    let mut started = held.len();
    while let Some(ended) = held.pop() {
        world.expect_nothing_ready().await;
        world.report_accepted(&ended, completed("1")).await;
        let next = world.lease(1).await;
        started += next.len();
        held.extend(next);
        let step = world.step(run, "limited").await;
        assert!(step.running <= 2, "{step:?}");
    }
    assert_eq!((started, world.state(run).await), (6, RunState::Completed));
}

pub(crate) async fn every_end_of_a_lease_makes_room(mut world: World) {
    let released = Outcome::Released { reason: "gone".into(), alone: false };
    let outcomes =
        [PENDING, failed("no"), released, Outcome::Reset { delay_ms: None }, Outcome::Cancelled, completed("1")];
    for outcome in outcomes {
        let run = world.submit(two_at_once(3, None)).await;
        let held = world.lease(5).await;
        assert_eq!(held.len(), 2, "{outcome:?}");
        let mut work = world.store.notifications().subscribe_work();
        world.report_accepted(&held[0], outcome.clone()).await;
        let is_woken = !matches!(work.try_recv(), Err(TryRecvError::Empty));
        assert!(is_woken, "a worker that waits is woken after {outcome:?}");
        let next = world.lease(5).await;
        assert_eq!(next.len(), 1, "{outcome:?}");
        world.store.cancel_run(world.time(), run).await.expect("cancelled");
    }
}

pub(crate) async fn a_dead_worker_makes_room_when_its_leases_end(mut world: World) {
    world.submit(two_at_once(3, None)).await;
    let held = world.lease(5).await;
    world.expect_nothing_ready().await;
    world.now += 60_000;
    world.expect_nothing_ready().await;
    assert_eq!(world.reap().await, jobs(&held));
    assert_eq!(world.lease(5).await.len(), 2);
}

pub(crate) async fn a_limit_by_key_counts_each_key_apart(mut world: World) {
    let run = world.submit(two_at_once(7, Some("host"))).await;
    let asked = world.lease(100).await;
    assert!(asked.len() == 7 && asked.iter().all(|held| held.lease.count_by.as_deref() == Some("host")));
    for (held, key) in asked.iter().zip([1, 1, 1, 2, 1, 1, 2]) {
        world.report_accepted(held, keyed(key)).await;
    }
    let mut held = world.lease(100).await;
    let of = |positions: &[usize]| positions.iter().map(|at| asked[*at].job()).collect::<Vec<_>>();
    assert_eq!(jobs(&held), of(&[0, 1, 3, 6]));
    for (ended, started) in [(3, vec![]), (0, vec![2]), (1, vec![4])] {
        world.report_accepted(&held[ended], completed("1")).await;
        let next = world.lease(100).await;
        assert_eq!(jobs(&next), of(&started));
        held.extend(next);
    }
    for held in [&held[2], &held[4], &held[5]] {
        world.report_accepted(held, completed("1")).await;
    }
    world.lease_and_report("limited", completed("1")).await;
    assert_eq!(world.state(run).await, RunState::Completed);
}

pub(crate) async fn a_key_that_is_new_at_the_same_time_has_its_own_limit(mut world: World) {
    world.submit(two_at_once(6, Some("host"))).await;
    let asked = world.lease(100).await;
    // in one transaction, before any job counts under a key
    let keys = asked.into_iter().zip([1, 2, 1, 2, 1, 2]).map(|(held, key)| (held, keyed(key)));
    world.report_all_accepted(keys.collect()).await;
    assert_eq!(world.lease(100).await.len(), 4);
}

pub(crate) async fn a_rate_and_a_limit_both_hold(mut world: World) {
    let mut script = two_at_once(6, None);
    let rate = Rate { count: 3, per_ms: 1_000, by: None };
    script.set("limited", |settings| settings.rate = Some(rate));
    world.submit(script).await;
    let held = world.lease(9).await;
    assert_eq!(held.len(), 2, "the limit");
    for held in &held {
        world.report_accepted(held, completed("1")).await;
    }
    assert_eq!(world.lease(9).await.len(), 1, "the rate");
    world.now += 1_000;
    assert_eq!(world.lease(9).await.len(), 1, "the limit again");
}

pub(crate) async fn why_names_the_limit(mut world: World) {
    world.submit(two_at_once(3, None)).await;
    let held = world.lease(9).await;
    let waiting = JobId(held[1].job().0 + 1);
    let why = world.store.why(waiting).await.expect("an answer").expect("the job");
    assert_eq!(why.at_most, Some(AtMostView { running: 2, limit: 2 }));
    world.report_accepted(&held[0], completed("1")).await;
    let why = world.store.why(waiting).await.expect("an answer").expect("the job");
    assert_eq!(why.at_most, Some(AtMostView { running: 1, limit: 2 }));
}

pub(crate) async fn many_keys_whose_jobs_run_do_not_hide_a_free_one(mut world: World) {
    const KEYS: usize = 1_100;
    let mut script = two_at_once(2 * KEYS + 1, Some("host"));
    script.set("limited", |settings| settings.at_most = Some(AtMost { count: 1, by: Some("host".into()) }));
    world.submit(script).await;
    let asked = world.lease(4_000).await;
    let key = |at: usize| {
        let mut key = [0; 16];
        key[..8].copy_from_slice(&((at % KEYS) as u64 + 1).to_le_bytes());
        if at == 2 * KEYS { [255; 16] } else { key }
    };
    let keyed = asked.into_iter().enumerate().map(|(at, held)| (held, Outcome::Keyed { key: RateKey(key(at)) }));
    world.report_all_accepted(keyed.collect()).await;
    // each request looks at a limited number of rows
    let (mut held, mut leased) = (0, usize::MAX);
    while leased > 0 {
        leased = world.lease(4_000).await.len();
        held += leased;
    }
    assert_eq!(held, KEYS + 1);
}
