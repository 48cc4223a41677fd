//! Schedules from the command line: every verb, the file of the page on schedules, and what wrong input says.

use std::fs;
use std::path::Path;

use bue_test_support::wait::wait_until;
use serde_json::{Value, json};

use crate::project::step;
use crate::verbs::Services;

fn services() -> Services {
    let script = [
        "param day: date = yesterday\nparam region: text = \"north\"\n".to_owned(),
        step("report", "def report(day, region):\n    return f'{region} {day}'"),
        "report(day, region)\n".to_owned(),
    ];
    let services = Services::new(&script.concat());
    services.bue(&["publish", "x.bue", "--as", "report"]).expect_code(0);
    services
}

fn show(services: &Services, name: &str) -> Value {
    services.bue(&["schedule", "show", name, "--json"]).expect_code(0).json()
}

#[test]
fn a_schedule_runs_its_pipeline_with_its_parameters() {
    let services = services();
    let _worker = services.worker("default");
    let add = ["schedule", "add", "often", "--pipeline", "report", "--every", "1s", "--param", "region=south"];
    let output = services.bue(&[&add[..], &["--param", "day=2026-11-01"]].concat()).expect_code(0);
    assert_eq!(output.stdout, "often created\n");
    output.expect_stderr(&["next due "]);
    wait_until("a run of the schedule has completed", || {
        show(&services, "often")["recent"]["completed"].as_u64().is_some_and(|runs| runs >= 1)
    });
    services.bue(&["schedule", "pause", "often"]).expect_code(0).expect_stderr(&["often is paused"]);
    wait_until("its last run has ended", || show(&services, "often")["last_run"]["state"] == "completed");
    let last = show(&services, "often")["last_run"]["run"].as_str().expect("a run").to_owned();
    assert_eq!(services.bue(&["result", &last]).expect_code(0).stdout, "\"south 2026-11-01\"\n");
    let run = services.bue(&["schedule", "run", "often"]).expect_code(0).stdout;
    services.bue(&["wait", run.trim()]).expect_code(0);
    assert_eq!(services.bue(&["result", run.trim()]).expect_code(0).stdout, "\"south 2026-11-01\"\n");
    let text = services.bue(&["schedule", "show", "often"]).expect_code(0).stdout;
    for part in
        ["often runs report", "every 1s", "paused", r#"{"day":"2026-11-01","region":"south"}"#, run.trim(), "completed"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
    services.bue(&["schedule", "resume", "often"]).expect_code(0).expect_stderr(&["often is active"]);
    services.bue(&["schedule", "remove", "often"]).expect_code(0).expect_stderr(&["often is removed"]);
    services.bue(&["schedule", "show", "often"]).expect_code(1).expect_stderr(&["no schedule `often`"]);
}

#[test]
fn schedules_are_listed_with_their_next_due_times() {
    let services = services();
    services.bue(&["schedule", "list"]).expect_code(0).expect_stderr(&["`bue schedule add`"]);
    let add = ["schedule", "add", "nightly", "--pipeline", "report", "--cron", "30 6 * * 1-5", "--tz", "Europe/Berlin"];
    let more = [
        "--overlap",
        "queue",
        "--catch-up",
        "all:10",
        "--jitter",
        "30s",
        "--from",
        "2026-01-01",
        "--until",
        "2099-01-01",
    ];
    services.bue(&[&add[..], &more[..]].concat()).expect_code(0);
    let again = services.bue(&[&add[..], &more[..], &["--json"]].concat()).expect_code(0).json();
    assert_eq!((&again["name"], &again["change"]), (&json!("nightly"), &json!("unchanged")));
    let list = services.bue(&["schedule", "list"]).expect_code(0).stdout;
    for part in ["nightly", "report", "30 6 * * 1-5 Europe/Berlin", "active", " 06:30 +0"] {
        assert!(list.contains(part), "{part}\n{list}");
    }
    let json = services.bue(&["schedule", "list", "--json"]).expect_code(0).json();
    assert_eq!((&json[0]["name"], json[0]["next"].as_array().map(Vec::len)), (&json!("nightly"), Some(1)));
    let shown = show(&services, "nightly");
    assert_eq!(shown["next"].as_array().map(Vec::len), Some(5));
    assert_eq!(
        (&shown["overlap"], &shown["catch_up"], &shown["jitter"]),
        (&json!("queue"), &json!("all:10"), &json!("30s"))
    );
}

#[test]
fn a_backfill_shows_its_progress_and_fails_if_a_run_failed() {
    let script = [
        "param day: date = today\n".to_owned(),
        step("report", "def report(day):\n    assert day.day != 2, 'the second'\n    return str(day)"),
        "report(day)\n".to_owned(),
    ];
    let services = Services::new(&script.concat());
    services.bue(&["publish", "x.bue", "--as", "report"]).expect_code(0);
    let _worker = services.worker("default");
    services.bue(&["schedule", "add", "daily", "--pipeline", "report", "--cron", "@daily"]).expect_code(0);
    let backfill = |to: &'static str| {
        services.bue(&["schedule", "backfill", "daily", "--from", "2026-10-01", "--to", to, "--at-most", "2"])
    };
    let failed = backfill("2026-10-05").expect_code(1);
    assert_eq!(failed.stdout, "4 due, 3 completed, 1 failed, 0 cancelled\n");
    failed.expect_stderr(&["of 4 runs have ended"]);
    let more = ["schedule", "backfill", "daily", "--from", "2026-10-03", "--to", "2026-10-07", "--json"];
    let done = services.bue(&more).expect_code(0).json();
    assert_eq!(done, json!({"due": 4, "completed": 4, "failed": 0, "cancelled": 0}));
    let runs = services.bue(&["status", "--json"]).expect_code(0).json();
    assert_eq!(runs.as_array().map(Vec::len), Some(6), "no due time has two runs");
}

