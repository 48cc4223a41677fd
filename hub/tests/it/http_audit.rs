//! Who changed what, over HTTP: what each request leaves in the audit, and who may read it.

use std::path::PathBuf;
use std::sync::Arc;

use bue_client::{ClientOptions, HubClient};
use bue_hub::{Access, Durability, Hub, JobStore, Role, SqliteStore, TokenEntry, TokenFile};
use bue_model::audit::{AuditPage, AuditView};
use bue_model::history::HistoryView;
use bue_model::wire::JobQuery;
use bue_model::{RunId, Timestamp};
use bue_test_support::wait::wait_until_async;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::contract::pipelines::{plan, publish};
use crate::raw_http::{RawResponse, raw_request_with};
use crate::script::{Script, submission};
use crate::servers::spawn_hub;
use crate::world::{World, completed, failed};

const NOW: i64 = 1_800_000_000_000;

/// A hub with a tokens file that has a token of each role, named as the role; the token itself is the name, too.
struct AuditedHub {
    address: String,
    world: World,
    tokens: TokenFile,
    _folder: TempDir,
}

impl AuditedHub {
    async fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let tokens = TokenFile::new(PathBuf::from(folder.path()).join("bue.tokens"));
        for role in Role::ALL {
            tokens.add(TokenEntry::new(role.name(), role, role.name(), Timestamp(1)).expect("a token")).expect("added");
        }
        let access = Access::from_token_file(tokens.path().to_owned()).expect("a file");
        let store: Arc<dyn JobStore> =
            Arc::new(SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store"));
        let hub = Hub::with_clock(store.clone(), Arc::new(|| Timestamp(NOW))).with_access(access);
        let mut world = World::new(store);
        world.now = NOW;
        Self { address: spawn_hub(hub).await, world, tokens, _folder: folder }
    }

    async fn send(&self, token: &str, method: &str, path: &str, body: &Value) -> RawResponse {
        let headers = [("authorization", format!("Bearer {token}")), ("content-type", "application/json".to_owned())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        raw_request_with(&self.address, method, path, &headers, body.as_bytes()).await
    }

    /// Sends a request that changes something. Returns what it left in the audit.
    async fn change(&self, token: &str, method: &str, path: &str, body: Value) -> AuditView {
        let before = self.audit("").await.len();
        let response = self.send(token, method, path, &body).await;
        assert!((200..300).contains(&response.status), "{method} {path}: {}", response.body);
        // the entry is durable before the answer is sent
        let mut entries = self.audit("").await;
        assert_eq!(entries.len(), before + 1, "{method} {path}: one entry");
        let entry = entries.remove(0);
        assert_eq!((entry.at, entry.role.as_deref()), (Timestamp(NOW), Some(token)), "{method} {path}");
        assert_eq!(entry.actor, token, "{method} {path}");
        entry
    }

    /// Sends a request that changes nothing, and checks that the audit says nothing of it.
    async fn no_change(&self, token: &str, method: &str, path: &str, body: Value, status: u16) {
        let before = self.audit("").await.len();
        let response = self.send(token, method, path, &body).await;
        assert_eq!(response.status, status, "{method} {path}: {}", response.body);
        assert_eq!(self.audit("").await.len(), before, "{method} {path}");
    }

    async fn page(&self, token: &str, path: &str) -> AuditPage {
        let response = self.send(token, "GET", path, &Value::Null).await;
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        serde_json::from_str(&response.body).expect("a page")
    }

    async fn audit(&self, query: &str) -> Vec<AuditView> {
        self.page("admin", &format!("/v1/audit{query}")).await.entries
    }
}

/// What an entry says apart from who and when.
fn what(entry: &AuditView) -> (&str, &str, Option<RunId>, &Value) {
    (&entry.action, &entry.target, entry.run, &entry.detail)
}

#[tokio::test]
async fn every_change_leaves_one_entry_with_its_actor() {
    let mut hub = AuditedHub::start().await;
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let run = RunId(Uuid::from_u128(0x4444_4444_4444_4444_8444_4444_4444_4444));
    let mut sent = submission(run.0.as_u128(), script.plan());
    // a path is whatever the client says
    sent.name = "etl\u{202e}'; --.bue".to_owned();
    let sent = serde_json::to_value(&sent).expect("JSON");
    for _ in 0..2 {
        let entry = hub.change("submitter", "POST", "/v1/runs", sent.clone()).await;
        assert_eq!(what(&entry), ("run.submit", "etl\u{202e}'; --.bue", Some(run), &json!({})));
    }
    hub.world.run_all(|_| failed("no")).await;
    let job = hub
        .world
        .store
        .jobs(run, JobQuery { limit: 10, ..JobQuery::default() })
        .await
        .expect("jobs")
        .expect("a run")
        .jobs
        .remove(0)
        .id;
    let entry = hub.change("operator", "POST", &format!("/v1/jobs/{job}/reset"), Value::Null).await;
    assert_eq!(what(&entry), ("job.reset", &*job.to_string(), Some(run), &json!({ "jobs": 1 })));
    let entry = hub.change("operator", "POST", &format!("/v1/jobs/{job}/cancel"), Value::Null).await;
    assert_eq!(what(&entry), ("job.cancel", &*job.to_string(), Some(run), &json!({ "jobs": 1 })));
    let path = format!("/v1/runs/{run}");
    for (action, jobs) in [("cancel", 0), ("reset", 0)] {
        let entry = hub.change("admin", "POST", &format!("{path}/{action}"), Value::Null).await;
        assert_eq!(what(&entry), (&*format!("run.{action}"), &*run.to_string(), Some(run), &json!({ "jobs": jobs })));
    }
    let entry = hub.change("submitter", "POST", &format!("{path}/rerun"), json!({})).await;
    assert_eq!((&*entry.action, &*entry.target), ("run.rerun", &*run.to_string()));
    assert!(entry.run.is_some_and(|new| new != run));
    let of_run = hub.page("viewer", &format!("{path}/audit")).await.entries;
    let actions: Vec<&str> = of_run.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["run.reset", "run.cancel", "job.cancel", "job.reset", "run.submit", "run.submit"]);
    let entry = hub.change("operator", "DELETE", &path, Value::Null).await;
    assert_eq!(what(&entry), ("run.delete", &*run.to_string(), Some(run), &json!({})));
    // the run is gone, what was done to it is not
    assert_eq!(hub.send("admin", "GET", &format!("{path}/audit"), &Value::Null).await.status, 404);
    assert_eq!(hub.audit(&format!("?run={run}")).await.len(), 7);
}

