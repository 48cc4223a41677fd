//! Lists of runs and of failed jobs over HTTP: what a client with nothing but JSON sends and gets.

use std::collections::BTreeSet;

use bue_model::RunId;
use bue_model::wire::RunPage;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::contract::pipelines::{invocation, plan, publish};
use crate::raw_http::raw_request;
use crate::script::Script;
use crate::servers::spawn_hub_at;
use crate::world::{World, completed, failed};

/// The hub's time, and that of the first run.
const NOW: i64 = 1_800_000_000_000;

/// A hub, and the world whose runs it has.
struct ListedHub {
    address: String,
    world: World,
}

impl ListedHub {
    async fn start() -> Self {
        let (address, world) = spawn_hub_at(NOW).await;
        Self { address, world }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let response = raw_request(&self.address, "GET", path, "", b"").await;
        (response.status, serde_json::from_str(&response.body).expect("JSON"))
    }

    /// Returns the numbers of the runs of a list.
    async fn runs(&self, query: &str) -> Vec<u128> {
        let (status, body) = self.get(&format!("/v1/runs{query}")).await;
        assert_eq!(status, 200, "{query}: {body}");
        let page: RunPage = serde_json::from_value(body).expect("a page");
        page.runs.iter().map(|run| run.id.0.as_u128()).collect()
    }
}

fn one_step() -> Script {
    let mut script = Script::new();
    script.call(&["a"], &[]);
    script
}

/// Three runs, an hour apart: one completed, one failed, and one of the pipeline `p` that runs.
async fn three_runs(hub: &mut ListedHub) {
    let world = &mut hub.world;
    world.now = NOW - 2 * 3_600_000;
    for outcome in [completed("1"), failed("row 7 is bad")] {
        world.submit(one_step()).await;
        world.lease_and_report("a", outcome).await;
        world.now += 3_600_000;
    }
    publish(world, "p", 77, plan("a")).await;
    world.store.invoke(world.time(), vec![invocation("p", 3, "mon & tue")]).await.expect("a run");
}

