//! Who changed what, and the history.

use bue_hub::{AuditEntry, AuditQuery, Position};
use bue_model::audit::AuditView;
use bue_model::history::HistorySample;
use bue_model::{RunId, Timestamp};
use futures_util::future::join_all;
use serde_json::json;
use uuid::Uuid;

use crate::script::Script;
use crate::world::{World, completed};

fn entry(actor: &str, action: &str, run: Option<RunId>) -> AuditEntry {
    let (actor, action) = (actor.to_owned(), action.to_owned());
    AuditEntry { actor, role: Some("operator".into()), action, target: "x".into(), run, detail: json!({ "jobs": 1 }) }
}

/// Returns all entries that a query matches, page by page.
async fn all(world: &World, query: &AuditQuery) -> Vec<AuditView> {
    let (mut found, mut after, mut pages) = (Vec::new(), query.after, 0);
    loop {
        let page = world.store.audit_page(AuditQuery { after, ..query.clone() }).await.expect("a page");
        assert!(page.entries.len() <= query.limit as usize);
        found.extend(page.entries);
        pages += 1;
        assert!(pages < 1_000, "the pages have an end");
        match page.next {
            Some(next) => after = Some(next),
            None => return found,
        }
    }
}

pub(crate) async fn changes_are_listed_newest_first_by_who_and_what(mut world: World) {
    let runs = [None, Some(RunId(Uuid::from_u128(1))), Some(RunId(Uuid::from_u128(2)))];
    let mut recorded = Vec::new();
    // some of the same time
    for number in 0..60_usize {
        world.now = 1_000_000 + number as i64 / 3;
        let actor = ["ada", "bob"][number % 2];
        let action = ["run.cancel", "run.reset", "job.reset"][number / 2 % 3];
        let one = entry(actor, action, runs[number / 5 % 3]);
        world.store.record_audit(world.time(), one.clone()).await.expect("recorded");
        recorded.insert(0, (world.time(), one));
    }
    let choices =
        |values: [&str; 3]| [None, Some(values[0].to_owned()), Some(values[1].to_owned()), Some(values[2].to_owned())];
    for run in [None, runs[1], runs[2], Some(RunId(Uuid::from_u128(3)))] {
        for actor in choices(["ada", "bob", "nobody"]) {
            for action in choices(["run.cancel", "job.reset", ""]) {
                for (since, until) in [(None, None), (Some(1_000_005), Some(1_000_015)), (None, Some(1_000_000))] {
                    let (since, until) = (since.map(Timestamp), until.map(Timestamp));
                    let (actor, action) = (actor.clone(), action.clone());
                    let query = AuditQuery { run, actor, action, since, until, after: None, limit: 7 };
                    let fits = |at: Timestamp, one: &AuditEntry| {
                        query.run.is_none_or(|run| one.run == Some(run))
                            && query.actor.as_ref().is_none_or(|actor| one.actor == *actor)
                            && query.action.as_ref().is_none_or(|action| one.action == *action)
                            && since.is_none_or(|since| at >= since)
                            && until.is_none_or(|until| at < until)
                    };
                    let expected: Vec<_> = recorded.iter().filter(|(at, one)| fits(*at, one)).collect();
                    let found = all(&world, &query).await;
                    assert_eq!(found.len(), expected.len(), "{query:?}");
                    for (view, (at, one)) in found.iter().zip(expected) {
                        assert_eq!(
                            (view.at, &view.actor, &view.action, view.run),
                            (*at, &one.actor, &one.action, one.run)
                        );
                        assert_eq!((view.role.as_deref(), &view.detail), (Some("operator"), &json!({ "jobs": 1 })));
                    }
                }
            }
        }
    }
    let behind_all = AuditQuery { after: Some(Position { at: 0, key: 0 }), limit: 7, ..AuditQuery::default() };
    assert_eq!(all(&world, &behind_all).await, []);
}

pub(crate) async fn a_rare_action_in_a_run_is_found_page_by_page(world: World) {
    let run = RunId(Uuid::from_u128(1));
    let record = |one: AuditEntry| world.store.record_audit(world.time(), one);
    record(entry("ada", "run.submit", Some(run))).await.expect("recorded");
    for recorded in join_all((0..1_100).map(|_| record(entry("ada", "run.reset", Some(run))))).await {
        recorded.expect("recorded");
    }
    let query = AuditQuery { run: Some(run), action: Some("run.submit".into()), limit: 5, ..AuditQuery::default() };
    let first = world.store.audit_page(query.clone()).await.expect("a page");
    assert!(first.entries.is_empty() && first.next.is_some(), "a page looks at a limited number of entries");
    assert_eq!(all(&world, &query).await.len(), 1);
}

