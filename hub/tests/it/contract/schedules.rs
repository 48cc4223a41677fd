//! Schedules: which runs they start, and when.

use std::collections::BTreeSet;

use bue_hub::{Backfill, FiredSchedules, HubError, Others, ScheduleAction, ScheduleSpec, ScheduleUpdate, UpdateMode};
use bue_model::param::{Allowed, Param, ParamDefault, ParamKind, TimeDefault};
use bue_model::schedule::{BackfillProgress, RunCounts, ScheduleChange, ScheduleState, ScheduleView};
use bue_model::wire::JobInput;
use bue_model::{Input, ParamIndex, Plan, RunId, RunState, Timestamp, Value, ValueRef, cbor};
use uuid::Uuid;

use crate::contract::pipelines::{plan, publish};
use crate::script::Script;
use crate::world::{World, completed, failed};

const HOUR: i64 = 3_600_000;

/// The pipeline `p`, whose text parameter is `day`.
async fn published(world: &World) {
    publish(world, "p", 1, plan("a")).await;
}

/// A schedule of the pipeline `p`.
fn spec(more: &str) -> ScheduleSpec {
    let text = format!(r#"{{"pipeline": "p", "params": {{"day": "mon"}}, {more}}}"#);
    ScheduleSpec::from_json(&text).expect("a schedule")
}

async fn put(world: &World, name: &str, spec: ScheduleSpec) -> ScheduleChange {
    let update = ScheduleUpdate::one(name.to_owned(), spec);
    world.store.put_schedules(world.time(), update).await.expect("a schedule").remove(0).change
}

/// Sets the clock, and gives all schedules their turns. Returns the number of runs that started.
async fn fire_at(world: &mut World, now: i64) -> u32 {
    world.now = now;
    let mut started = 0;
    loop {
        let fired = world.store.fire_schedules(world.time()).await.expect("turns");
        started += fired.started;
        if fired.turns == 0 {
            return started;
        }
    }
}

async fn view(world: &World, name: &str) -> ScheduleView {
    world.store.schedule(name.to_owned()).await.expect("read").expect("the schedule")
}

async fn change(world: &World, name: &str, action: ScheduleAction) {
    world.store.change_schedule(world.time(), name.to_owned(), action).await.expect("changed");
}

/// The number of runs, up to a hundred.
async fn run_count(world: &World) -> usize {
    world.store.runs(100).await.expect("runs").len()
}

pub(crate) async fn a_due_time_starts_one_run(mut world: World) {
    published(&world).await;
    assert_eq!(world.store.fire_schedules(world.time()).await.expect("turns"), FiredSchedules::default());
    assert_eq!(put(&world, "s", spec(r#""every": "1h", "overlap": "allow""#)).await, ScheduleChange::Created);
    let nothing = FiredSchedules { next_at: Some(Timestamp(HOUR)), ..FiredSchedules::default() };
    assert_eq!(world.store.fire_schedules(Timestamp(HOUR - 1)).await.expect("turns"), nothing);
    for hour in 1..4 {
        assert_eq!(fire_at(&mut world, hour * HOUR).await, 1, "hour {hour}");
        assert_eq!(fire_at(&mut world, hour * HOUR + 1).await, 0, "hour {hour}");
    }
    assert_eq!(run_count(&world).await, 3);
    assert_eq!(world.run_all(|_| completed("1")).await, 3);
    let view = view(&world, "s").await;
    assert_eq!((view.started, view.skipped, view.missed), (3, 0, 0));
}

/// A pipeline with the parameters `at: datetime = scheduled_at` and `day: date = yesterday`.
fn timed_plan() -> Plan {
    let mut script = Script::new();
    script.call(&["a"], &[Input::Param(ParamIndex(0)), Input::Param(ParamIndex(1))]);
    let param = |name: &str, kind, time| Param {
        name: name.into(),
        kind,
        default: Some(ParamDefault::Time(time)),
        allowed: Allowed::All,
        line: 1,
    };
    let params = vec![
        param("at", ParamKind::DateTime, TimeDefault::ScheduledAt),
        param("day", ParamKind::Date, TimeDefault::Yesterday),
    ];
    Plan { params, ..script.plan() }
}

pub(crate) async fn the_due_time_is_the_time_of_the_run(mut world: World) {
    publish(&world, "p", 1, timed_plan()).await;
    // at midnight in Berlin, which is 23:00 in UTC
    let text = r#"{"pipeline": "p", "cron": "0 0 * * *", "timezone": "Europe/Berlin"}"#;
    put(&world, "s", ScheduleSpec::from_json(text).expect("a schedule")).await;
    assert_eq!(fire_at(&mut world, 23 * HOUR + 5_000).await, 1);
    let held = world.lease_one().await;
    let value = |input: &JobInput| match input {
        JobInput::Value(ValueRef::Inline(bytes)) => cbor::decode(bytes).expect("a value"),
        other => panic!("{other:?}"),
    };
    let arguments: Vec<Value> = held.lease.inputs.iter().map(value).collect();
    let expected = [Value::DateTime("1970-01-01T23:00:00Z".into()), Value::Date("1970-01-01".into())];
    assert_eq!(arguments, expected, "the time at which it was due, and yesterday in Berlin");
}

pub(crate) async fn what_does_not_fit_is_refused_and_nothing_is_stored(world: World) {
    published(&world).await;
    for (text, field) in [
        (r#"{"pipeline": "q", "every": "1h"}"#, "pipeline"),
        (r#"{"pipeline": "p", "every": "1h"}"#, "params.day"),
        (r#"{"pipeline": "p", "every": "1h", "params": {"day": 5}}"#, "params.day"),
        (r#"{"pipeline": "p", "every": "1h", "params": {"day": "mon", "dya": 5}}"#, "params.dya"),
    ] {
        let update = ScheduleUpdate::one("s".into(), ScheduleSpec::from_json(text).expect("a schedule"));
        let refused = world.store.put_schedules(world.time(), update).await;
        let Err(HubError::UnfitSchedule { schedule, fields }) = &refused else { panic!("{text}: {refused:?}") };
        assert_eq!((schedule.as_str(), fields[0].field.as_str()), ("s", field), "{text}");
    }
    assert_eq!(world.store.schedules(String::new(), 10).await.expect("a page").schedules, []);
    for action in [ScheduleAction::Pause, ScheduleAction::Resume, ScheduleAction::Remove] {
        let missing = world.store.change_schedule(world.time(), "s".into(), action).await;
        assert!(matches!(missing, Err(HubError::ScheduleNotFound(_))), "{missing:?}");
    }
    let missing = world.store.run_schedule(world.time(), "s".into(), RunId(Uuid::from_u128(1))).await;
    assert!(matches!(missing, Err(HubError::ScheduleNotFound(_))), "{missing:?}");
}

pub(crate) async fn an_update_sets_all_of_its_schedules_or_none(world: World) {
    published(&world).await;
    put(&world, "other", spec(r#""every": "1h""#)).await;
    put(&world, "b", spec(r#""every": "1h""#)).await;
    let update = |names: &[&str], others, mode| {
        let schedules = names.iter().map(|name| ((*name).to_owned(), spec(r#""every": "2h""#))).collect();
        ScheduleUpdate { schedules, others, mode }
    };
    let mut bad = update(&["a", "c"], Others::Remove, UpdateMode::Apply);
    bad.schedules
        .push(("d".into(), ScheduleSpec::from_json(r#"{"pipeline": "q", "every": "1h"}"#).expect("a schedule")));
    assert!(world.store.put_schedules(world.time(), bad).await.is_err());
    let names = async |world: &World| {
        let page = world.store.schedules(String::new(), 100).await.expect("a page");
        page.schedules.into_iter().map(|one| one.name).collect::<Vec<_>>()
    };
    assert_eq!(names(&world).await, ["b", "other"]);
    let expected = [("a", ScheduleChange::Created), ("b", ScheduleChange::Changed), ("other", ScheduleChange::Removed)];
    for (mode, after) in [(UpdateMode::DryRun, ["b", "other"]), (UpdateMode::Apply, ["a", "b"])] {
        let update = update(&["a", "b"], Others::Remove, mode);
        let applied = world.store.put_schedules(world.time(), update).await.expect("applied");
        let changes: Vec<_> = applied.iter().map(|one| (one.name.as_str(), one.change)).collect();
        assert_eq!(changes, expected, "{mode:?}");
        assert_eq!(names(&world).await, after, "{mode:?}");
    }
    let again = update(&["a"], Others::Keep, UpdateMode::Apply);
    let applied = world.store.put_schedules(world.time(), again).await.expect("applied");
    assert_eq!((applied[0].change, applied.len()), (ScheduleChange::Unchanged, 1));
}

pub(crate) async fn a_change_takes_effect_at_the_next_due_time(mut world: World) {
    published(&world).await;
    put(&world, "s", spec(r#""every": "1h", "overlap": "allow""#)).await;
    assert_eq!(fire_at(&mut world, HOUR).await, 1);
    let changed = spec(r#""every": "2h", "overlap": "allow", "priority": 3"#);
    assert_eq!(put(&world, "s", changed).await, ScheduleChange::Changed);
    assert_eq!(view(&world, "s").await.next[..2], [Timestamp(2 * HOUR), Timestamp(4 * HOUR)]);
    assert_eq!(fire_at(&mut world, 2 * HOUR).await, 1);
    assert_eq!(fire_at(&mut world, 3 * HOUR).await, 0);
    assert_eq!(fire_at(&mut world, 4 * HOUR).await, 1);
    let view = view(&world, "s").await;
    assert_eq!((view.started, view.priority), (3, 3));
}

pub(crate) async fn a_schedule_whose_pipeline_is_gone_is_paused_and_says_so(mut world: World) {
    published(&world).await;
    publish(&world, "q", 2, plan("b")).await;
    put(&world, "s", spec(r#""every": "1h""#)).await;
    let other = ScheduleSpec::from_json(r#"{"pipeline": "q", "every": "1h", "params": {"day": "x"}}"#);
    put(&world, "t", other.expect("a schedule")).await;
    world.store.unpublish("p".into()).await.expect("unpublished");
    assert_eq!(fire_at(&mut world, HOUR).await, 1, "the other one is not affected");
    let paused = view(&world, "s").await;
    assert_eq!((paused.state, paused.started, paused.next.len()), (ScheduleState::Paused, 0, 0));
    let problem = paused.problem.expect("a problem");
    assert!(problem.contains("no pipeline `p` any more") && problem.contains("resume"), "{problem}");
    assert_eq!(fire_at(&mut world, 2 * HOUR).await, 0);
    published(&world).await;
    change(&world, "s", ScheduleAction::Resume).await;
    let resumed = view(&world, "s").await;
    assert_eq!((resumed.state, resumed.problem), (ScheduleState::Active, None));
    world.run_all(|_| completed("1")).await;
    assert_eq!(fire_at(&mut world, 3 * HOUR).await, 2);
    // a version that does not take the parameters
    publish(&world, "p", 3, timed_plan()).await;
    world.run_all(|_| completed("1")).await;
    assert_eq!(fire_at(&mut world, 4 * HOUR).await, 1);
    let problem = view(&world, "s").await.problem.expect("a problem");
    assert!(problem.contains("`day`"), "{problem}");
}

pub(crate) async fn an_overlap_is_skipped_queued_cancelled_or_allowed(mut world: World) {
    published(&world).await;
    for overlap in ["skip", "queue", "cancel", "allow"] {
        put(&world, overlap, spec(&format!(r#""every": "1h", "overlap": "{overlap}""#))).await;
    }
    assert_eq!(fire_at(&mut world, HOUR).await, 4);
    assert_eq!(fire_at(&mut world, 2 * HOUR).await, 2, "`cancel` and `allow`");
    let count = async |world: &World, overlap: &str| {
        let view = view(world, overlap).await;
        let recent = view.recent.expect("counts");
        (view.started, view.skipped, view.waiting, recent.running, recent.cancelled)
    };
    assert_eq!(count(&world, "skip").await, (1, 1, 0, 1, 0));
    assert_eq!(count(&world, "queue").await, (1, 0, 1, 1, 0));
    assert_eq!(count(&world, "cancel").await, (2, 0, 0, 1, 1));
    assert_eq!(count(&world, "allow").await, (2, 0, 0, 2, 0));
    world.run_all(|_| completed("1")).await;
    // what waits is looked at from time to time
    assert_eq!(fire_at(&mut world, 2 * HOUR + 30_000).await, 1);
    assert_eq!(count(&world, "queue").await, (2, 0, 0, 1, 0));
    assert_eq!(fire_at(&mut world, 3 * HOUR).await, 3, "all but `queue`, whose run goes on");
}

pub(crate) async fn missed_due_times_are_caught_up_as_the_policy_says(mut world: World) {
    published(&world).await;
    for catch_up in ["none", "last", "all:10", "all:100"] {
        put(
            &world,
            &catch_up.replace(':', "-"),
            spec(&format!(r#""every": "1h", "overlap": "allow", "catch_up": "{catch_up}""#)),
        )
        .await;
    }
    // no hub was running for a day
    assert_eq!(fire_at(&mut world, 24 * HOUR + HOUR / 2).await, 1 + 10 + 24);
    for (name, started, missed) in [("none", 0, 24), ("last", 1, 23), ("all-10", 10, 14), ("all-100", 24, 0)] {
        let view = view(&world, name).await;
        assert_eq!((view.started, view.missed), (started, missed), "{name}");
    }
    assert_eq!(fire_at(&mut world, 25 * HOUR).await, 4, "from now on, all of them again");
}

pub(crate) async fn a_clock_that_goes_back_starts_nothing_twice(mut world: World) {
    published(&world).await;
    put(&world, "s", spec(r#""every": "1h", "overlap": "allow""#)).await;
    assert_eq!(fire_at(&mut world, 5 * HOUR).await, 1);
    for now in [HOUR, 3 * HOUR, 5 * HOUR] {
        assert_eq!(fire_at(&mut world, now).await, 0, "{now}");
    }
    // created again after the clock went back: its runs exist
    change(&world, "s", ScheduleAction::Remove).await;
    world.now = 4 * HOUR;
    put(&world, "s", spec(r#""every": "1h", "overlap": "allow""#)).await;
    assert_eq!(fire_at(&mut world, 5 * HOUR).await, 0);
    assert_eq!(fire_at(&mut world, 6 * HOUR).await, 1);
    assert_eq!(run_count(&world).await, 2);
}

pub(crate) async fn a_paused_schedule_starts_nothing(mut world: World) {
    published(&world).await;
    put(&world, "s", spec(r#""every": "1h", "catch_up": "all:10""#)).await;
    change(&world, "s", ScheduleAction::Pause).await;
    change(&world, "s", ScheduleAction::Pause).await;
    assert_eq!(fire_at(&mut world, 5 * HOUR).await, 0);
    assert_eq!(view(&world, "s").await.state, ScheduleState::Paused);
    assert_eq!(put(&world, "s", spec(r#""every": "1h""#)).await, ScheduleChange::Changed);
    assert_eq!(view(&world, "s").await.state, ScheduleState::Paused, "a change does not resume it");
    change(&world, "s", ScheduleAction::Resume).await;
    assert_eq!(fire_at(&mut world, 5 * HOUR).await, 0, "what was due in the meantime is not made up for");
    assert_eq!(fire_at(&mut world, 6 * HOUR).await, 1);
}

pub(crate) async fn a_user_can_run_a_schedule_at_any_time(mut world: World) {
    published(&world).await;
    put(&world, "s", spec(r#""every": "1h""#)).await;
    change(&world, "s", ScheduleAction::Pause).await;
    let run = RunId(Uuid::from_u128(77));
    for _ in 0..3 {
        let invoked = world.store.run_schedule(world.time(), "s".into(), run).await.expect("a run");
        assert_eq!((invoked.run, invoked.state), (run, RunState::Running));
    }
    assert_eq!(run_count(&world).await, 1);
    change(&world, "s", ScheduleAction::Resume).await;
    assert_eq!(fire_at(&mut world, HOUR).await, 0, "it is the previous run, and has not ended");
    let view = view(&world, "s").await;
    assert_eq!((view.started, view.skipped, view.last_run.map(|last| last.run)), (1, 1, Some(run)));
    world.run_all(|_| completed("1")).await;
    assert_eq!(fire_at(&mut world, 2 * HOUR).await, 1);
    let runs = world.store.schedule_runs("s".into(), 10).await.expect("runs");
    let shown: Vec<_> = runs.iter().map(|run| (run.due.0, run.state)).collect();
    let requested_at = runs.last().map_or(0, |first| first.due.0);
    assert_eq!(shown, [(2 * HOUR, RunState::Running), (requested_at, RunState::Completed)]);
    assert_eq!(runs.last().map(|first| first.run), Some(run));
    for (name, limit, count) in [("s", 1, 1), ("s", 0, 1), ("other", 10, 0)] {
        let runs = world.store.schedule_runs(name.into(), limit).await.expect("runs");
        assert_eq!(runs.len(), count, "{name} {limit}");
    }
}

pub(crate) async fn a_backfill_runs_each_due_time_once(mut world: World) {
    published(&world).await;
    world.now = 40 * HOUR;
    put(&world, "s", spec(r#""every": "1h""#)).await;
    assert_eq!(fire_at(&mut world, 41 * HOUR).await, 1);
    let backfill = |from: i64, to: i64| Backfill {
        from: jiff::Timestamp::from_millisecond(from * HOUR).expect("a time").to_string(),
        to: jiff::Timestamp::from_millisecond(to * HOUR).expect("a time").to_string(),
        at_most: 4,
    };
    // ten due times, the last of which has a run already
    let mut rounds = 0;
    let done = loop {
        let progress = world.store.backfill(world.time(), "s".into(), backfill(32, 42)).await.expect("progress");
        assert!(progress.runs.running <= 4, "{progress:?}");
        if progress.waiting + progress.runs.running == 0 {
            break progress;
        }
        rounds += 1;
        assert!(rounds < 10, "{progress:?}");
        let again = world.store.backfill(world.time(), "s".into(), backfill(32, 42)).await.expect("progress");
        assert_eq!(again, progress, "the same request starts nothing more while as many run");
        world.run_all(|held| if held.job().0 % 5 == 0 { failed("no") } else { completed("1") }).await;
        world.now += 60_000;
        world.run_all(|_| failed("no")).await;
    };
    assert_eq!((done.due, done.first, done.last), (10, Some(Timestamp(32 * HOUR)), Some(Timestamp(41 * HOUR))));
    assert_eq!(done.runs.completed + done.runs.failed, 10);
    assert_eq!(run_count(&world).await, 10);
    assert_eq!(view(&world, "s").await.recent.map(|counts| counts.completed + counts.failed), Some(10));
    let empty = world.store.backfill(world.time(), "s".into(), backfill(0, 0)).await;
    assert!(matches!(empty, Err(HubError::UnfitSchedule { .. })), "{empty:?}");
    let nothing =
        world.store.backfill(world.time(), "s".into(), Backfill { to: "1970-01-01T00:30".into(), ..backfill(-1, 0) });
    assert_eq!(nothing.await.expect("progress").due, 2);
    let none = BackfillProgress { due: 0, ..BackfillProgress::default() };
    let between = Backfill { from: "1970-01-01T05:10".into(), to: "1970-01-01T05:50".into(), at_most: 1 };
    assert_eq!(world.store.backfill(world.time(), "s".into(), between).await.expect("progress"), none);
}

pub(crate) async fn a_thousand_schedules_are_due_at_once(mut world: World) {
    published(&world).await;
    let schedules = (0..1_000).map(|number| (format!("s{number}"), spec(r#""every": "1h""#))).collect();
    let update = ScheduleUpdate { schedules, others: Others::Keep, mode: UpdateMode::Apply };
    world.store.put_schedules(world.time(), update).await.expect("schedules");
    world.now = HOUR;
    let (mut started, mut transactions) = (0, 0);
    loop {
        let fired = world.store.fire_schedules(world.time()).await.expect("turns");
        assert!(fired.turns <= 32, "other requests have their turns in between: {fired:?}");
        started += fired.started;
        transactions += 1;
        if fired.turns == 0 {
            break;
        }
    }
    assert_eq!(started, 1_000);
    assert!(transactions <= 33, "{transactions}");
    let mut runs = BTreeSet::new();
    let done = world.run_all(|held| {
        runs.insert(held.lease.run);
        completed("1")
    });
    assert_eq!(done.await, 1_000);
    assert_eq!(runs.len(), 1_000);
}

pub(crate) async fn schedules_are_listed_in_pages(world: World) {
    published(&world).await;
    let names: BTreeSet<String> = (0..25).map(|number| format!("s{number}.A-b_{}", number % 3)).collect();
    for name in &names {
        put(&world, name, spec(r#""cron": "0 6 * * *""#)).await;
    }
    let (mut listed, mut after) = (Vec::new(), String::new());
    loop {
        let page = world.store.schedules(after, 7).await.expect("a page");
        assert!(page.schedules.len() <= 7);
        listed.extend(page.schedules.into_iter().map(|one| (one.name, one.next.len())));
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(listed, names.into_iter().map(|name| (name, 1)).collect::<Vec<_>>());
}

pub(crate) async fn a_view_shows_the_last_runs(mut world: World) {
    published(&world).await;
    put(&world, "s", spec(r#""every": "1h", "overlap": "allow", "until": "1970-01-01T09:00""#)).await;
    for hour in 1..6 {
        assert_eq!(fire_at(&mut world, hour * HOUR).await, 1);
        world.run_all(|_| if hour == 2 { failed("no") } else { completed("1") }).await;
        world.now += 60_000;
        world.run_all(|_| failed("no")).await;
    }
    let shown = view(&world, "s").await;
    assert_eq!(shown.next, [6, 7, 8].map(|hour| Timestamp(hour * HOUR)));
    let last = shown.last_run.expect("a run");
    assert_eq!((last.due, last.state), (Timestamp(5 * HOUR), RunState::Completed));
    assert_eq!(shown.recent, Some(RunCounts { completed: 4, failed: 1, ..RunCounts::default() }));
    assert_eq!((shown.params.as_str(), shown.every.as_deref()), (r#"{"day":"mon"}"#, Some("1h")));
    world.store.delete_run(last.run).await.expect("deleted");
    let shown = view(&world, "s").await;
    assert_eq!((shown.last_run, shown.recent.map(|counts| counts.completed)), (None, Some(3)));
    assert_eq!(fire_at(&mut world, 8 * HOUR).await, 3 - 2, "only the last one is caught up");
    assert_eq!(view(&world, "s").await.state, ScheduleState::Ended);
    assert_eq!(world.store.fire_schedules(world.time()).await.expect("turns").next_at, None);
}

pub(crate) async fn a_removed_schedule_leaves_its_runs(mut world: World) {
    published(&world).await;
    put(&world, "s", spec(r#""every": "1h""#)).await;
    assert_eq!(fire_at(&mut world, HOUR).await, 1);
    change(&world, "s", ScheduleAction::Remove).await;
    assert_eq!(world.store.schedule("s".into()).await.expect("read"), None);
    assert_eq!(fire_at(&mut world, 2 * HOUR).await, 0);
    assert_eq!(world.run_all(|_| completed("1")).await, 1);
    let run = world.store.runs(1).await.expect("runs").remove(0).id;
    world.store.delete_run(run).await.expect("deleted");
}
