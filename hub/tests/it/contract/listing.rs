//! Lists of the jobs of a run, page by page, and of runs by the beginning of their ids.

use bue_model::wire::{JobPage, JobQuery, JobView};
use bue_model::{JobId, JobState, Outcome, RunId};
use bue_test_support::wait::wait_until_async;
use uuid::Uuid;

use crate::script::Script;
use crate::world::{LeasedJob, World, completed, failed, list};

/// `for x in source(): for y in a(x): b(y)`, and `tail()` after it.
fn nested() -> Script {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| {
        let inner = script.call(&["a"], &[x]);
        script.each(inner, |script, y| script.call(&["b"], &[y]))
    });
    script.call(&["tail"], &[]);
    script
}

async fn page(world: &World, run: RunId, query: JobQuery) -> JobPage {
    world.store.jobs(run, query).await.expect("a page").expect("the run")
}

/// Reads all pages; each but the last one says where the next one begins.
async fn all(world: &World, run: RunId, query: &JobQuery) -> Vec<JobView> {
    let (mut jobs, mut after) = (Vec::new(), None);
    loop {
        let page = page(world, run, JobQuery { after, ..query.clone() }).await;
        assert!(page.jobs.len() <= query.limit as usize);
        jobs.extend(page.jobs);
        assert!(page.next.is_none_or(|next| after.is_none_or(|after| next > after)), "the cursor advances");
        after = page.next;
        if after.is_none() {
            return jobs;
        }
    }
}

fn limit(limit: u32) -> JobQuery {
    JobQuery { limit, ..JobQuery::default() }
}

fn names(jobs: &[JobView]) -> Vec<(&str, JobState)> {
    jobs.iter().map(|job| (job.step.as_str(), job.state)).collect()
}

pub(crate) async fn jobs_are_listed_by_step_and_state(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["a", "b"], &[x]));
    let run = world.submit(script).await;
    world.lease_and_report("source", list(5)).await;
    let held = world.lease(4).await;
    world.report_accepted(&held[0], completed("1")).await;
    world.report_accepted(&held[1], failed("no")).await;
    world.report_accepted(&held[2], Outcome::Cancelled).await;
    let of_state = async |state| {
        let jobs = all(&world, run, &JobQuery { state: Some(state), ..limit(100) }).await;
        assert!(jobs.iter().all(|job| job.state == state && job.run == run));
        jobs.iter().map(|job| format!("{}{}", job.step, job.rounds.first().map_or(0, |round| round.round))).collect()
    };
    let expected: [(JobState, &[&str]); 6] = [
        (JobState::Blocked, &["b2", "b4", "b5"]),
        (JobState::Available, &["b1", "a5"]),
        (JobState::Running, &["a4"]),
        (JobState::Completed, &["source0", "a1"]),
        (JobState::Failed, &["a2"]),
        (JobState::Cancelled, &["a3", "b3"]),
    ];
    for (state, expected) in expected {
        let jobs: Vec<String> = of_state(state).await;
        assert_eq!(jobs, expected, "{state:?}");
    }
    let of_step = all(&world, run, &JobQuery { step: Some("b".into()), ..limit(100) }).await;
    assert_eq!(of_step.iter().map(|job| job.rounds[0].round).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let query = JobQuery { step: Some("b".into()), state: Some(JobState::Blocked), ..limit(100) };
    assert_eq!(all(&world, run, &query).await.len(), 3);
    let failed = all(&world, run, &JobQuery { state: Some(JobState::Failed), ..limit(1) }).await.remove(0);
    let alone = JobView { last_attempts: Vec::new(), ..world.job(failed.id).await };
    assert_eq!(alone, failed, "the same view as that of the job alone, apart from its attempts");
    let query = JobQuery { step: Some("b".into()), state: Some(JobState::Failed), ..limit(100) };
    assert_eq!(all(&world, run, &query).await, []);
}