/// The file that the page prints.
#[test]
fn the_documented_file_of_schedules_is_applied() {
    let services = services();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schedules.md")).expect("the page");
    let (_, rest) = page.split_once("```toml schedules.toml\n").expect("the file");
    let text = rest.split("```").next().unwrap_or_default();
    fs::write(services.project.path("schedules.toml"), text).expect("a file");
    let apply = |more: &[&str]| services.bue(&[&["schedule", "apply", "schedules.toml"], more].concat());
    apply(&["--dry-run"]).expect_code(0).expect_stderr(&["2 of 2 schedules would be changed"]);
    assert_eq!(services.bue(&["schedule", "list", "--json"]).expect_code(0).json(), json!([]));
    let applied = apply(&[]).expect_code(0).stdout;
    assert!(applied.contains("nightly") && applied.contains("created"), "{applied}");
    let again = apply(&["--json"]).expect_code(0).json();
    assert_eq!((&again[0]["change"], &again[1]["change"]), (&json!("unchanged"), &json!("unchanged")));
    services.bue(&["schedule", "add", "other", "--pipeline", "report", "--every", "1d"]).expect_code(0);
    let pruned = apply(&["--prune", "--json"]).expect_code(0).json();
    assert_eq!((&pruned[2]["name"], &pruned[2]["change"]), (&json!("other"), &json!("removed")));
    let broken = text.replace("every = \"15m\"", "every = \"15\"").replace("0 6 * * 1-5", "0 26 * * 1-5");
    fs::write(services.project.path("schedules.toml"), broken).expect("a file");
    apply(&[])
        .expect_code(1)
        .expect_stderr(&["`nightly.cron`: the hour", "`quarter-hourly.every`: `15` is not a duration"]);
    fs::write(services.project.path("schedules.toml"), "[nightly]\n").expect("a file");
    apply(&[]).expect_code(2).expect_stderr(&["[schedule.NAME]"]);
    services.bue(&["schedule", "apply", "missing.toml"]).expect_code(2).expect_stderr(&["missing.toml"]);
}

#[test]
fn what_does_not_fit_says_what_to_type() {
    let services = services();
    let add = |more: &[&str]| services.bue(&[&["schedule", "add", "s", "--pipeline", "report"], more].concat());
    add(&[]).expect_code(2).expect_stderr(&["--cron"]);
    add(&["--every", "1h", "--cron", "@daily"]).expect_code(2).expect_stderr(&["cannot be used with"]);
    for (arguments, parts) in [
        (vec!["--cron", "0 25 * * *"], vec!["`cron`", "the hour", "write 0-23"]),
        (vec!["--cron", "@daily", "--tz", "Europe/Berln"], vec!["`timezone`", "`Europe/Berlin`"]),
        (vec!["--every", "soon"], vec!["`every`", "such as 15m"]),
        (vec!["--every", "1h", "--from", "2026-02-30"], vec!["`from`", "write 2026-11-01"]),
        (vec!["--every", "1h", "--overlap", "wait"], vec!["`overlap`", "skip, queue, cancel, allow"]),
        (vec!["--every", "1h", "--catch-up", "all"], vec!["`catch_up`", "all:1 to all:100"]),
        (vec!["--every", "1h", "--param", "day=monday"], vec!["`monday` of the parameter `day` is not a date"]),
        (vec!["--every", "1h", "--param", "dai=2026-11-01"], vec!["`params.dai`: the pipeline has no such parameter"]),
    ] {
        add(&arguments).expect_code(1).expect_stderr(&parts);
    }
    let missing = services.bue(&["schedule", "add", "s", "--pipeline", "reports", "--every", "1h"]);
    missing.expect_code(1).expect_stderr(&["no pipeline `reports`", "bue pipelines"]);
    let name = services.bue(&["schedule", "add", "a b", "--pipeline", "report", "--every", "1h"]);
    name.expect_code(2).expect_stderr(&["`a b` cannot be the name of a schedule", "letters, digits"]);
    assert_eq!(services.bue(&["schedule", "list", "--json"]).expect_code(0).json(), json!([]));
    for verb in ["show", "pause", "resume", "run", "remove"] {
        let output = services.bue(&["schedule", verb, "s"]).expect_code(1);
        output.expect_stderr(&["no schedule `s`", "bue schedule list"]);
    }
    add(&["--every", "1h"]).expect_code(0);
    services.bue(&["unpublish", "report"]).expect_code(0);
    services.bue(&["schedule", "run", "s"]).expect_code(1).expect_stderr(&["no pipeline `report`"]);
    let at_most = ["schedule", "backfill", "s", "--from", "2026-01-01", "--to", "2026-01-02", "--at-most", "101"];
    services.bue(&at_most).expect_code(2).expect_stderr(&["1..=100"]);
}