#[tokio::test]
async fn pipelines_and_schedules_leave_entries_too() {
    let hub = AuditedHub::start().await;
    publish(&hub.world, "p", 77, plan("a")).await;
    let params = json!({ "params": { "day": "mon" } });
    let entry = hub.change("invoker", "POST", "/v1/pipelines/p/runs", params.clone()).await;
    assert_eq!((&*entry.action, &*entry.target, entry.run.is_some()), ("run.invoke", "p", true));
    let batch = json!({ "runs": vec![params.clone(); 30] });
    let entry = hub.change("invoker", "POST", "/v1/pipelines/p/runs:batch", batch).await;
    assert_eq!((&*entry.action, &*entry.target, entry.run), ("runs.invoke", "p", None));
    assert_eq!(entry.detail["runs"], 30);
    let spec = json!({ "pipeline": "p", "every": "1h", "params": { "day": "mon" } });
    for change in ["created", "unchanged"] {
        let entry = hub.change("submitter", "PUT", "/v1/schedules/nightly", spec.clone()).await;
        assert_eq!(what(&entry), ("schedule.put", "nightly", None, &json!({ "change": change })));
    }
    for action in ["pause", "resume"] {
        let entry = hub.change("submitter", "POST", &format!("/v1/schedules/nightly/{action}"), Value::Null).await;
        assert_eq!(what(&entry), (&*format!("schedule.{action}"), "nightly", None, &json!({})));
    }
    let entry = hub.change("submitter", "POST", "/v1/schedules/nightly/runs", Value::Null).await;
    assert_eq!((&*entry.action, &*entry.target, entry.run.is_some()), ("schedule.run", "nightly", true));
    let range = json!({ "from": "2026-01-01", "to": "2026-01-02" });
    let entry = hub.change("submitter", "POST", "/v1/schedules/nightly/backfill", range).await;
    assert_eq!((&*entry.action, &entry.detail["due"]), ("schedule.backfill", &json!(24)));
    let named = |name: &str| {
        let mut spec = spec.clone();
        spec["name"] = json!(name);
        spec
    };
    let update = json!({ "schedules": [named("a"), named("b")], "prune": true });
    let mut dry = update.clone();
    dry["dry_run"] = json!(true);
    hub.no_change("submitter", "POST", "/v1/schedules:apply", dry, 200).await;
    let entry = hub.change("submitter", "POST", "/v1/schedules:apply", update).await;
    assert_eq!(entry.action, "schedules.apply");
    assert_eq!(entry.detail, json!({ "counts": { "created": 2, "removed": 1 }, "schedules": ["a", "b", "nightly"] }));
    let entry = hub.change("submitter", "DELETE", "/v1/schedules/a", Value::Null).await;
    assert_eq!(what(&entry), ("schedule.remove", "a", None, &json!({})));
    let entry = hub.change("operator", "DELETE", "/v1/pipelines/p", Value::Null).await;
    assert_eq!(what(&entry), ("pipeline.unpublish", "p", None, &json!({})));
}