pub(crate) async fn pages_join_to_the_whole_list(mut world: World) {
    let run = world.submit(nested()).await;
    let other = world.submit(nested()).await;
    world.run_all(|held| if matches!(held.name(), "source" | "a") { list(3) } else { completed("1") }).await;
    let whole = page(&world, run, limit(200)).await;
    assert_eq!(whole.next, None);
    assert_eq!(whole.jobs.len(), 1 + 3 + 9 + 1);
    assert!(whole.jobs.is_sorted_by_key(|job| job.id), "in the order of their numbers");
    for (size, state) in [(1, None), (2, None), (5, None), (14, None), (3, Some(JobState::Completed))] {
        let query = JobQuery { state, ..limit(size) };
        assert_eq!(all(&world, run, &query).await, whole.jobs, "{query:?}");
    }
    let inner = all(&world, run, &JobQuery { step: Some("b".into()), ..limit(4) }).await;
    let rounds = |job: &JobView| job.rounds.iter().map(|round| round.round).collect::<Vec<_>>();
    let mut numbers: Vec<_> = inner.iter().map(rounds).collect();
    numbers.sort();
    let expected: Vec<_> = (1..=3).flat_map(|outer| (1..=3).map(move |inner| vec![outer, inner])).collect();
    assert_eq!(numbers, expected);
    let others = all(&world, other, &limit(7)).await;
    assert_eq!(others.len(), 14);
    assert!(others.iter().all(|job| whole.jobs.iter().all(|ours| ours.id != job.id)));
}

/// What matches is far behind what does not: the request must not look at everything before it answers.
pub(crate) async fn a_page_that_finds_little_ends_early_and_is_continued(mut world: World) {
    const ROUNDS: u32 = 25_000;
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["a"], &[x]));
    let run = world.submit(script).await;
    world.lease_and_report("source", list(ROUNDS)).await;
    let is_full =
        async || world.store.run(run).await.expect("a view").expect("the run").steps[1].available >= ROUNDS.into();
    wait_until_async("all rounds are there", is_full).await;
    world.reverse = true;
    let last = world.lease(1).await.remove(0);
    world.report_accepted(&last, Outcome::Cancelled).await;
    let query = JobQuery { state: Some(JobState::Cancelled), ..limit(10) };
    let first = page(&world, run, query.clone()).await;
    assert_eq!(first.jobs, []);
    assert!(first.next.is_some());
    let jobs = all(&world, run, &query).await;
    assert_eq!(jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [last.job()]);
    // the few running ones are found at once
    let held = world.lease(2).await;
    let running = page(&world, run, JobQuery { state: Some(JobState::Running), ..limit(10) }).await;
    let mut ids: Vec<_> = held.iter().map(LeasedJob::job).collect();
    ids.sort();
    assert_eq!((running.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), running.next), (ids, None));
}

/// `for x in source(): a(x); for y in inner(x): b(y)`, with loops in the `finally` block too.
pub(crate) async fn jobs_are_listed_by_round(mut world: World) {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| {
        let inner = script.call(&["inner"], &[x]);
        script.each(inner, |script, y| script.call(&["b"], &[y]));
    });
    script.finally(|script, run| {
        let last = script.call(&["last"], &[run]);
        script.each(last, |script, z| script.call(&["z"], &[z]));
    });
    let run = world.submit(script).await;
    let answer = |held: &LeasedJob| match held.name() {
        "source" => list(3),
        "inner" => list(4),
        "last" => list(2),
        "b" if held.arguments()[0].ends_with("[3]") => failed("no"),
        _ => completed("1"),
    };
    world.run_all(answer).await;
    let of_round = async |rounds: &[u64], state| {
        let query = JobQuery { rounds: rounds.to_vec(), state, ..limit(2) };
        let jobs = all(&world, run, &query).await;
        assert!(jobs.is_sorted_by_key(|job| job.id));
        let name = |job: &JobView| {
            let rounds: Vec<_> = job.rounds.iter().map(|round| round.round.to_string()).collect();
            format!("{}{}", job.step, rounds.join("."))
        };
        let mut names: Vec<String> = jobs.iter().map(name).collect();
        names.sort();
        names
    };
    let failed = Some(JobState::Failed);
    for (rounds, state, expected) in [
        (&[2][..], None, &["b2.1", "b2.2", "b2.3", "b2.4", "inner2", "z2"][..]),
        (&[3], None, &["b3.1", "b3.2", "b3.3", "b3.4", "inner3"]),
        (&[1, 2], None, &["b1.2"]),
        (&[2], failed, &["b2.4"]),
        (&[2, 4], failed, &["b2.4"]),
        (&[2, 3], failed, &[]),
        (&[4], None, &[]),
        (&[1, 5], None, &[]),
        (&[1, 1, 1], None, &[]),
        (&[u64::MAX], None, &[]),
    ] {
        assert_eq!(of_round(rounds, state).await, expected, "{rounds:?} {state:?}");
    }
    let of_step = JobQuery { rounds: vec![3], step: Some("inner".into()), ..limit(9) };
    assert_eq!(all(&world, run, &of_step).await.len(), 1);
}

