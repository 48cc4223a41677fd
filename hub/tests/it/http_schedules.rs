//! Schedules over HTTP: what a caller with nothing but JSON sends and gets, and that a hub starts runs by itself.

use std::sync::Arc;

use bue_client::HubClient;
use bue_hub::{Durability, Hub, JobStore, SqliteStore};
use bue_model::RunId;
use bue_model::pipeline::Publication;
use bue_model::{BlobHash, BlobRef};
use bue_test_support::wait::{wait_until_async, within_deadline};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::contract::pipelines::plan;
use crate::raw_http::{raw_request, send_bytes};
use crate::servers::spawn_hub;

/// A hub with the pipeline `report`, which takes a text as `day`.
async fn hub() -> String {
    let store: Arc<dyn JobStore> = Arc::new(SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store"));
    let address = spawn_hub(Hub::new(store)).await;
    let code = vec![BlobRef { hash: BlobHash([7; 32]), len: 1 }];
    let upload = RunId(Uuid::from_u128(1));
    let publication = Publication { upload, script: "report.bue".into(), plan: plan("a"), code };
    client(&address).publish("report", &publication).await.expect("published");
    address
}

fn client(address: &str) -> HubClient {
    HubClient::new(&[address.to_owned()]).expect("a client")
}

async fn send(address: &str, method: &str, path: &str, body: &str) -> (u16, Value) {
    let content_type = if body.is_empty() { "" } else { "application/json" };
    let response = raw_request(address, method, path, content_type, body.as_bytes()).await;
    (response.status, serde_json::from_str(&response.body).unwrap_or(Value::Null))
}

const DAILY: &str =
    r#"{"pipeline": "report", "cron": "0 6 * * *", "timezone": "Europe/Berlin", "params": {"day": "mon"}}"#;

#[tokio::test]
async fn a_schedule_is_created_shown_paused_and_removed() {
    let hub = hub().await;
    let (status, answer) = send(&hub, "PUT", "/v1/schedules/daily", DAILY).await;
    assert_eq!((status, &answer["change"]), (200, &json!("created")));
    assert_eq!(send(&hub, "PUT", "/v1/schedules/daily", DAILY).await.1["change"], "unchanged");
    let (_, shown) = send(&hub, "GET", "/v1/schedules/daily", "").await;
    assert_eq!(shown["next"].as_array().map(Vec::len), Some(5));
    assert_eq!(shown["next"][0], answer["next"]);
    assert_eq!(
        (&shown["cron"], &shown["overlap"], &shown["state"]),
        (&json!("0 6 * * *"), &json!("skip"), &json!("active"))
    );
    for (path, state) in [("pause", "paused"), ("pause", "paused"), ("resume", "active")] {
        assert_eq!(send(&hub, "POST", &format!("/v1/schedules/daily/{path}"), "").await, (200, Value::Null));
        assert_eq!(send(&hub, "GET", "/v1/schedules/daily", "").await.1["state"], state);
    }
    assert_eq!(send(&hub, "DELETE", "/v1/schedules/daily", "").await.0, 200);
    for (method, path) in [("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("POST", "/runs")] {
        let (status, answer) = send(&hub, method, &format!("/v1/schedules/daily{path}"), "").await;
        assert_eq!((status, &answer["error"]["code"]), (404, &json!("schedule_not_found")), "{method} {path}");
    }
}

#[tokio::test]
async fn every_field_that_is_wrong_is_named_and_nothing_is_stored() {
    let hub = hub().await;
    for (body, fields) in [
        ("{}", vec!["pipeline", "cron"]),
        ("[]", vec!["body"]),
        ("{", vec!["body"]),
        (
            r#"{"pipeline": "report", "cron": "0 25 * * *", "timezone": "Berlin/Europe", "until": "tomorrow"}"#,
            vec!["timezone", "until", "cron"],
        ),
        (r#"{"pipeline": "report", "every": "1h"}"#, vec!["params.day"]),
        (r#"{"pipeline": "reports", "every": "1h"}"#, vec!["pipeline"]),
        (r#"{"pipeline": "report", "every": "1h", "params": {"day": 1, "dya": 2}}"#, vec!["params.day", "params.dya"]),
    ] {
        let (status, answer) = send(&hub, "PUT", "/v1/schedules/daily", body).await;
        let named: Vec<_> = answer["error"]["fields"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|one| one["field"].as_str().unwrap_or(""))
            .collect();
        assert_eq!((status, named), (422, fields), "{body}: {answer}");
    }
    for name in ["-a", "a%20b", &"x".repeat(101)] {
        let (status, answer) = send(&hub, "PUT", &format!("/v1/schedules/{name}"), DAILY).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!("bad_name")), "{name}");
    }
    assert_eq!(send(&hub, "GET", "/v1/schedules", "").await.1, json!({"schedules": [], "next": null}));
    assert_eq!(send(&hub, "GET", "/v1/schedules?limit=x", "").await.0, 400);
    assert_eq!(send(&hub, "GET", "/v1/schedules?offset=1", "").await.0, 400);
}

#[tokio::test]
async fn an_update_names_the_schedule_of_each_mistake() {
    let hub = hub().await;
    let schedule =
        |name: &str, more: &str| format!(r#"{{"name": "{name}", "pipeline": "report", "every": "1h", {more}}}"#);
    let good = schedule("a", r#""params": {"day": "mon"}"#);
    let (bad, worse) = (schedule("b", r#""params": {}"#), schedule("c", r#""jitter": "x""#));
    let update = |schedules: &[&String]| {
        let list: Vec<&str> = schedules.iter().map(|one| one.as_str()).collect();
        format!(r#"{{"schedules": [{}], "prune": true}}"#, list.join(","))
    };
    for (schedules, field) in
        [(vec![&good, &bad], "b.params.day"), (vec![&good, &worse], "c.jitter"), (vec![&good, &good], "a.name")]
    {
        let (status, answer) = send(&hub, "POST", "/v1/schedules:apply", &update(&schedules)).await;
        assert_eq!((status, &answer["error"]["fields"][0]["field"]), (422, &json!(field)), "{answer}");
    }
    assert_eq!(send(&hub, "GET", "/v1/schedules", "").await.1["schedules"], json!([]));
    let (status, answer) = send(&hub, "POST", "/v1/schedules:apply", &update(&[&good])).await;
    assert_eq!((status, &answer[0]["name"], &answer[0]["change"]), (200, &json!("a"), &json!("created")));
    let too_many = format!(r#"{{"schedules": [{}]}}"#, vec!["{}"; 1_001].join(","));
    assert_eq!(send(&hub, "POST", "/v1/schedules:apply", &too_many).await.0, 422);
}

#[tokio::test]
async fn a_key_starts_one_run() {
    let hub = hub().await;
    send(&hub, "PUT", "/v1/schedules/daily", DAILY).await;
    let request =
        "POST /v1/schedules/daily/runs HTTP/1.1\r\nhost: localhost\r\nidempotency-key: k\r\nconnection: close\r\n\r\n";
    let mut runs = Vec::new();
    for _ in 0..3 {
        let response = send_bytes(&hub, request.as_bytes()).await;
        assert_eq!(response.status, 201, "{}", response.body);
        runs.push(serde_json::from_str::<Value>(&response.body).expect("JSON")["run"].clone());
    }
    assert!(runs.iter().all(|run| *run == runs[0]), "{runs:?}");
    let other = send(&hub, "POST", "/v1/schedules/daily/runs", "").await;
    assert_eq!(other.0, 201);
    assert_ne!(other.1["run"], runs[0]);
    let long = request.replace(": k", &format!(": {}", "k".repeat(256)));
    assert_eq!(send_bytes(&hub, long.as_bytes()).await.status, 400);
}

#[tokio::test]
async fn a_hub_starts_what_is_due_by_itself() {
    let hub = hub().await;
    let every_second = r#"{"pipeline": "report", "every": "1s", "overlap": "allow", "params": {"day": "mon"}}"#;
    send(&hub, "PUT", "/v1/schedules/often", every_second).await;
    let client = client(&hub);
    let has_runs = async || client.schedule("often").await.expect("a schedule").started >= 2;
    wait_until_async("the schedule has started two runs", has_runs).await;
    client.pause_schedule("often").await.expect("paused");
    let view = client.schedule("often").await.expect("a schedule");
    let runs = client.runs().await.expect("runs");
    assert_eq!(runs.len() as u64, view.started);
    assert_eq!(view.last_run.map(|last| last.run), runs.first().map(|run| run.id));
}

#[tokio::test]
async fn a_backfill_is_continued_by_sending_it_again() {
    let hub = hub().await;
    send(&hub, "PUT", "/v1/schedules/daily", DAILY).await;
    let body = r#"{"from": "2024-02-27", "to": "2024-03-02", "at_most": 3}"#;
    for _ in 0..2 {
        let (status, progress) = send(&hub, "POST", "/v1/schedules/daily/backfill", body).await;
        assert_eq!(status, 200, "{progress}");
        assert_eq!(
            (&progress["due"], &progress["runs"]["running"], &progress["waiting"]),
            (&json!(4), &json!(3), &json!(1))
        );
        assert_eq!(progress["first"], json!(1_709_010_000_000_i64), "06:00 in Berlin");
    }
    for (body, field) in [
        (r#"{"from": "2024-02-30", "to": "2024-03-02"}"#, "from"),
        (r#"{"from": "2024-03-02", "to": "2024-03-02"}"#, "to"),
        (r#"{"from": "2024-03-02"}"#, "to"),
        (r#"{"from": "2024-03-02", "to": "2024-03-03", "at_most": 101}"#, "at_most"),
    ] {
        let (status, answer) = send(&hub, "POST", "/v1/schedules/daily/backfill", body).await;
        assert_eq!((status, &answer["error"]["fields"][0]["field"]), (422, &json!(field)), "{body}");
    }
    let (_, progress) = send(
        &hub,
        "POST",
        "/v1/schedules/daily/backfill",
        r#"{"from": "2016-01-01", "to": "2024-01-01", "at_most": 1}"#,
    )
    .await;
    assert_eq!((&progress["due"], progress["rest_from"].is_i64()), (&json!(1_000), true));
}

#[tokio::test]
async fn a_backfill_that_waits_answers_when_a_run_has_ended() {
    let hub = hub().await;
    send(&hub, "PUT", "/v1/schedules/daily", DAILY).await;
    let body = r#"{"from": "2024-02-27", "to": "2024-03-02", "at_most": 1}"#;
    let path = "/v1/schedules/daily/backfill?wait_ms=60000";
    let mut waiting = core::pin::pin!(send(&hub, "POST", path, body));
    let client = client(&hub);
    let started = wait_until_async("the first run", async || !client.runs().await.expect("runs").is_empty());
    tokio::select! {
        () = started => {}
        answer = &mut waiting => panic!("nothing has ended: {answer:?}"),
    }
    let run = client.latest_run().await.expect("a run").expect("a run").id;
    client.cancel_run(run).await.expect("cancelled");
    let (_, progress) = within_deadline("the answer", waiting).await;
    assert_eq!((&progress["runs"]["cancelled"], &progress["runs"]["running"]), (&json!(1), &json!(1)), "{progress}");
}