#[tokio::test]
async fn runs_are_filtered_and_paged() {
    let mut hub = ListedHub::start().await;
    three_runs(&mut hub).await;
    for (query, expected) in [
        ("", &[3, 2, 1][..]),
        ("?state=failed", &[2]),
        ("?state=failed,running", &[3, 2]),
        ("?state=failed&state=completed", &[2, 1]),
        ("?pipeline=p", &[3]),
        ("?pipeline=q", &[]),
        ("?param.day=mon%20%26%20tue", &[3]),
        ("?param.day=mon", &[]),
        ("?name=test.bue", &[3, 2, 1]),
        ("?name=te*&state=completed", &[1]),
        ("?since=90m", &[3, 2]),
        ("?until=90m", &[1]),
        ("?since=2027-01-15T07:00:00Z", &[3, 2]),
        ("?since=1799992800000&until=1799996400000", &[1]),
        ("?since=3h&state=completed&name=*&limit=5", &[1]),
        ("?id=00000000-0000-0000", &[1, 2, 3]),
        ("?id=0000&limit=2", &[1, 2]),
    ] {
        assert_eq!(hub.runs(query).await, expected, "{query}");
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let (_, page) = hub.get(&format!("/v1/runs?limit=1{after}")).await;
        seen.push(page["runs"][0]["id"].clone());
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    let ids = [3, 2, 1].map(|number| json!(RunId(Uuid::from_u128(number))));
    assert_eq!(seen, ids);
    let (_, page) = hub.get("/v1/runs?limit=1").await;
    assert_eq!(page["runs"][0]["pipeline"], json!({"name": "p", "version": 1}));
}

/// The fields that an error names.
fn fields_of(body: &Value) -> BTreeSet<&str> {
    let fields = body["error"]["fields"].as_array().into_iter().flatten();
    fields.filter_map(|one| one["field"].as_str()).collect()
}

#[tokio::test]
async fn every_wrong_filter_is_named() {
    let hub = ListedHub::start().await;
    for (path, fields) in [
        ("/v1/runs?state=done", &["state"][..]),
        ("/v1/runs?state=", &["state"]),
        ("/v1/runs?state=failed,lost&since=x&until=y&limit=0&after=7", &["after", "limit", "state", "since", "until"]),
        ("/v1/runs?after=1.2.3", &["after"]),
        ("/v1/runs?after=%00", &["after"]),
        ("/v1/runs?pipeline=&name=", &["pipeline", "name"]),
        ("/v1/runs?name=a%00b", &["name"]),
        ("/v1/runs?limit=1&limit=2", &["limit"]),
        ("/v1/runs?id=abcd&state=failed", &["id"]),
        ("/v1/errors?group=2&since=x&after=x&limit=-1", &["limit", "group", "since", "after"]),
    ] {
        let (status, body) = hub.get(path).await;
        assert_eq!((status, fields_of(&body)), (400, fields.iter().copied().collect()), "{path}: {body}");
        assert_eq!(body["error"]["code"], "invalid_filter", "{path}");
    }
    let run = "/v1/runs/00000000-0000-0000-0000-000000000001";
    for (path, code, fields) in [
        ("/v1/runs?stat=failed", "unknown_parameter", &["stat"][..]),
        ("/v1/runs?stat=failed&nam=x", "unknown_parameter", &["stat", "nam"]),
        ("/v1/runs?param.=1", "unknown_parameter", &["param."]),
        ("/v1/runs?params.day=1", "unknown_parameter", &["params.day"]),
        ("/v1/runs?name=%ff", "bad_request", &["name"]),
        ("/v1/runs?id=abc", "bad_request", &["id"]),
        ("/v1/errors?run=1", "unknown_parameter", &["run"]),
        (&format!("{run}/jobs?limit=1&limit=2"), "repeated_parameter", &["limit"]),
        (&format!("{run}/jobs?digests=2"), "bad_request", &["digests"]),
        (&format!("{run}/jobs?round=0&state=lost&limit=0"), "bad_request", &["limit", "round", "state"]),
        (&format!("{run}/results?values=null"), "bad_request", &["values"]),
        (&format!("{run}/results?call=x&round=y"), "bad_request", &["call", "round"]),
        (&format!("{run}/results?after=1.1&call=1"), "bad_request", &["after"]),
        ("/v1/jobs/1/log?follow=2", "bad_request", &["follow"]),
        ("/v1/schedules?limit=0", "bad_request", &["limit"]),
        ("/v1/schedules/nothing/runs?limit=0", "bad_request", &["limit"]),
    ] {
        let (status, body) = hub.get(path).await;
        assert_eq!((status, &body["error"]["code"]), (400, &json!(code)), "{path}");
        assert_eq!(fields_of(&body), fields.iter().copied().collect(), "{path}: {body}");
    }
    for (path, body, status) in [
        // a client that means `true` may have lost it
        ("/v1/schedules:apply", r#"{"schedules": [], "dry_run": null}"#, 422),
        ("/v1/pipelines/nothing/runs:batch", r#"{"runs": []}"#, 404),
    ] {
        let response = raw_request(&hub.address, "POST", path, "application/json", body.as_bytes()).await;
        assert_eq!(response.status, status, "{path}: {}", response.body);
    }
    let many: Vec<_> = (0..11).map(|number| format!("param.p{number}=1")).collect();
    assert_eq!(hub.get(&format!("/v1/runs?{}", many.join("&"))).await.0, 400);
}

#[tokio::test]
async fn failed_jobs_are_listed_and_grouped() {
    let mut hub = ListedHub::start().await;
    three_runs(&mut hub).await;
    hub.world.submit(one_step()).await;
    let (status, page) = hub.get("/v1/errors?step=a&since=3h").await;
    assert_eq!((status, &page["next"]), (200, &Value::Null));
    let [one] = page["errors"].as_array().expect("errors").as_slice() else { panic!("{page}") };
    assert_eq!((&one["at"], &one["name"]), (&json!(NOW - 3_600_000), &json!("test.bue")));
    assert_eq!(one["job"]["failure"]["message"], "row 7 is bad");
    let (_, page) = hub.get("/v1/errors?group=1").await;
    let time = json!({"at": NOW - 3_600_000, "run": RunId(Uuid::from_u128(2)), "job": one["job"]["id"]});
    let group = json!({"step": "a", "message": "row # is bad", "count": 1, "newest": time, "oldest": time});
    assert_eq!(page, json!({"groups": [group], "jobs": 1, "next": null}));
    for query in ["?since=30m", "?until=2h", "?step=b", "?group=1&step=b"] {
        let (_, page) = hub.get(&format!("/v1/errors{query}")).await;
        let list = page.get("errors").or_else(|| page.get("groups"));
        assert_eq!(list, Some(&json!([])), "{query}");
    }
}
