//! The buttons of schedules, pipelines and errors, from the click to the hub's state.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::site::{BROKEN, REPORT, Site, WAITING};

fn with_schedule(scripts: &[(&str, &str)], pipeline: &str) -> Site {
    let site = Site::serve(scripts, &[]);
    site.bue(&["schedule", "add", "nightly", "--pipeline", pipeline, "--cron", "0 6 * * *"]);
    site
}

fn runs(site: &Site) -> Vec<Value> {
    site.get("/v1/runs")["runs"].as_array().cloned().expect("a list")
}

#[test]
fn a_schedule_is_paused_resumed_run_and_removed() {
    let site = with_schedule(&[("report", REPORT)], "report");
    let state = || site.get("/v1/schedules/nightly")["state"].clone();
    let browser = Browser::open(&site.address);
    browser.goto("/schedules");
    browser.press("nightly");
    browser.wait_for_path("/schedules/nightly");
    assert_eq!(browser.count("ol.next li"), 5, "the next five times");
    browser.press("Pause");
    browser.wait_for_text("#due", "paused");
    assert_eq!(state(), "paused");
    browser.press("Resume");
    browser.wait_for_text("#due", "active");
    assert_eq!(state(), "active");

    browser.press("Run now");
    browser.wait_for_path("/runs/");
    let run = runs(&site)[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!(browser.path(), format!("/runs/{run}"));
    site.wait_for_state(&run, "completed");
    browser.goto("/schedules/nightly");
    browser.wait_for_text("#runs", "completed");

    browser.press("Remove…");
    browser.wait_for_text("main", "Remove the schedule nightly?");
    assert_eq!(state(), "active", "only asked");
    browser.press("Remove schedule");
    browser.wait_for("the list", "location.pathname === '/schedules'");
    assert_eq!(site.try_get("/v1/schedules/nightly").0, 404);
    assert_eq!(runs(&site).len(), 1, "its runs stay");
}

#[test]
fn a_backfill_runs_past_due_times_and_can_be_stopped() {
    let site = with_schedule(&[("waiting", WAITING)], "waiting");
    let browser = Browser::open(&site.address);
    browser.goto("/schedules/nightly");
    browser.fill("input[name=from]", "2026-11-01");
    browser.fill("input[name=to]", "2026-10-01");
    browser.press("Start backfill");
    browser.wait_for("a problem", "document.querySelector('main .bad')");
    browser.expect_refusal(422);
    assert!(runs(&site).is_empty());

    browser.fill("input[name=to]", "2026-11-04");
    browser.fill("input[name=at_most]", "2");
    browser.press("Start backfill");
    browser.wait_for_text("#backfill", "0 of 3 runs have ended");
    browser.wait_for_text("#backfill", "2 running, 1 not started");
    assert_eq!(runs(&site).len(), 2, "two at a time");
    site.bue(&["cancel", runs(&site)[0]["id"].as_str().expect("an id")]);
    browser.wait_for_text("#backfill", "1 of 3 runs have ended");
    browser.press("Stop");
    browser.wait_for_text("#backfill", "It was stopped");
    let stopped = runs(&site).len();
    assert!(stopped == 2 || stopped == 3, "{stopped}");
}

#[test]
fn a_pipeline_starts_from_its_page_and_shows_its_runs() {
    let site = Site::serve(&[("report", REPORT)], &[]);
    let browser = Browser::open(&site.address);
    browser.goto("/pipelines");
    browser.press("report");
    browser.wait_for_path("/pipelines/report");
    browser.fill("#start input[name='param.rounds']", "2");
    browser.press("Start");
    browser.wait_for_path("/runs/");
    let run = browser.path().trim_start_matches("/runs/").to_owned();
    site.wait_for_state(&run, "completed");
    browser.goto("/pipelines/report");
    browser.wait_for_text("#runs", "completed");
    assert!(browser.text("#runs").contains("rounds"), "the parameters that were given");
    assert!(browser.has(&format!("#summary a[href='/runs/{run}']")), "a coloured cell of the run");
    browser.press("All runs");
    browser.wait_for_path("/runs?pipeline=report");
}

#[test]
fn failures_of_a_kind_are_reset_together() {
    let site = Site::serve(&[("broken", BROKEN)], &[]);
    let failed: Vec<_> = (0..2).map(|_| site.invoke("broken", &[])).collect();
    failed.iter().for_each(|run| site.wait_for_state(run, "failed"));
    let browser = Browser::open(&site.address);
    browser.goto("/errors");
    assert!(browser.text("main").contains("division by zero"));
    browser.press("Reset…");
    browser.wait_for_text("main", "Reset 2 failed jobs of 2 runs?");
    browser.press("Reset 2 failed jobs");
    browser.wait_for_text("main .notice", "Reset 2 jobs of 2 runs");
    assert!(site.audit_of_all().iter().any(|action| action == "runs.reset"), "{:?}", site.audit_of_all());
    failed.iter().for_each(|run| site.wait_for_state(run, "failed"));
    assert_eq!(site.get(&format!("/v1/runs/{}", failed[0]))["counts"]["failed"], json!(1));
}
