//! What users see of runs and jobs.

use std::collections::BTreeMap;

use bue_hub::{HubError, LEASE_MS, Tally};
use bue_model::attempt::AttemptUsage;
use bue_model::job::INLINE_LIMIT;
use bue_model::plan::Rate;
use bue_model::wire::{JobCounts, Report, ResultCursor, RoundValue, Submission, Verdict};
use bue_model::{ArgumentSummary, Input, JobId, JobState, Outcome, Round, RunId, RunState};
use uuid::Uuid;

use super::users::looped;
use crate::script::{Script, submission};
use crate::world::{World, completed, failed, list, text_of, value};

pub(crate) async fn a_view_counts_the_jobs_of_each_step(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    script.call(&["a", "b"], &[]);
    script.set("a", |settings| settings.retries = 1);
    let run = world.submit(script).await;
    let view = world.view(run).await;
    assert_eq!((view.name.as_str(), view.created_at), ("test.bue", world.time()));
    assert_eq!((view.steps[0].available, view.steps[1].blocked), (2, 2));
    let held = world.lease(2).await;
    assert_eq!(world.step(run, "a").await.running, 2);
    world.report_accepted(&held[0], completed("1")).await;
    world.report_accepted(&held[1], failed("1")).await;
    let a = world.step(run, "a").await;
    assert_eq!((a.completed, a.available, a.running, a.attempts, a.retries, a.run_ms), (1, 1, 0, 2, 1, 20));
    world.lease_and_report("b", Outcome::Pending { delay_ms: Some(1), scope: None }).await;
    assert_eq!(world.step(run, "b").await.pendings, 1);
}

pub(crate) async fn every_change_makes_a_larger_version(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    let run = world.submit(script).await;
    let mut versions = vec![world.view(run).await.version];
    let held = world.lease_one().await;
    versions.push(world.view(run).await.version);
    world.heartbeat(&[&held]).await;
    assert_eq!(world.view(run).await.version, versions[1], "a heartbeat changes nothing");
    world.report_accepted(&held, completed("1")).await;
    versions.push(world.view(run).await.version);
    world.store.cancel_run(world.time(), run).await.expect("cancelled");
    versions.push(world.view(run).await.version);
    assert!(versions.is_sorted_by(|a, b| a < b), "{versions:?}");
}

pub(crate) async fn runs_are_listed_newest_first(mut world: World) {
    let mut runs = Vec::new();
    for _ in 0..5 {
        world.now += 1;
        runs.push(world.submit(Script::new()).await);
    }
    runs.reverse();
    let listed: Vec<RunId> = world.store.runs(3).await.expect("runs").into_iter().map(|run| run.id).collect();
    assert_eq!(listed, runs[..3]);
}

pub(crate) async fn a_long_name_is_cut_between_two_characters(world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    // two bytes each, behind one: a cut after 1,024 bytes would be within a character
    let name = format!("x{}", "é".repeat(1_000_000));
    let submission = Submission { name, ..submission(1, script.plan()) };
    let run = world.store.submit(world.time(), submission).await.expect("a run");
    assert_eq!(world.view(run).await.name, format!("x{}", "é".repeat(511)));
}

pub(crate) async fn a_list_of_runs_is_short_whatever_their_plans(mut world: World) {
    let mut script = Script::new();
    let names: Vec<String> = (0..1_100).map(|number| format!("{number:04}{}", "x".repeat(900))).collect();
    for name in &names {
        script.call(&[name], &[]);
    }
    let run = world.submit(script).await;
    let held = world.lease_one_of(2).await;
    world.report_accepted(&held, completed("1")).await;
    let counts = JobCounts { available: 1_098, running: 1, completed: 1, ..JobCounts::default() };
    for _ in 0..2 {
        let list = world.store.runs(100).await.expect("runs");
        assert_eq!((list[0].id, list[0].counts, list[0].step_count), (run, counts, 1_100));
        assert!(list[0].steps.is_empty() && list[0].unserved.is_empty(), "one of the scope's jobs runs");
        assert!(serde_json::to_string(&list).expect("JSON").len() < 1_000);
    }
    let view = world.view(run).await;
    assert_eq!((view.counts, view.step_count), (counts, 1_100));
    let shown: Vec<&str> = view.steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(shown, names[..1_000]);
    world.now += LEASE_MS as i64;
    world.reap().await;
    let list = world.store.runs_in(run..=run, 1).await.expect("runs");
    assert_eq!((list[0].counts.running, list[0].unserved[0].jobs), (0, 1_099));
    assert!(serde_json::to_string(&list).expect("JSON").len() < 5_000);
}

