//! What the buttons of the dashboard do: to the hub's state, and in the audit.

use bue_model::{RunState, Timestamp, Value};

use crate::contract::pipelines::{plan, publish};
use crate::http_pipelines::publication;
use crate::script::Script;
use crate::web::{NOW, WebHub, expect_page, location, result};

#[tokio::test]
async fn a_failed_run_is_reset_and_cancelled_and_deleted() {
    let mut hub = WebHub::open().await;
    let (run, job) = hub.failed_run().await;
    let page = format!("/runs/{run}");
    assert_eq!(location(&hub.post(&format!("{page}/reset"), "").await), page);
    assert_eq!(hub.world.view(run).await.counts.available, 1);
    let asked = hub.post(&format!("{page}/cancel"), "").await;
    expect_page(&asked, 200, "/runs/cancel");
    assert!(asked.body.contains("Cancel 1 open job of this run?"), "{}", asked.body);
    assert_eq!(hub.world.state(run).await, RunState::Running, "nothing is done before it is confirmed");
    assert_eq!(location(&hub.post(&format!("{page}/cancel"), "confirmed=1").await), page);
    assert_eq!(hub.world.state(run).await, RunState::Cancelled);
    assert_eq!(location(&hub.post(&format!("/jobs/{job}/reset"), "").await), format!("/jobs/{job}"));
    assert_eq!(location(&hub.post(&format!("/jobs/{job}/cancel"), "").await), format!("/jobs/{job}"));
    let asked = hub.post(&format!("{page}/delete"), "").await;
    assert!(asked.body.contains("Delete this run with 2 jobs?"), "{}", asked.body);
    assert_eq!(location(&hub.post(&format!("{page}/delete"), "confirmed=1").await), "/runs");
    assert_eq!(hub.get(&page).await.status, 404);
    let actions: Vec<_> = hub.audit().await.into_iter().map(|(who, action, _)| (who, action)).collect();
    let expected = ["run.delete", "job.cancel", "job.reset", "run.cancel", "run.reset"];
    assert_eq!(actions, expected.map(|action| ("anonymous".to_owned(), action.to_owned())));
    let gone = hub.post(&format!("{page}/reset"), "").await;
    assert!(gone.status == 404 && gone.body.contains("after seven days"), "{}", gone.body);
}

#[tokio::test]
async fn many_runs_change_after_their_number_was_shown() {
    let mut hub = WebHub::open().await;
    for _ in 0..3 {
        hub.failed_run().await;
    }
    let mut script = Script::new();
    script.call(&["open"], &[]);
    let open = hub.world.submit(script).await;
    let asked = hub.post("/runs/change", "action=reset&state=failed").await;
    expect_page(&asked, 200, "/runs/change");
    assert!(asked.body.contains("Reset 3 runs with 3 jobs?"), "{}", asked.body);
    assert!(asked.body.contains("name=\"state\" value=\"failed\""), "the filter is sent again");
    assert!(hub.audit().await.is_empty(), "nothing is done before it is confirmed");
    let done = hub.post("/runs/change", "action=reset&state=failed&confirmed=1").await;
    assert!(done.body.contains("done for 3 runs with 3 jobs"), "{}", done.body);
    let asked = hub.post("/runs/change", "action=cancel").await;
    assert!(asked.body.contains("Cancel 4 runs with 4 jobs?"), "without a filter, all: {}", asked.body);
    hub.post("/runs/change", "action=cancel&name=test*&confirmed=1").await;
    assert_eq!(hub.world.state(open).await, RunState::Cancelled);
    let wrong = hub.post("/runs/change", "action=delete&state=running").await;
    assert!(wrong.status == 422 && wrong.body.contains("filter.state"), "{}", wrong.body);
    assert_eq!(hub.post("/runs/change", "action=drop").await.status, 400);
    let none = hub.post("/runs/change", "action=reset&name=nothing").await;
    assert!(none.body.contains("No run matches"), "{}", none.body);
    let actions: Vec<_> = hub.audit().await.into_iter().map(|(_, action, _)| action).collect();
    assert_eq!(actions, ["runs.cancel", "runs.reset"]);
}

#[tokio::test]
async fn a_form_of_parameters_starts_a_run() {
    let hub = WebHub::open().await;
    hub.world.store.publish(Timestamp(NOW), "report".to_owned(), publication()).await.expect("published");
    let choice = hub.get("/runs/new").await;
    assert!(choice.body.contains("href=\"/runs/new?pipeline=report\""), "{}", choice.body);
    let form = hub.get("/runs/new?pipeline=report").await;
    expect_page(&form, 200, "/runs/new");
    for part in [
        "name=\"param.day\" type=\"date\"",
        "required",
        "name=\"param.depth\" type=\"number\"",
        "placeholder=\"3\"",
        "1..10",
    ] {
        assert!(form.body.contains(part), "{part}: {}", form.body);
    }
    let wrong = hub.post("/runs/new", "pipeline=report&param.day=yesterday&param.depth=99").await;
    expect_page(&wrong, 422, "/runs/new");
    assert!(
        wrong.body.matches("aria-invalid=\"true\"").count() == 2 && wrong.body.contains("value=\"yesterday\""),
        "{}",
        wrong.body
    );
    let wrong = hub.post("/runs/new", "pipeline=report&param.day=2026-11-01&param.depth=seven").await;
    assert!(wrong.status == 422 && wrong.body.contains("it is not JSON"), "{}", wrong.body);
    let started = hub.post("/runs/new", "pipeline=report&param.day=2026-11-01&param.depth=&priority=5").await;
    let page = location(&started).to_owned();
    assert!(page.starts_with("/runs/"), "{page}");
    let parameters = hub.get(&format!("{page}?tab=parameters")).await;
    assert!(parameters.body.contains("2026-11-01"), "{}", parameters.body);
    assert!(hub.get(&page).await.body.contains("href=\"/pipelines/report\""));
    assert_eq!(
        hub.audit().await.first().map(|(_, action, target)| format!("{action} {target}")),
        Some("run.invoke report".to_owned())
    );
    assert_eq!(hub.post("/runs/new", "pipeline=none").await.status, 404);
}