#[tokio::test]
async fn a_request_for_many_runs_leaves_one_entry() {
    let mut hub = AuditedHub::start().await;
    publish(&hub.world, "p", 77, plan("a")).await;
    let batch = json!({ "runs": vec![json!({ "params": { "day": "mon" } }); 12] });
    hub.change("invoker", "POST", "/v1/pipelines/p/runs:batch", batch).await;
    let filter = json!({ "pipeline": "p", "params": { "day": "mon" } });
    let dry = json!({ "filter": filter, "dry_run": true });
    hub.no_change("operator", "POST", "/v1/runs:cancel", dry, 200).await;
    let entry = hub.change("operator", "POST", "/v1/runs:cancel", json!({ "filter": filter })).await;
    let detail = json!({ "filter": filter, "runs": 12, "jobs": 12, "skipped": 0 });
    assert_eq!(what(&entry), ("runs.cancel", "", None, &detail));
    let entry = hub.change("operator", "POST", "/v1/runs:reset", json!({ "filter": { "state": "cancelled" } })).await;
    assert_eq!((&*entry.action, &entry.detail["runs"]), ("runs.reset", &json!(12)));
    hub.world.run_all(|_| completed("1")).await;
    let long = json!({ "all": true, "filter": { "name": "n".repeat(50_000) } });
    let entry = hub.change("operator", "POST", "/v1/runs:delete", long).await;
    assert!(entry.detail["beginning"].is_string(), "a long filter is cut: {}", entry.detail);
    let entry = hub.change("operator", "POST", "/v1/runs:delete", json!({ "all": true })).await;
    assert_eq!((&*entry.action, &entry.detail["runs"]), ("runs.delete", &json!(12)));
}

#[tokio::test]
async fn what_is_refused_leaves_no_entry() {
    let hub = AuditedHub::start().await;
    let unknown = Uuid::from_u128(9);
    hub.no_change("viewer", "POST", &format!("/v1/runs/{unknown}/cancel"), Value::Null, 403).await;
    hub.no_change("operator", "POST", &format!("/v1/runs/{unknown}/cancel"), Value::Null, 404).await;
    hub.no_change("operator", "POST", "/v1/runs/x/cancel", Value::Null, 400).await;
    hub.no_change("operator", "POST", "/v1/jobs/7/reset", Value::Null, 404).await;
    hub.no_change("operator", "POST", "/v1/runs:delete", json!({}), 422).await;
    hub.no_change("submitter", "PUT", "/v1/schedules/a", json!({ "pipeline": "none", "every": "1h" }), 422).await;
    hub.no_change("submitter", "DELETE", "/v1/schedules/a", Value::Null, 404).await;
    hub.no_change("submitter", "POST", "/v1/runs", json!({ "run": unknown }), 400).await;
}