pub(crate) async fn the_log_of_the_last_attempt_is_kept(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.set("a", |settings| settings.retries = 1);
    let run = world.submit(script).await;
    let mut job = JobId(0);
    for (outcome, log) in [(failed("no"), "first\n"), (failed("no"), "second\n")] {
        let held = world.lease_one().await;
        job = held.job();
        let log = Some(value(log));
        world
            .send_report(Report {
                job,
                token: held.lease.token,
                outcome,
                log,
                arguments: Vec::new(),
                usage: AttemptUsage::of_ms(1),
            })
            .await;
        world.now += 2_000;
    }
    let log = world.store.log(job).await.expect("an answer").expect("the job").expect("a log");
    assert_eq!(text_of(&log), "second\n");
    assert_eq!(world.page(run).await.failed[0].log, Some(log));
    // one that is too long to be inline is replaced by a note
    world.store.reset_run(world.time(), run).await.expect("reset");
    let held = world.lease_one().await;
    let log = Some(value(&"x".repeat(INLINE_LIMIT + 1)));
    let report = Report {
        job,
        token: held.lease.token,
        outcome: completed("1"),
        log,
        arguments: Vec::new(),
        usage: AttemptUsage::of_ms(1),
    };
    assert_eq!(world.send_report(report).await, Verdict::Accepted);
    let log = world.store.log(job).await.expect("an answer").expect("the job").expect("a log");
    assert!(text_of(&log).contains("too long"));
}

pub(crate) async fn results_come_in_pages(mut world: World) {
    let mut script = looped(&["a"]);
    script.call(&["end"], &[]);
    let run = world.submit(script).await;
    let long = "x".repeat(60_000);
    let mut number = 0;
    world
        .run_all(|held| match held.name() {
            "source" => list(300),
            "end" => completed("end"),
            _ => {
                number += 1;
                completed(&format!("{long}{}", held.arguments()[0]))
            }
        })
        .await;
    let (mut cursor, mut pages, mut rounds, mut others) = (ResultCursor::default(), 0, Vec::new(), Vec::new());
    loop {
        let page = world.store.results(run, cursor).await.expect("a page").expect("the run");
        pages += 1;
        let mut bytes = 0;
        for result in page.results {
            match result.value {
                RoundValue::Rounds(more) => {
                    bytes += more.len() * 60_000;
                    rounds.extend(more.iter().map(crate::world::round_text));
                }
                other => others.push(crate::world::round_text(&other)),
            }
        }
        assert!(bytes < 5_000_000);
        match page.next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    assert!(pages > 3);
    assert_eq!((others, number), (vec!["list of 300".to_owned(), "end".to_owned()], 300));
    let expected = (0..300).map(|at| format!("{long}c{}[{}]", at / 10, at % 10));
    assert!(rounds.iter().eq(expected.collect::<Vec<_>>().iter()));
}

pub(crate) async fn a_call_without_a_value_says_why(mut world: World) {
    let mut script = Script::new();
    let fails = script.call(&["first", "fails", "third"], &[]);
    script.call(&["after"], &[Input::Node(fails)]);
    let over = script.call(&["list_after"], &[Input::Node(fails)]);
    script.each(over, |script, x| script.call(&["never"], &[x]));
    let cancels = script.call(&["cancels", "second"], &[]);
    script.call(&["cancelled_too"], &[Input::Node(cancels)]);
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| {
        let inner = script.call(&["inner", "last"], &[x]);
        script.call(&["after_inner"], &[Input::Node(inner)])
    });
    let empty = script.call(&["empty"], &[]);
    script.each(empty, |script, x| script.call(&["no_round"], &[x]));
    let run = world.submit(script).await;
    assert_eq!(world.missing(run).await, ["running"; 11].join(" "));
    world
        .run_all(|held| match (held.name(), held.arguments().first().map(String::as_str)) {
            ("fails", _) | ("inner", Some("c0[0]")) => failed("no"),
            ("cancels", _) | ("inner", Some("c0[1]")) => Outcome::Cancelled,
            ("source", _) => list(3),
            ("empty", _) => list(0),
            _ => completed("1"),
        })
        .await;
    assert_eq!(world.state(run).await, RunState::Failed);
    let expected = "failed skipped skipped skipped cancelled cancelled value \
                    [failed cancelled value] [skipped cancelled value] value []";
    assert_eq!(world.missing(run).await, expected);
}

