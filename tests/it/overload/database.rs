//! Statements and rows of postgres steps.

use bue_test_support::cluster::shared;
use bue_test_support::wait::wait_until;
use serde_json::json;

use super::{Services, WorkerOptions, count, expect_failure, expect_others_get_on, upload};
use crate::project::step;

/// Returns the address of a database for steps.
fn database() -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a reactor");
    runtime.block_on(shared().step_database())
}

/// Test B: reading such a text once took minutes of the thread that sends heartbeats, and other jobs failed for it.
#[test]
fn sql_that_takes_long_to_read_costs_no_other_job_an_attempt() {
    const BRACES: usize = 2_000_000;
    let database = database();
    let services =
        Services::start(WorkerOptions { variables: &[("BUE_POSTGRES_URL", &database)], ..WorkerOptions::default() });
    let braces = format!("braces:\n    postgres\n    x\n    `SELECT {}`\n", "{".repeat(BRACES));
    // longer than a lease lasts without a heartbeat
    let other = step("other", "import time\ndef other():\n    time.sleep(10)\n    return 1");
    let project = services.project(&[("x.bue", &format!("{other}{braces}other()\nbraces()\nbraces()\nbraces()\n"))]);
    let run = upload(&project);
    wait_until("the run ends", || count(&project, &run, "completed") + count(&project, &run, "failed") == 4);
    let jobs = project.bue(&["status", &run, "--step", "other", "--json"]).expect_code(0).json();
    let other = &jobs["jobs"][0];
    assert_eq!((&other["state"], &other["attempts"]), (&json!("completed"), &json!(0)), "{jobs}");
    let why = project.bue(&["why", &other["id"].to_string(), "--json"]).expect_code(0).json();
    assert_eq!(why["releases"], 0, "{why}");
    services.expect_leases_kept();
    // SIGTERM while one is read
    let run = upload(&services.project(&[("x.bue", &format!("{braces}braces()\n"))]));
    wait_until("it runs or has ended", || count(&project, &run, "available") == 0);
    services.stop();
}

/// Test L: rows of this length on all connections at once took as much memory, several times over.
#[test]
fn rows_that_are_too_long_do_not_take_the_workers_memory() {
    let database = database();
    let variables = [("BUE_POSTGRES_URL", database.as_str()), ("BUE_POSTGRES_CONNECTIONS", "8")];
    let services = Services::start(WorkerOptions { variables: &variables, ..WorkerOptions::default() });
    let source = step("source", "def source():\n    return [[{'n': n}] for n in range(8)]");
    let long = "long:\n    postgres\n    n\n    `SELECT repeat('x', 200000000) AS x`\n";
    let project = services.project(&[("x.bue", &format!("{source}{long}for n in source():\n    long(n)\n"))]);
    let run = upload(&project);
    wait_until("all fail", || count(&project, &run, "failed") == 8);
    let peak = services.peak_mib();
    println!("at most {peak} MiB");
    assert!(peak < 512, "{peak} MiB");
    expect_failure(&project, &run, "the result limit is 64 MiB");
    expect_others_get_on(&services);
    services.expect_leases_kept();
    services.stop();
}