pub(crate) async fn too_many_loops_in_a_round_are_refused(mut world: World) {
    const ROUNDS: u32 = 2_001;
    let mut script = Script::new();
    let outer = script.call(&["outer"], &[]);
    script.each(outer, |script, x| {
        let middle = script.call(&["middle"], &[x]);
        script.each(middle, |script, y| {
            let inner = script.call(&["inner"], &[y]);
            script.each(inner, |script, z| script.call(&["z"], &[z]));
        });
    });
    let run = world.submit(script).await;
    world.lease_and_report("outer", list(1)).await;
    world.lease_and_report("middle", list(ROUNDS)).await;
    let mut inner = 0;
    while inner < ROUNDS {
        let held = world.lease(500).await;
        let (held, others): (Vec<_>, Vec<_>) = held.into_iter().partition(|held| held.name() == "inner");
        inner += u32::try_from(held.len()).expect("few");
        let outcomes = held.into_iter().map(|held| (held, list(1)));
        let others = others.into_iter().map(|held| (held, completed("1")));
        world.report_all_accepted(outcomes.chain(others).collect()).await;
    }
    let refused = world.store.jobs(run, JobQuery { rounds: vec![1], ..limit(9) }).await.expect_err("refused");
    assert!(refused.to_string().contains("name a round of one of them too, such as 1.1"), "{refused}");
    let jobs = all(&world, run, &JobQuery { rounds: vec![1, 1_700], ..limit(9) }).await;
    assert_eq!(names(&jobs).len(), 2);
}

pub(crate) async fn jobs_of_other_runs_are_not_listed(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let first = world.submit(script).await;
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let second = world.submit(script).await;
    assert_eq!(world.lease(2).await.len(), 2);
    for query in [limit(10), JobQuery { state: Some(JobState::Running), ..limit(10) }] {
        let (first, second) = (all(&world, first, &query).await, all(&world, second, &query).await);
        assert_eq!((names(&first), names(&second)), (vec![("a", JobState::Running)], vec![("a", JobState::Running)]));
        assert_ne!(first[0].id, second[0].id);
    }
}

pub(crate) async fn an_unknown_step_is_named_and_an_unknown_run_is_none(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    let run = world.submit(script).await;
    let unknown = world.store.jobs(run, JobQuery { step: Some("c".into()), ..limit(10) }).await;
    let message = unknown.expect_err("no such step").to_string();
    assert_eq!(message, "the run has no step `c`; its steps are `a`, `b`");
    let none = world.store.jobs(RunId(Uuid::from_u128(77)), limit(10)).await;
    assert_eq!(none.expect("an answer"), None);
    let behind = page(&world, run, JobQuery { after: Some(JobId(u64::MAX)), ..limit(10) }).await;
    assert_eq!((behind.jobs, behind.next), (Vec::new(), None));
}

pub(crate) async fn runs_are_found_by_a_range_of_ids(mut world: World) {
    let mut ids = Vec::new();
    for _ in 0..3 {
        let mut script = Script::new();
        script.call(&["a"], &[]);
        ids.push(world.submit(script).await);
    }
    let id = |number| RunId(Uuid::from_u128(number));
    let found = async |first, last, limit| {
        let runs = world.store.runs_in(id(first)..=id(last), limit).await.expect("runs");
        runs.iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(found(0, u128::MAX, 10).await, ids);
    assert_eq!(found(2, 2, 10).await, ids[1..2]);
    assert_eq!(found(2, u128::MAX, 1).await, ids[1..2]);
    assert_eq!(found(4, u128::MAX, 10).await, []);
}