pub(crate) async fn a_result_says_whether_something_uses_it(mut world: World) {
    let mut script = Script::new();
    let used = script.call(&["used"], &[]);
    script.call(&["unused"], &[Input::Node(used)]);
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["in_loop"], &[x, Input::Node(used)]));
    script.gather(source, &["gathered_in_vain"]);
    let list = script.gather(source, &["gathered"]);
    script.call(&["sum"], &[list]);
    let run = world.submit(script).await;
    let used: Vec<_> = world.page(run).await.results.iter().map(|result| result.is_used).collect();
    assert_eq!(used, [true, false, true, false, false, true, false]);
}

pub(crate) async fn failed_jobs_are_listed_with_their_reason(mut world: World) {
    let run = world.submit(looped(&["a"])).await;
    world.lease_and_report("source", list(1_500)).await;
    world.run_all(|held| failed(&held.arguments()[0])).await;
    let page = world.page(run).await;
    assert_eq!(page.failed.len(), 1_000, "the first thousand");
    assert_eq!(page.failed[11].failure.message, "c1[1]");
    assert_eq!((page.failed[11].step.as_str(), page.failed[11].attempts), ("a", 1));
    assert!(page.failed.is_sorted_by_key(|failed| failed.job));
}

pub(crate) async fn a_failure_tells_the_round_the_loop_and_the_arguments(mut world: World) {
    let mut script = Script::new();
    let outer = script.call(&["outer"], &[]);
    script.each(outer, |script, x| {
        let inner = script.call(&["inner"], &[x]);
        script.each(inner, |script, y| script.call(&["a"], &[y]));
    });
    let run = world.submit(script).await;
    world.lease_and_report("outer", list(3)).await;
    for held in world.lease(10).await {
        world.report_accepted(&held, list(12)).await;
    }
    let held = world.lease(100).await.into_iter().find(|held| held.arguments() == ["c1[1]"]).expect("the last round");
    let argument = |name: Option<&str>, value: &str| {
        vec![ArgumentSummary { name: name.map(str::to_owned), value: value.to_owned() }]
    };
    let hostile = argument(None, &format!("\u{202e}{}", "x".repeat(10_000)));
    let (job, token) = (held.job(), held.lease.token);
    world
        .send_report(Report {
            job,
            token,
            outcome: failed("no"),
            log: None,
            arguments: hostile,
            usage: AttemptUsage::of_ms(1),
        })
        .await;

    let failed = world.page(run).await.failed.remove(0);
    let round = |line, round, rounds| Round { variable: "x".to_owned(), line, round, rounds };
    assert_eq!(failed.rounds.last(), Some(&round(3, 12, 12)));
    assert_eq!((failed.rounds.len(), failed.rounds[0].rounds, failed.line), (2, 3, 3));
    assert_eq!(failed.arguments[0].name.as_deref(), Some("x"), "the loop variable, where the worker knows no name");
    let value = &failed.arguments[0].value;
    assert!(value.starts_with("xxx") && value.ends_with('…') && value.len() <= 200, "{value}");

    let view = world.job(job).await;
    assert_eq!((view.rounds, view.arguments, view.line), (failed.rounds, failed.arguments, 3));
}

