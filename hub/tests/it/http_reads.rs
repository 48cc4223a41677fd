//! Results, arguments and logs as JSON, for clients that accept it.

use std::sync::Arc;

use bue_hub::{Durability, Hub, JobStore, SqliteStore};
use bue_model::attempt::AttemptUsage;
use bue_model::job::Hints;
use bue_model::wire::{CONTENT_TYPE, Report};
use bue_model::{BlobHash, BlobRef, Chunk, Outcome, RunId, Value, ValueRef, cbor};
use serde_json::json;

use crate::raw_http::{RawResponse, send_bytes};
use crate::script::Script;
use crate::servers::spawn_hub;
use crate::world::{LeasedJob, World, failed};

struct ReadHub {
    address: String,
    world: World,
}

impl ReadHub {
    async fn start() -> Self {
        let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store");
        let store: Arc<dyn JobStore> = Arc::new(store);
        Self { address: spawn_hub(Hub::new(store.clone())).await, world: World::new(store) }
    }

    async fn request(&self, path: &str, accept: &str) -> RawResponse {
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
        send_bytes(&self.address, head.as_bytes()).await
    }

    async fn json(&self, path: &str) -> serde_json::Value {
        let response = self.request(path, "text/html;q=0.5, application/json").await;
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        assert!(response.head.contains("content-type: application/json"), "{}", response.head);
        serde_json::from_str(&response.body).expect("JSON")
    }
}

fn inline(value: &Value) -> ValueRef {
    ValueRef::Inline(cbor::encode(value).into())
}

fn with_value(value: ValueRef) -> Outcome {
    Outcome::Completed { value, hints: Hints::default() }
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// A list of these numbers in pieces of at most 100.
fn numbers(count: i64) -> ValueRef {
    let all: Vec<Value> = (0..count).map(Value::Int).collect();
    let piece = |items: &[Value]| Chunk {
        count: u32::try_from(items.len()).expect("few"),
        value: Box::new(inline(&Value::List(items.to_vec()))),
    };
    ValueRef::List(all.chunks(100).map(piece).collect())
}

/// `numbers = source()`, `b(number)` for each of them, and `tail(a map)`.
async fn run(world: &mut World, count: i64, answer: impl FnMut(&LeasedJob) -> Outcome) -> RunId {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["b"], &[x]));
    let map = cbor::encode(&Value::Map(vec![(text("k"), Value::Bytes(vec![1, 2]))]));
    script.call(&["tail"], &[bue_model::Input::Literal(map.into())]);
    let run = world.submit(script).await;
    world.scopes = vec!["default".into()];
    let mut leased = world.lease(2).await;
    let tail = leased.pop().expect("tail");
    world.report_accepted(&leased[0], with_value(numbers(count))).await;
    world.report_accepted(&tail, with_value(inline(&Value::Map(vec![(text("$blob"), Value::Float(f64::NAN))])))).await;
    world.run_all(answer).await;
    run
}

#[tokio::test]
async fn results_are_json_for_those_who_accept_it() {
    let mut hub = ReadHub::start().await;
    let blob = BlobRef { hash: BlobHash([0xab; 32]), len: 70_000 };
    let run = run(&mut hub.world, 3, |held| match held.arguments()[0].chars().last() {
        _ if held.arguments()[0].ends_with("[0]") => with_value(inline(&Value::Int(1 << 60))),
        _ if held.arguments()[0].ends_with("[1]") => with_value(ValueRef::Blob(blob)),
        _ => failed("no"),
    })
    .await;
    let path = format!("/v1/runs/{run}/results");
    let page = hub.json(&path).await;
    let reference = json!({"$blob": {"hash": "ab".repeat(32), "bytes": 70_000}});
    assert_eq!((&page["run"], &page["state"], &page["next"]), (&json!(run), &json!("failed"), &json!(null)));
    let call = |call: u32, used: bool, state: &str, value: serde_json::Value| json!({"call": call, "line": call + 1, "name": null, "used": used, "state": state, "value": value, "first_round": 0});
    let mut rounds = call(1, false, "failed", json!([1_u64 << 60, reference, null]));
    rounds["rounds"] = json!({"completed": 2, "failed": 1, "cancelled": 0, "skipped": 0});
    let expected = [
        call(0, true, "completed", json!([0, 1, 2])),
        rounds,
        call(2, false, "completed", json!({"$value": {"$blob": "NaN"}})),
    ];
    assert_eq!(page["results"], json!(expected));
    let exact = hub.json(&format!("{path}?values=cbor")).await;
    let expected = json!({"rounds": [{"cbor": "GxAAAAAAAAAA"}, {"blob": {"hash": "ab".repeat(32), "bytes": 70_000}}, {"none": "failed"}]});
    assert_eq!(exact["results"][1]["value"], expected);
    assert_eq!(hub.request(&format!("{path}?values=xml"), "application/json").await.status, 400);
    let failed = &page["failed"][0];
    assert_eq!((&failed["step"], &failed["failure"]["message"]), (&json!("b"), &json!("no")));
    // our own programs get messages, and so does a client that does not say what it accepts
    for accept in ["*/*", CONTENT_TYPE, &format!("application/json, {CONTENT_TYPE}")] {
        let response = hub.request(&path, accept).await;
        assert!(response.head.contains(CONTENT_TYPE), "{accept}: {}", response.head);
    }
    for query in ["?after=1", "?after=1.x", "?after=0.0&call=1", "?after=0.0&round=1"] {
        let response = hub.request(&format!("{path}{query}"), "application/json").await;
        assert_eq!(response.status, 400, "{query}: {}", response.body);
    }
    assert_eq!(
        hub.request("/v1/runs/00000000-0000-0000-0000-000000000009/results", "application/json").await.status,
        404
    );
}