#[tokio::test]
async fn only_administrators_read_the_whole_audit() {
    let mut hub = AuditedHub::start().await;
    publish(&hub.world, "p", 77, plan("a")).await;
    let body = json!({ "params": { "day": "mon" } });
    let invoked = hub.change("invoker", "POST", "/v1/pipelines/p/runs", body).await.run.expect("a run");
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let other = hub.world.submit(script).await;
    for role in Role::ALL {
        let name = role.name();
        let expected = if role == Role::Admin { 200 } else { 403 };
        assert_eq!(hub.send(name, "GET", "/v1/audit", &Value::Null).await.status, expected, "{name}");
        let of_run = hub.send(name, "GET", &format!("/v1/runs/{invoked}/audit"), &Value::Null).await.status;
        assert_eq!(of_run, if role == Role::Worker { 403 } else { 200 }, "{name}");
        // who may not read the run may not read who changed it
        let of_other = hub.send(name, "GET", &format!("/v1/runs/{other}/audit"), &Value::Null).await.status;
        let run = hub.send(name, "GET", &format!("/v1/runs/{other}"), &Value::Null).await.status;
        assert_eq!(of_other, run, "{name}");
    }
    assert_eq!(hub.send("none", "GET", "/v1/audit", &Value::Null).await.status, 401);
    for (query, field) in [
        ("?run=7", "run"),
        ("?actor=", "actor"),
        ("?action=%00", "action"),
        ("?since=soon", "since"),
        ("?after=7", "after"),
        ("?limit=0", "limit"),
        ("?actor=a&actor=b", "actor"),
    ] {
        let response = hub.send("admin", "GET", &format!("/v1/audit{query}"), &Value::Null).await;
        let body: Value = serde_json::from_str(&response.body).expect("JSON");
        assert_eq!((response.status, &body["error"]["fields"][0]["field"]), (400, &json!(field)), "{query}");
    }
    assert_eq!(hub.send("admin", "GET", "/v1/audit?actr=x", &Value::Null).await.status, 400);
    assert_eq!(hub.audit("?actor=invoker&action=run.invoke").await.len(), 1);
    assert_eq!(hub.audit("?actor=%27%20OR%201%3D1").await, []);
    let page = hub.page("admin", "/v1/audit?limit=1").await;
    assert_eq!((page.entries.len(), page.next), (1, None));
}

#[tokio::test]
async fn a_hub_without_tokens_records_anonymous_changes() {
    let store = Arc::new(SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store"));
    let address = spawn_hub(Hub::new(store)).await;
    let client = HubClient::with_options(std::slice::from_ref(&address), ClientOptions::default()).expect("a client");
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let run = client.submit(&submission(4 << 76, script.plan())).await.expect("a run");
    let response = raw_request_with(&address, "GET", "/v1/audit", &[], b"").await;
    let page: AuditPage = serde_json::from_str(&response.body).expect("a page");
    let [entry] = &page.entries[..] else { panic!("{}", response.body) };
    assert_eq!((&*entry.actor, &entry.role, &*entry.action, entry.run), ("anonymous", &None, "run.submit", Some(run)));
}

#[tokio::test]
async fn changes_of_the_tokens_file_are_recorded() {
    let hub = AuditedHub::start().await;
    let entry = |name: &str| TokenEntry::new("secret-4711", Role::Operator, name, Timestamp(1)).expect("a token");
    hub.tokens.add(entry("ada")).expect("added");
    // a request with it, after which it is deleted again
    let ready = hub.send("secret-4711", "GET", "/v1/info", &Value::Null).await;
    assert_eq!(ready.status, 200);
    hub.tokens.delete("ada").expect("deleted");
    let expected = [("token.delete", "ada"), ("token.new", "ada")];
    let recorded = async || {
        let found = hub.audit("?actor=tokens%20file").await;
        let found: Vec<_> =
            found.into_iter().map(|entry| (entry.action, entry.target, entry.role, entry.detail)).collect();
        found
            == expected.map(|(action, name)| (action.to_owned(), name.to_owned(), None, json!({ "role": "operator" })))
    };
    wait_until_async("the tokens file's changes are recorded", recorded).await;
    let response = hub.send("admin", "GET", "/v1/audit", &Value::Null).await;
    assert!(!response.body.contains("4711"), "{}", response.body);
}

#[tokio::test]
async fn a_history_is_read_by_its_period() {
    let hub = AuditedHub::start().await;
    let get = async |query: &str| hub.send("viewer", "GET", &format!("/v1/history{query}"), &Value::Null).await;
    // the hub takes its first sample when it starts
    let has_sample = async || {
        let view: HistoryView = serde_json::from_str(&get("").await.body).expect("a history");
        assert_eq!((view.from, view.to), (Timestamp(NOW - 3_600_000), Timestamp(NOW)));
        view.samples.iter().map(|sample| sample.at).eq([Timestamp(NOW)])
    };
    wait_until_async("the first sample", has_sample).await;
    let view: HistoryView = serde_json::from_str(&get("?from=2d&to=1d").await.body).expect("a history");
    assert_eq!((view.interval_ms, view.samples.len()), (600_000, 0));
    for query in ["?from=soon", "?from=1h&to=2h", "?step=1"] {
        assert_eq!(get(query).await.status, 400, "{query}");
    }
    assert_eq!(hub.send("invoker", "GET", "/v1/history", &Value::Null).await.status, 403);
}