pub(crate) async fn unknown_ids_return_none(world: World) {
    let (run, job) = (RunId(Uuid::from_u128(1)), JobId(7));
    assert_eq!(world.store.run(run).await.expect("an answer"), None);
    assert_eq!(world.store.results(run, ResultCursor::default()).await.expect("an answer"), None);
    assert_eq!(world.store.job(job).await.expect("an answer"), None);
    assert_eq!(world.store.log(job).await.expect("an answer"), None);
    assert_eq!(world.store.runs(9).await.expect("an answer"), []);
}

pub(crate) async fn why_names_the_parents_that_have_not_completed(mut world: World) {
    let mut script = Script::new();
    let one = script.call(&["one"], &[]);
    let two = script.call(&["two"], &[]);
    let source = script.call(&["source"], &[]);
    let gathered = script.gather(source, &["c"]);
    script.call(&["end"], &[Input::Node(one), Input::Node(two), gathered]);
    let run = world.submit(script).await;
    let held = world.lease(10).await;
    world.report_accepted(&held[0], completed("1")).await;
    world.report_accepted(&held[1], failed("no")).await;
    world.report_accepted(&held[2], list(3)).await;
    world.complete_one_of("c").await;
    let mut end = None;
    for job in 1..20 {
        let view = world.store.job(JobId(job)).await.expect("a view");
        end = end.or(view.filter(|view| view.step == "end" && view.run == run).map(|view| view.id));
    }
    let end = end.expect("the job");
    let why = world.store.why(end).await.expect("an answer").expect("the job");
    assert_eq!(why.job, world.job(end).await);
    assert_eq!((why.scope.as_str(), why.lease_ends_at), ("default", None));
    let [two, rounds] = why.parents.as_slice() else { panic!("{:?}", why.parents) };
    assert_eq!((two.name.as_str(), two.state, two.job, two.rounds), ("two", JobState::Failed, held[1].job(), None));
    assert!(rounds.name.contains("for x in"), "{rounds:?}");
    assert_eq!((rounds.state, rounds.rounds), (JobState::Running, Some((1, 3))));
}

pub(crate) async fn why_shows_the_state_of_a_job(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script.set("a", |settings| settings.retries = 1);
    world.submit(script).await;
    let held = world.lease_one().await;
    let job = held.job();
    let lease = i64::try_from(LEASE_MS).expect("small");
    let end = |why: &bue_model::wire::WhyView| why.lease_ends_at.map(|end| end.0);
    let why = world.store.why(job).await.expect("an answer").expect("the job");
    assert_eq!((end(&why), why.parents.len()), (Some(world.now + lease), 0));
    world.now += 1_000;
    world.heartbeat(&[&held]).await;
    let why = world.store.why(job).await.expect("an answer").expect("the job");
    assert_eq!(end(&why), Some(world.now + lease), "extended in memory");
    world.report_accepted(&held, crate::world::PENDING).await;
    let why = world.store.why(job).await.expect("an answer").expect("the job");
    assert_eq!((why.pendings, end(&why), why.job.state), (1, None, JobState::Available));
    world.now = why.job.available_at.0;
    let held = world.lease_one().await;
    world.report_accepted(&held, Outcome::Released { reason: "test".into(), alone: false }).await;
    assert_eq!(world.store.why(job).await.expect("an answer").expect("the job").releases, 1);
    world.lease_and_report("a", failed("no")).await;
    world.now += 100_000_000;
    world.lease_and_report("a", failed("no")).await;
    let why = world.store.why(job).await.expect("an answer").expect("the job");
    assert_eq!((why.job.state, why.job.failure.map(|failure| failure.message)), (JobState::Failed, Some("no".into())));
    assert!(world.store.why(JobId(999)).await.expect("an answer").is_none());
}