/// The values of the rounds are larger than a page.
#[tokio::test]
async fn results_come_in_pages_that_join() {
    let mut hub = ReadHub::start().await;
    let large = "x".repeat(50_000);
    let answer = |held: &LeasedJob| with_value(inline(&text(&format!("{}{large}", held.job()))));
    let run = run(&mut hub.world, 200, answer).await;
    let (mut values, mut pages, mut after) = (Vec::new(), 0, String::new());
    loop {
        let page = hub.json(&format!("/v1/runs/{run}/results{after}")).await;
        pages += 1;
        for result in page["results"].as_array().expect("results") {
            if result["call"] == 1 {
                assert_eq!(result["first_round"], values.len(), "the page goes on where the one before ended");
                values.extend(result["value"].as_array().expect("rounds").clone());
            }
        }
        let Some(next) = page["next"].as_str() else { break };
        after = format!("?after={next}");
    }
    assert!(pages > 2, "{pages}");
    assert_eq!(values.len(), 200);
    assert!(values.iter().all(|value| value.as_str().is_some_and(|text| text.ends_with(&large))));
}

#[tokio::test]
async fn a_job_has_a_result_inputs_and_a_log() {
    let mut hub = ReadHub::start().await;
    let world = &mut hub.world;
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["b"], &[x]));
    let run = world.submit(script).await;
    let held = world.lease_named("source").await;
    let result = format!("/v1/jobs/{}/result", held.job());
    let open =
        json!({"job": held.job(), "run": run, "step": "source", "state": "running", "value": null, "failure": null});
    assert_eq!(hub.json(&result).await, open);
    let log = ValueRef::Inline(b"2026-11-01T06:00:00.250Z one  two\nno time\n".to_vec().into());
    let report = |held: &LeasedJob, outcome, log| Report {
        job: held.job(),
        token: held.lease.token,
        outcome,
        log,
        arguments: Vec::new(),
        usage: AttemptUsage::of_ms(1),
    };
    hub.world.send_report(report(&held, with_value(numbers(2)), Some(log))).await;
    let done = hub.json(&result).await;
    assert_eq!((&done["state"], &done["value"]), (&json!("completed"), &json!([0, 1])));
    let log_path = format!("/v1/jobs/{}/log", held.job());
    let lines = json!([{"at": 1_793_512_800_250_i64, "text": "one  two"}, {"at": null, "text": "no time"}]);
    assert_eq!(hub.json(&log_path).await, json!({"job": held.job(), "lines": lines, "blob": null}));
    let response = hub.request(&log_path, "text/plain").await;
    assert!(response.head.contains("content-type: text/plain; charset=utf-8"), "{}", response.head);
    assert_eq!(response.body, "2026-11-01T06:00:00.250Z one  two\nno time\n");
    assert!(hub.request(&log_path, "*/*").await.head.contains(CONTENT_TYPE));
    // the second round: its element, a failure, and a log that is in the bucket
    let rounds = hub.world.lease(2).await;
    let blob = BlobRef { hash: BlobHash([0xab; 32]), len: 7 };
    hub.world.send_report(report(&rounds[1], failed("no"), Some(ValueRef::Blob(blob)))).await;
    let job = rounds[1].job();
    let inputs = hub.json(&format!("/v1/jobs/{job}/inputs")).await;
    assert_eq!(inputs, json!({"job": job, "run": run, "step": "b", "inputs": [1], "keywords": null, "env": null}));
    let inputs = hub.json(&format!("/v1/jobs/{job}/inputs?values=cbor")).await;
    assert_eq!(inputs["inputs"], json!([{"cbor": "AQ=="}]));
    let result = hub.json(&format!("/v1/jobs/{job}/result")).await;
    assert_eq!(
        (&result["state"], &result["value"], &result["failure"]["message"]),
        (&json!("failed"), &json!(null), &json!("no"))
    );
    let log = hub.json(&format!("/v1/jobs/{job}/log")).await;
    assert_eq!(log, json!({"job": job, "lines": [], "blob": {"hash": "ab".repeat(32), "bytes": 7}}));
    let response = hub.request(&format!("/v1/jobs/{job}/log"), "text/plain").await;
    assert!(response.status == 409 && response.body.contains("in_bucket"), "{}", response.body);
    let empty = hub.json(&format!("/v1/jobs/{}/log", rounds[0].job())).await;
    assert_eq!((&empty["lines"], &empty["blob"]), (&json!([]), &json!(null)));
    for path in ["result", "inputs", "log"] {
        let response = hub.request(&format!("/v1/jobs/9999/{path}"), "application/json").await;
        assert_eq!(response.status, 404, "{path}");
    }
}
