//! Pipelines over HTTP: what a caller with nothing but JSON sends and gets.

use std::sync::Arc;

use bue_client::HubClient;
use bue_hub::{Durability, Hub, JobStore, SqliteStore};
use bue_model::param::{Allowed, Param, ParamKind};
use bue_model::pipeline::Publication;
use bue_model::{BlobHash, BlobRef, Input, ParamIndex, Plan, RunId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::raw_http::{RawResponse, raw_request, send_bytes};
use crate::script::Script;
use crate::servers::spawn_hub;

/// A hub with the pipeline `report`, which takes a day and a depth from 1 to 10.
async fn hub() -> String {
    let store: Arc<dyn JobStore> = Arc::new(SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store"));
    let address = spawn_hub(Hub::new(store)).await;
    let client = HubClient::new(std::slice::from_ref(&address)).expect("a client");
    client.publish("report", &publication()).await.expect("published");
    address
}

pub(crate) fn publication() -> Publication {
    let mut script = Script::new();
    script.call(&["a"], &[Input::Param(ParamIndex(0)), Input::Param(ParamIndex(1))]);
    let number = |number| Some(bue_model::cbor::encode(&bue_model::Value::Int(number)).into());
    let day = Param { name: "day".into(), kind: ParamKind::Date, default: None, allowed: Allowed::All, line: 1 };
    let allowed = Allowed::Range(number(1), number(10));
    let default = number(3).map(bue_model::param::ParamDefault::Value);
    let depth = Param { name: "depth".into(), kind: ParamKind::Int, default, allowed, line: 2 };
    let plan = Plan { params: vec![day, depth], ..script.plan() };
    let code = vec![BlobRef { hash: BlobHash([7; 32]), len: 1 }];
    Publication { upload: RunId(Uuid::from_u128(1)), script: "report.bue".into(), plan, code }
}

async fn post(address: &str, path: &str, body: &str) -> (u16, Value, RawResponse) {
    let response = raw_request(address, "POST", path, "application/json", body.as_bytes()).await;
    (response.status, serde_json::from_str(&response.body).unwrap_or(Value::Null), response)
}

#[tokio::test]
async fn an_invocation_answers_with_the_run_and_its_address() {
    let hub = hub().await;
    let (status, body, response) =
        post(&hub, "/v1/pipelines/report/runs", r#"{"params": {"day": "2026-11-01"}}"#).await;
    assert_eq!((status, &body["state"]), (201, &json!("running")));
    let run = body["run"].as_str().expect("an id");
    assert!(response.head.contains(&format!("location: /v1/runs/{run}")), "{}", response.head);
    let view = raw_request(&hub, "GET", &format!("/v1/runs/{run}"), "", b"").await;
    assert_eq!(view.status, 200);
}

#[tokio::test]
async fn a_rerun_answers_with_the_run_and_its_address() {
    let hub = hub().await;
    let (_, body, _) = post(&hub, "/v1/pipelines/report/runs", r#"{"params": {"day": "2026-11-01"}}"#).await;
    let path = format!("/v1/runs/{}/rerun", body["run"].as_str().expect("an id"));
    let (status, refused, _) = post(&hub, &path, "").await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("run_running")));
    post(&hub, &path.replace("rerun", "cancel"), "").await;
    let (status, body, response) = post(&hub, &path, r#"{"key": "k", "params": {"depth": 4}}"#).await;
    assert_eq!((status, &body["state"]), (201, &json!("running")));
    let run = body["run"].as_str().expect("an id");
    assert!(response.head.contains(&format!("location: /v1/runs/{run}")), "{}", response.head);
    let again = post(&hub, &path, r#"{"key": "k", "params": {"depth": 4}}"#).await;
    assert_eq!((again.0, &again.1["run"]), (201, &body["run"]));
    let (status, refused, _) = post(&hub, &path, r#"{"key": "k", "params": {"depth": 5}}"#).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("key_used")));
    for (body, field) in [
        (r#"{"params": {"depth": 11}}"#, "params.depth"),
        (r#"{"params": {"dept": 1}}"#, "params.dept"),
        (r#"{"form": ["a"]}"#, "form"),
        (r#"{"from": ["a"], "only": ["a"]}"#, "only"),
    ] {
        let (status, refused, _) = post(&hub, &path, body).await;
        assert_eq!((status, &refused["error"]["fields"][0]["field"]), (422, &json!(field)), "{body}: {refused}");
    }
    let (status, refused, _) = post(&hub, &path, r#"{"from": ["b"]}"#).await;
    assert_eq!((status, &refused["error"]["code"]), (404, &json!("step_not_found")));
    let plan = raw_request(&hub, "GET", &format!("/v1/runs/{run}/plan"), "", b"").await;
    let plan: Value = serde_json::from_str(&plan.body).expect("JSON");
    assert_eq!(
        (&plan["pipeline"], &plan["params"][1]["default"]),
        (&json!({"name": "report", "version": 1}), &json!(4))
    );
}

#[tokio::test]
async fn every_field_that_does_not_fit_is_named() {
    let hub = hub().await;
    for (body, fields) in [
        ("{}", vec!["day"]),
        ("", vec!["day"]),
        (r#"{"params": {"day": "2026-02-30", "depth": 11, "dept": 1}}"#, vec!["day", "depth", "dept"]),
        (r#"{"params": {"day": 1, "depth": 1.0}}"#, vec!["day", "depth"]),
        (r#"{"params": []}"#, vec!["params"]),
        (r#"{"parameters": {}}"#, vec!["parameters"]),
        (r#"{"priority": "high"}"#, vec!["priority"]),
        ("[]", vec!["body"]),
        ("{", vec!["body"]),
    ] {
        let (status, answer, _) = post(&hub, "/v1/pipelines/report/runs", body).await;
        let named: Vec<_> =
            answer["error"]["fields"].as_array().into_iter().flatten().map(|one| &one["field"]).collect();
        assert_eq!(
            (status, named),
            (422, fields.iter().map(|one| json!(one)).collect::<Vec<_>>().iter().collect()),
            "{body}"
        );
    }
    let runs = raw_request(&hub, "GET", "/v1/runs", "", b"").await;
    assert_eq!(serde_json::from_str::<Value>(&runs.body).expect("JSON")["runs"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_says_so() {
    let hub = hub().await;
    assert_eq!(post(&hub, "/v1/pipelines/other/runs", "{}").await.0, 404);
    assert_eq!(raw_request(&hub, "GET", "/v1/pipelines/other", "", b"").await.status, 404);
    assert_eq!(raw_request(&hub, "DELETE", "/v1/pipelines/other", "", b"").await.status, 404);
    let client = HubClient::new(std::slice::from_ref(&hub)).expect("a client");
    for name in ["", "a b", "-a", "ä", "a/b", &"x".repeat(101)] {
        assert!(client.publish(name, &publication()).await.is_err(), "{name}");
    }
    let text = raw_request(&hub, "POST", "/v1/pipelines/report/runs", "text/plain", b"{}").await;
    assert_eq!(text.status, 415);
}

#[tokio::test]
async fn ten_thousand_invocations_with_one_key_are_one_run() {
    let hub = hub().await;
    let body = r#"{"params": {"day": "2026-11-01"}, "key": "monday"}"#;
    let first = post(&hub, "/v1/pipelines/report/runs", body).await.1["run"].clone();
    let batch = format!("{{\"runs\": [{}]}}", vec![body; 1_000].join(","));
    for _ in 0..10 {
        let (status, answer, _) = post(&hub, "/v1/pipelines/report/runs:batch", &batch).await;
        assert_eq!(status, 201);
        assert!(
            answer.as_array().is_some_and(|runs| runs.len() == 1_000 && runs.iter().all(|run| run["run"] == first))
        );
    }
    let runs = raw_request(&hub, "GET", "/v1/runs", "", b"").await;
    assert_eq!(serde_json::from_str::<Value>(&runs.body).expect("JSON")["runs"].as_array().map(Vec::len), Some(1));
    let other = r#"{"params": {"day": "2026-11-02"}, "key": "monday"}"#;
    let (status, answer, _) = post(&hub, "/v1/pipelines/report/runs", other).await;
    assert_eq!((status, &answer["error"]["code"]), (409, &json!("key_used")));
}

#[tokio::test]
async fn the_key_may_be_in_the_header() {
    let hub = hub().await;
    let body = r#"{"params": {"day": "2026-11-01"}}"#;
    let request = format!(
        "POST /v1/pipelines/report/runs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         idempotency-key: k1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut runs = Vec::new();
    for _ in 0..2 {
        let response = send_bytes(&hub, request.as_bytes()).await;
        runs.push(serde_json::from_str::<Value>(&response.body).expect("JSON")["run"].clone());
    }
    assert_eq!(runs[0], runs[1]);
}

#[tokio::test]
async fn a_batch_names_the_run_that_does_not_fit_and_starts_none() {
    let hub = hub().await;
    let batch = r#"{"runs": [{"params": {"day": "2026-11-01"}}, {"params": {"day": "x"}}]}"#;
    let (status, answer, _) = post(&hub, "/v1/pipelines/report/runs:batch", batch).await;
    assert_eq!((status, &answer["error"]["fields"][0]["field"]), (422, &json!("runs[1].day")));
    let runs = raw_request(&hub, "GET", "/v1/runs", "", b"").await;
    assert_eq!(serde_json::from_str::<Value>(&runs.body).expect("JSON")["runs"].as_array().map(Vec::len), Some(0));
    let too_many = format!("{{\"runs\": [{}]}}", vec!["{}"; 1_001].join(","));
    assert_eq!(post(&hub, "/v1/pipelines/report/runs:batch", &too_many).await.0, 422);
}

#[tokio::test]
async fn a_pipeline_describes_its_parameters() {
    let hub = hub().await;
    let view = raw_request(&hub, "GET", "/v1/pipelines/report", "", b"").await;
    let view: Value = serde_json::from_str(&view.body).expect("JSON");
    assert_eq!(view["params"][0], json!({"name": "day", "type": "date", "required": true}));
    assert_eq!(
        view["params"][1],
        json!({"name": "depth", "type": "int", "required": false, "default": 3, "min": 1, "max": 10})
    );
    assert_eq!(view["versions"][0]["script"], "report.bue");
}

#[tokio::test]
async fn the_openapi_document_has_the_status_of_an_invocation() {
    let hub = hub().await;
    let (status, _, _) = post(&hub, "/v1/pipelines/report/runs", r#"{"params": {"day": "2026-11-01"}}"#).await;
    let document = raw_request(&hub, "GET", "/openapi.json", "", b"").await;
    let document: Value = serde_json::from_str(&document.body).expect("JSON");
    for path in ["/v1/pipelines/{name}/runs", "/v1/pipelines/{name}/runs:batch"] {
        let responses = &document["paths"][path]["post"]["responses"];
        assert!(responses[status.to_string()].is_object() && responses["200"].is_null(), "{path}: {responses}");
    }
}