#[tokio::test]
async fn a_run_is_run_again_from_a_step_on() {
    let mut hub = WebHub::open().await;
    publish(&hub.world, "p", 9, plan("a")).await;
    let (run, _) = hub.failed_run().await;
    let rerun = hub.post(&format!("/runs/{run}/rerun"), "from=load").await;
    let page = location(&rerun).to_owned();
    let body = hub.get(&page).await.body;
    assert!(body.contains(&format!("href=\"/runs/{run}\"")) && body.contains("what differs"), "{body}");
    hub.world.lease_and_report("load", result(&Value::Int(1))).await;
    let jobs = hub.get(&format!("{page}?tab=jobs")).await.body;
    assert!(jobs.contains("reused"), "the first step was not run again: {jobs}");
    let unknown = hub.post(&format!("/runs/{run}/rerun"), "from=nothing").await;
    assert!(unknown.status == 404 && unknown.body.contains("nothing"), "{}", unknown.body);
}

#[tokio::test]
async fn a_run_is_run_again_with_other_values_of_its_parameters() {
    let mut hub = WebHub::open().await;
    hub.world.store.publish(Timestamp(NOW), "report".to_owned(), publication()).await.expect("published");
    let started = hub.post("/runs/new", "pipeline=report&param.day=2026-11-01&param.depth=7").await;
    let original = location(&started).to_owned();
    let running = hub.get(&original).await.body;
    assert!(!running.contains("Rerun with…"), "it has not ended: {running}");
    hub.world.lease_and_report("a", result(&Value::Int(1))).await;
    assert!(hub.get(&original).await.body.contains(&format!("href=\"{original}/rerun\"")));
    let path = format!("{original}/rerun");
    let form = hub.get(&path).await;
    expect_page(&form, 200, &path);
    for part in ["name=\"param.day\" type=\"date\" value=\"2026-11-01\"", "value=\"7\"", "1..10", "also from a on"] {
        assert!(form.body.contains(part), "{part}: {}", form.body);
    }
    let wrong = hub.post(&path, "param.day=2026-11-01&param.depth=99&from=a").await;
    expect_page(&wrong, 422, &path);
    assert!(wrong.body.contains("aria-invalid=\"true\"") && wrong.body.contains("value=\"99\""), "{}", wrong.body);
    assert!(wrong.body.contains("value=\"a\" selected"), "{}", wrong.body);
    let wrong = hub.post(&path, "param.depth=").await;
    assert!(wrong.status == 422 && wrong.body.contains("it is not JSON"), "{}", wrong.body);
    let rerun = location(&hub.post(&path, "param.day=2026-11-01&param.depth=8").await).to_owned();
    let parameters = hub.get(&format!("{rerun}?tab=parameters")).await.body;
    assert!(parameters.contains("2026-11-01") && parameters.contains(">8<"), "{parameters}");
    assert!(hub.get(&rerun).await.body.contains("what differs"));
    assert_eq!(hub.world.lease_one().await.name(), "a", "another value is another result");
    // nothing changed: the result is reused
    let same = location(&hub.post(&path, "param.day=2026-11-01&param.depth=7").await).to_owned();
    assert!(hub.get(&format!("{same}?tab=jobs")).await.body.contains("reused"));
    assert_eq!(hub.audit().await.iter().filter(|entry| entry.1 == "run.rerun").count(), 2);
    assert_eq!(hub.get("/runs/00000000-0000-0000-0000-000000000009/rerun").await.status, 404);
}

#[tokio::test]
async fn a_form_that_is_too_large_or_no_form_is_refused() {
    let mut hub = WebHub::open().await;
    let (run, _) = hub.failed_run().await;
    let large = format!("pipeline=p&param.x={}", "x".repeat(2 * 1024 * 1024));
    assert_eq!(hub.post("/runs/new", &large).await.status, 413);
    let headers = [("origin", "http://localhost"), ("content-type", "application/json")];
    let path = format!("/runs/{run}/reset");
    let answer = crate::raw_http::raw_request_with(&hub.address, "POST", &path, &headers, b"{}").await;
    assert_eq!(answer.status, 415, "{}", answer.body);
    assert_eq!(hub.world.view(run).await.counts.failed, 1);
}
