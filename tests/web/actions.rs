//! Every button, from the click to the hub's state.

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::site::{BROKEN, REPORT, Site, WAITING};

#[test]
fn a_run_starts_from_the_form_of_its_pipeline() {
    let site = Site::serve(&[("report", REPORT)], &[]);
    let browser = Browser::open(&site.address);
    browser.goto("/runs");
    browser.press("Start a run");
    browser.wait_for_path("/runs/new");
    browser.press("report");
    browser.wait_for_path("/runs/new?pipeline=report");
    assert_eq!(browser.count("select[name='param.region'] option"), 3, "the default and two choices");
    browser.choose("select[name='param.region']", "south");
    browser.fill("input[name='param.rounds']", "500");
    browser.fill("textarea[name='param.more']", r#"{"<b>": [1, {"deep": true}]}"#);
    browser.press("Start");

    // out of range: the form comes back with what was typed, and the reason beside the field
    browser.wait_for_text("form.start label:has([name='param.rounds']) .bad", "100");
    assert_eq!(browser.status(), 422);
    browser.expect_refusal(422);
    assert_eq!(site.get("/v1/runs")["runs"], json!([]), "nothing has started");
    assert!(
        browser.text("textarea[name='param.more']").contains("deep")
            || browser.run("return document.querySelector('textarea').value", json!([])).to_string().contains("deep")
    );
    browser.fill("input[name='param.rounds']", "2");
    browser.press("Start");

    browser.wait_for("the run", "location.pathname !== '/runs/new'");
    let run = browser.path().trim_start_matches("/runs/").to_owned();
    site.wait_for_state(&run, "completed");
    let results = site.get(&format!("/v1/runs/{run}/results"));
    let value = &results["results"]
        .as_array()
        .and_then(|all| all.last())
        .unwrap_or_else(|| panic!("no result in {results}"))["value"];
    assert_eq!(value["shops"].as_array().map(Vec::len), Some(2), "{results}");
    assert_eq!(value["shops"][0]["shop"]["region"], "south");
    assert_eq!(value["more"]["<b>"][1]["deep"], true);
    // ... and the page shows it without being loaded again
    browser.wait_for_text("#summary", "completed");
    browser.press("results");
    browser.wait_for_text("#tab", "shops");
}

#[test]
fn a_run_is_repeated_with_another_value_of_a_parameter() {
    let site = Site::serve(&[("report", REPORT)], &[]);
    let original = site.invoke("report", &["region=south", "rounds=2", "more={\"a\": \"\\n<b>\"}"]);
    site.wait_for_state(&original, "completed");
    let browser = Browser::open(&site.address);
    browser.goto(&format!("/runs/{original}"));
    browser.press("Rerun with…");
    browser.wait_for_path(&format!("/runs/{original}/rerun"));
    let values = "return ['region', 'rounds', 'day', 'fast', 'more'].map((name) => document.querySelector(`[name='param.${name}']`).value)";
    assert_eq!(browser.run(values, json!([])), json!(["south", "2", "2026-11-01", "false", "{\"a\":\"\\n<b>\"}"]));
    browser.fill("input[name='param.rounds']", "500");
    browser.press("Rerun");
    browser.wait_for_text("form.start label:has([name='param.rounds']) .bad", "100");
    browser.expect_refusal(422);
    browser.fill("input[name='param.rounds']", "3");
    browser.press("Rerun");
    browser.wait_for("the rerun", "!location.pathname.endsWith('/rerun')");
    let rerun = browser.path().trim_start_matches("/runs/").to_owned();
    assert_ne!(rerun, original);
    site.wait_for_state(&rerun, "completed");
    let params = |run: &str| {
        let plan = site.get(&format!("/v1/runs/{run}/plan"));
        let params = plan["params"].as_array().cloned().expect("a list");
        params.iter().map(|param| (param["name"].clone(), param["default"].clone())).collect::<Vec<_>>()
    };
    let expected: Vec<_> = params(&original)
        .into_iter()
        .map(|(name, value)| if name == "rounds" { (name, json!(3)) } else { (name, value) })
        .collect();
    assert_eq!(params(&rerun), expected, "all others are as they were");
}

#[test]
fn a_run_is_cancelled_reset_and_deleted() {
    let site = Site::serve(&[("waiting", WAITING)], &[]);
    let run = site.invoke("waiting", &[]);
    let (browser, page) = (Browser::open(&site.address), format!("/runs/{run}"));
    browser.goto(&page);
    browser.press("Cancel…");
    browser.wait_for_text("main", "Cancel 2 open jobs of this run?");
    browser.press("Back");
    browser.wait_for_path(&page);
    assert_eq!(site.get(&format!("/v1/runs/{run}"))["state"], "running", "only asked");
    browser.press("Cancel…");
    browser.press("Cancel run");
    browser.wait_for_text("#summary .row", "cancelled");
    assert_eq!(browser.path(), page);
    assert_eq!(site.get(&format!("/v1/runs/{run}"))["state"], "cancelled");

    browser.press("Reset");
    browser.wait_for_text("#summary .row", "running");
    assert_eq!(site.get(&format!("/v1/runs/{run}"))["counts"]["available"], 1);
    browser.press("Cancel…");
    browser.press("Cancel run");
    browser.press("Delete…");
    browser.wait_for_text("main", "Delete this run with 2 jobs?");
    browser.press("Delete run");
    browser.wait_for_path("/runs");
    browser.wait_for_text("main", "There are no runs yet");
    assert_eq!(site.try_get(&format!("/v1/runs/{run}")).0, 404);
}

#[test]
fn a_job_is_cancelled_and_reset() {
    let site = Site::serve(&[("waiting", WAITING), ("broken", BROKEN)], &[]);
    let run = site.invoke("waiting", &[]);
    let job = site.job(&run, "idle");
    let browser = Browser::open(&site.address);
    browser.goto(&format!("/jobs/{job}"));
    assert!(browser.text("#state").contains("bue worker -s nowhere"), "{}", browser.text("#state"));
    browser.press("Cancel call");
    browser.wait_for_text("#state", "cancelled");
    assert_eq!(site.get(&format!("/v1/jobs/{job}"))["state"], "cancelled");
    browser.press("Reset");
    browser.wait_for_text("#state", "available");
    assert_eq!(site.get(&format!("/v1/jobs/{job}"))["state"], "available");

    let run = site.invoke("broken", &[]);
    site.wait_for_state(&run, "failed");
    browser.goto(&format!("/jobs/{}", site.job(&run, "broken")));
    assert!(browser.text("#failure").contains("ZeroDivisionError"), "{}", browser.text("#failure"));
    assert!(browser.text("#failure").contains("return value / 0"), "the line of the script");
    assert!(browser.text("#log").contains("about to divide"), "{}", browser.text("#log"));
    browser.press("Reset");
    browser.wait_for_path("/jobs/");
    assert!(site.audit(&run).iter().any(|action| action.contains("reset")), "{:?}", site.audit(&run));
    site.wait_for_state(&run, "failed");
}

#[test]
fn a_run_is_repeated_from_a_step_on() {
    let site = Site::serve(&[("report", REPORT)], &[]);
    let run = site.invoke("report", &["rounds=2"]);
    site.wait_for_state(&run, "completed");
    let browser = Browser::open(&site.address);
    browser.goto(&format!("/runs/{run}"));
    browser.choose("select[name=from]", "sales");
    browser.press("Rerun");
    browser.wait_for(
        "another run",
        &format!("location.pathname.startsWith('/runs/') && !location.pathname.includes('{run}')"),
    );
    let again = browser.path().trim_start_matches("/runs/").to_owned();
    site.wait_for_state(&again, "completed");
    assert_eq!(site.get(&format!("/v1/runs/{again}"))["rerun_of"], json!(run));
    let reused: Vec<_> = site.jobs(&again).iter().map(|job| (job["step"].clone(), job["reused"] == true)).collect();
    assert!(reused.contains(&(json!("shops"), true)) && reused.contains(&(json!("sales"), false)), "{reused:?}");
    browser.wait_for_text("#summary", "Repeats");
    browser.press("what differs");
    browser.wait_for_path(&format!("/runs/{again}/diff/{run}"));
}

#[test]
fn all_runs_that_match_are_changed_at_once() {
    let site = Site::serve(&[("waiting", WAITING), ("broken", BROKEN)], &[]);
    let waiting: Vec<_> = (0..3).map(|_| site.invoke("waiting", &[])).collect();
    let broken: Vec<_> = (0..2).map(|_| site.invoke("broken", &[])).collect();
    broken.iter().for_each(|run| site.wait_for_state(run, "failed"));
    let states = |runs: &[String]| -> Vec<Value> {
        runs.iter().map(|run| site.get(&format!("/v1/runs/{run}"))["state"].clone()).collect()
    };
    let browser = Browser::open(&site.address);
    browser.goto("/runs");
    browser.fill("input[name=pipeline]", "waiting");
    browser.press("Filter");
    browser.wait_for("the filter", "location.search.includes('pipeline=waiting')");
    assert_eq!(browser.count("#runs tbody tr"), 3);
    let change = |button: &str, confirm: &str, done: &str| {
        browser.press(button);
        browser.wait_for_text("main form.confirm", &format!("{confirm} with"));
        assert!(browser.has("main form.confirm tbody tr a[href^='/runs/']"), "examples of what would change");
        browser.press("Back");
        browser.wait_for_path("/runs?");
        browser.press(button);
        browser.press(confirm);
        browser.wait_for_text("main .notice", done);
    };
    change("Cancel…", "Cancel 3 runs", "done for 3 runs with 6 jobs");
    assert_eq!(states(&waiting), ["cancelled", "cancelled", "cancelled"]);
    browser.press("Back to the runs");
    browser.wait_for_path("/runs?pipeline=waiting");
    change("Delete…", "Delete 3 runs", "done for 3 runs");
    assert!(waiting.iter().all(|run| site.try_get(&format!("/v1/runs/{run}")).0 == 404));
    assert_eq!(states(&broken), ["failed", "failed"], "the runs that did not match are still there");

    browser.goto("/runs?pipeline=broken&state=failed");
    change("Reset failed jobs…", "Reset 2 runs", "done for 2 runs with 2 jobs");
    assert!(site.audit_of_all().iter().any(|action| action == "runs.reset"), "{:?}", site.audit_of_all());
    broken.iter().for_each(|run| site.wait_for_state(run, "failed"));
    browser.goto("/runs?pipeline=broken");
    browser.press("Cancel…");
    browser.wait_for_text("main", "No run matches that this could change");
}

#[test]
fn results_are_downloaded_as_json_and_csv() {
    let site = Site::serve(&[("report", REPORT)], &[]);
    let run = site.invoke("report", &["rounds=2"]);
    site.wait_for_state(&run, "completed");
    let browser = Browser::open(&site.address);
    browser.goto(&format!("/runs/{run}?tab=results"));
    let download = "const link = document.querySelector(`main a[href*='results.${args[0]}']`); \
                    const answer = await fetch(link.href); \
                    return [answer.headers.get('content-disposition'), await answer.text()]";
    let json = browser.run_async(download, json!(["json"]));
    assert!(json[0].as_str().is_some_and(|name| name.contains(&format!("results-{run}.json"))), "{json}");
    let text = json[1].as_str().expect("a text");
    let value: Value = serde_json::from_str(text).expect("JSON");
    assert!(value["results"].as_array().is_some_and(|all| !all.is_empty()), "{text}");
    let csv = browser.run_async(download, json!(["csv"]));
    assert!(csv[0].as_str().is_some_and(|name| name.contains("attachment")), "{csv}");
    assert!(csv[1].as_str().is_some_and(|text| text.lines().count() > 1), "{csv}");
}