pub(crate) async fn a_task_contains_what_a_worker_would_receive(mut world: World) {
    let run = world.submit(looped(&["a", "b"])).await;
    world.lease_and_report("source", list(3)).await;
    let before = world.view(run).await;
    let mut tasks = Vec::new();
    for job in 1..20 {
        match world.store.task(JobId(job)).await {
            Ok(Some(batch)) if batch.steps[0].name == "a" => tasks.push(batch),
            _ => {}
        }
    }
    assert_eq!(world.view(run).await, before, "nothing changed");
    let held = world.lease(10).await;
    assert_eq!(tasks.len(), 3);
    for (task, held) in tasks.iter().zip(&held) {
        let lease = &task.leases[0];
        assert_eq!((lease.job, &lease.inputs, lease.attempt), (held.job(), &held.lease.inputs, held.lease.attempt));
        assert_eq!(task.steps, std::slice::from_ref(&held.step));
        assert_eq!(lease.token, bue_model::Token::unsealed(0), "no lease has this token");
    }
    world.report_accepted(&held[0], failed("no")).await;
    let again =
        world.store.task(held[0].job()).await.expect("an answer").expect("a failed job still has its arguments");
    assert_eq!(again.leases[0].inputs, held[0].lease.inputs);
    world.report_accepted(&held[1], completed("1")).await;
    let again = world.store.task(held[1].job()).await.expect("an answer").expect("so has one that completed");
    assert_eq!(again.leases[0].inputs, held[1].lease.inputs);
}

pub(crate) async fn a_task_needs_its_parents(mut world: World) {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    world.submit(script).await;
    let a = world.lease_one().await.job();
    let b = JobId(a.0 + 1);
    assert!(matches!(world.store.task(b).await, Err(HubError::JobNotReady { job, waits_for: 1 }) if job == b));
    assert!(world.store.task(JobId(999)).await.expect("an answer").is_none());
}

pub(crate) async fn jobs_of_open_runs_are_counted_by_scope(mut world: World) {
    assert_eq!(world.store.tally(world.time()).await.expect("a tally"), Tally::default());
    let oldest = world.time();
    for _ in 0..2 {
        let mut script = Script::new();
        script.call(&["a", "b"], &[]);
        script.call(&["c"], &[]);
        script.set("c", |settings| settings.scope = "small".into());
        world.submit(script).await;
        world.now += 1;
    }
    let held = world.lease(1).await.remove(0);
    world.report(&held, completed("1")).await;
    let tally = world.store.tally(world.time()).await.expect("a tally");
    let scope = |name: &str, counts: &[(JobState, u64)]| {
        let mut all: BTreeMap<JobState, u64> = JobState::ALL.into_iter().map(|state| (state, 0)).collect();
        all.extend(counts.iter().copied());
        (name.to_owned(), all)
    };
    let all = [(JobState::Blocked, 1), (JobState::Available, 2), (JobState::Completed, 1)];
    let scopes = [scope("default", &all), scope("small", &[(JobState::Available, 2)])];
    assert_eq!(tally.scopes, scopes.into());
    assert_eq!((tally.open_runs, tally.oldest_run_at), (2, Some(oldest)));
    world.store.cancel_run(world.time(), held.lease.run).await.expect("cancelled");
    let tally = world.store.tally(world.time()).await.expect("a tally");
    let (_, rest) = scope("default", &[(JobState::Blocked, 1), (JobState::Available, 1)]);
    assert_eq!((tally.open_runs, tally.scopes.get("default")), (1, Some(&rest)));
}

pub(crate) async fn delayed_jobs_and_hand_backs_are_counted(mut world: World) {
    let mut script = Script::new();
    for _ in 0..3 {
        script.call(&["a"], &[]);
        script.call(&["rated"], &[]);
    }
    script.set("rated", |settings| settings.rate = Some(Rate { count: 1, per_ms: 60_000, by: None }));
    world.submit(script).await;
    let tally = async |world: &World| {
        let tally = world.store.tally(world.time()).await.expect("a tally");
        (tally.delayed, tally.handed_back)
    };
    assert_eq!(tally(&world).await, (0, 0));
    for held in world.lease(10).await {
        let outcome = Outcome::Pending { delay_ms: Some(1_000), scope: None };
        world.report_accepted(&held, outcome).await;
    }
    // three and one that were handed back, and two that the rate allows to start later
    assert_eq!(tally(&world).await, (6, 4));
    world.now += 1_000;
    assert_eq!(tally(&world).await.0, 2, "what is due is not delayed");
    world.now += 60_000;
    assert_eq!(tally(&world).await, (0, 4));
}