pub(crate) async fn what_is_recorded_of_a_run_is_kept_as_long_as_the_run(mut world: World) {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let run = world.submit(script).await;
    let gone = RunId(Uuid::from_u128(0xdead));
    for (actor, run) in [("with", Some(run)), ("without", None), ("gone", Some(gone))] {
        world.store.record_audit(world.time(), entry(actor, "x", run)).await.expect("recorded");
    }
    let later = Timestamp(world.now + 1);
    let actors = async |world: &World| {
        let entries = all(world, &AuditQuery { limit: 10, ..AuditQuery::default() }).await;
        entries.into_iter().map(|entry| entry.actor).collect::<Vec<_>>()
    };
    assert_eq!(world.store.delete_audit(world.time(), 10).await.expect("none"), 0, "none is older");
    assert_eq!(world.store.delete_audit(later, 1).await.expect("one"), 1, "no more than asked for");
    assert_eq!(world.store.delete_audit(later, 10).await.expect("the other one"), 1);
    assert_eq!(world.store.delete_audit(later, 10).await.expect("none"), 0);
    assert_eq!(actors(&world).await, ["with"]);
    world.run_all(|_| completed("1")).await;
    world.store.delete_run(run).await.expect("deleted");
    // the trail of a deleted run stays for its time
    assert_eq!(world.store.delete_audit(world.time(), 0).await.expect("none"), 0);
    assert_eq!(actors(&world).await, ["with"]);
    assert_eq!(world.store.delete_audit(later, 10).await.expect("one"), 1);
    assert_eq!(actors(&world).await, Vec::<String>::new());
}

pub(crate) async fn hostile_names_are_recorded(world: World) {
    let target = "a\0b'\"; DROP TABLE audit; --\u{202e}\u{1b}[31m%".to_owned();
    let detail = json!({ "filter": { "name": "\0'\\", "text": "é".repeat(100_000) } });
    let hostile = AuditEntry { target, detail, ..entry("o'br\"ien", "x", None) };
    world.store.record_audit(world.time(), hostile).await.expect("recorded");
    let query = AuditQuery { actor: Some("o'br\"ien".into()), limit: 1, ..AuditQuery::default() };
    let found = all(&world, &query).await.remove(0);
    assert_eq!(found.target, "a\u{fffd}b'\"; DROP TABLE audit; --\u{202e}\u{1b}[31m%");
    assert!(found.detail["beginning"].as_str().is_some_and(|text| text.starts_with(r#"{"filter":{"name":"\u0000"#)));
}

fn sample(at: i64, runs: u64) -> HistorySample {
    HistorySample { at: Timestamp(at), runs, workers: u64::MAX, delayed: 3, handed_back: 4, ..HistorySample::default() }
}

pub(crate) async fn each_slot_of_the_history_has_the_first_of_its_samples(world: World) {
    // as if three hubs took samples
    let taken = [(60_005, 1), (60_001, 2), (69_999, 3), (70_000, 4), (120_000, 5)];
    for recorded in join_all(taken[..3].iter().map(|(at, _)| world.store.record_sample(sample(*at, 9)))).await {
        recorded.expect("recorded");
    }
    for (at, runs) in taken {
        world.store.record_sample(sample(at, runs)).await.expect("recorded");
    }
    let history = async |now: i64, from: i64, to: i64| {
        let view = world.store.history(Timestamp(now), Timestamp(from)..=Timestamp(to)).await.expect("a history");
        assert_eq!((view.from, view.to), (Timestamp(from), Timestamp(to)));
        let samples = view.samples.iter().map(|sample| (sample.at.0, sample.runs)).collect::<Vec<_>>();
        assert!(view.samples.iter().all(|sample| sample.workers == i64::MAX as u64), "a column holds no more");
        assert!(view.samples.iter().all(|sample| (sample.delayed, sample.handed_back) == (3, 4)));
        (view.interval_ms, samples)
    };
    let (hour, day) = (3_600_000, 86_400_000);
    assert_eq!(history(120_000, 0, 120_000).await, (10_000, vec![(60_000, 9), (70_000, 4), (120_000, 5)]));
    assert_eq!(history(120_000, 60_001, 119_999).await, (10_000, vec![(70_000, 4)]));
    assert_eq!(history(hour + 1, 0, 120_000).await, (60_000, vec![(60_000, 9), (120_000, 5)]));
    assert_eq!(history(day + 1, 0, 120_000).await, (600_000, vec![(0, 9)]));
    assert_eq!(history(day * 365, 0, i64::MAX).await.1.len(), 1);
    // two hours later: what is older than an hour is left in the coarser tiers
    world.store.record_sample(sample(2 * hour, 6)).await.expect("recorded");
    assert_eq!(history(0, 0, i64::MAX).await, (10_000, vec![(2 * hour, 6)]));
    assert_eq!(history(3 * hour, 0, i64::MAX).await.1, [(60_000, 9), (120_000, 5), (2 * hour, 6)]);
    // the clock of a hub was years ahead; its samples do not stay
    world.store.record_sample(sample(day * 365, 7)).await.expect("recorded");
    world.store.record_sample(sample(2 * hour + 10_000, 8)).await.expect("recorded");
    assert_eq!(history(0, 0, i64::MAX).await.1, [(2 * hour + 10_000, 8)]);
}
