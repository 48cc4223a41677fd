//! Access control: every route of hub and bucket, requested without a token, with a wrong one, and with one of each role.

use std::path::Path;
use std::sync::Arc;

use bue_client::{BucketClient, ClientError, ClientOptions, HubClient};
use bue_hub::{
    Access, BlobStore, Bucket, Durability, Hub, Role, RouteView, SqliteStore, TokenEntry, TokenFile, bucket_routes,
    dashboard_routes, hub_routes,
};
use bue_model::attempt::AttemptUsage;
use bue_model::wire::{Heartbeat, LeaseRequest, Report, ReportBatch, Verdict, WorkerStatus};
use bue_model::{BlobHash, RunId, RunState, Timestamp, Token};
use bue_test_support::wait::within_deadline;
use tempfile::TempDir;
use uuid::Uuid;

use crate::http_pipelines::publication;
use crate::raw_http::{RawResponse, send_bytes};
use crate::script::{Script, submission};
use crate::servers::{spawn_bucket, spawn_hub};
use crate::world::completed;

/// A server that requires tokens. The token of each role is the role's name.
struct GuardedServer {
    folder: TempDir,
    address: String,
    routes: Vec<RouteView>,
}

impl GuardedServer {
    async fn hub() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store");
        let hub = Hub::new(Arc::new(store)).with_access(access(folder.path())).with_bucket(Some("localhost:7".into()));
        Self { folder, address: spawn_hub(hub).await, routes: hub_routes() }
    }

    async fn bucket() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let blobs = BlobStore::open(&folder.path().join("blobs"), Durability::Off).expect("a store");
        let bucket = Bucket::new(blobs, access(folder.path()));
        Self { folder, address: spawn_bucket(bucket).await, routes: bucket_routes() }
    }

    /// Requests something that does not exist, with this `authorization` header, on a separate connection.
    async fn request(&self, route: &RouteView, authorization: Option<&str>) -> RawResponse {
        let fields = authorization.map_or(String::new(), |text| format!("authorization: {text}\r\n"));
        self.request_with(route, "localhost", &fields).await
    }

    /// The same with this host and these header fields.
    async fn request_with(&self, route: &RouteView, host: &str, fields: &str) -> RawResponse {
        let path = route.path.replace("{hash}", &BlobHash([1; 32]).to_string()).replace("{key...}", "a/b");
        let path = path.replace("{upload}", "00000000-0000-0000-0000-000000000009");
        let path = match path.starts_with("/v1/runs") {
            true => path.replace("{id}", "00000000-0000-0000-0000-000000000009"),
            false => path.replace("{id}", "9"),
        };
        let method = &route.method;
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{fields}connection: close\r\n\r\n");
        if route.path == "/v1/events" && fields.contains("Bearer") {
            // the response never ends, but its first line has the status
            return first_line(&self.address, &head).await;
        }
        send_bytes(&self.address, head.as_bytes()).await
    }
}

async fn first_line(address: &str, head: &str) -> RawResponse {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut bytes = [0; 4096];
    let read = within_deadline("the response", stream.read(&mut bytes)).await.expect("a response");
    let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    RawResponse { status, head: head.to_lowercase(), body: body.to_owned() }
}

fn access(folder: &Path) -> Access {
    let file = TokenFile::new(folder.join("bue.tokens"));
    for role in Role::ALL {
        file.add(TokenEntry::new(role.name(), role, role.name(), Timestamp(0)).expect("an entry")).expect("added");
    }
    Access::from_token_file(file.path().to_owned()).expect("tokens")
}

/// Health checks need no token; everything else needs a token of the right role.
async fn check_every_route(server: &GuardedServer) {
    for route in &server.routes {
        let name = format!("{} {}", route.method, route.path);
        let Some(roles) = &route.roles else {
            assert!(["/healthz", "/readyz"].contains(&route.path), "{name} is open");
            assert_eq!(server.request(route, None).await.status, 200, "{name}");
            continue;
        };
        for wrong in [None, Some("Bearer wrong"), Some("Bearer "), Some("Basic YWRtaW46"), Some("admin")] {
            let answer = server.request(route, wrong).await;
            assert_eq!(answer.status, 401, "{name} with {wrong:?}: {}", answer.body);
            assert!(answer.head.contains("\r\nwww-authenticate: bearer"), "{}", answer.head);
            if route.method != "HEAD" {
                expect_error(&answer, "token", "BUE_TOKEN");
            }
        }
        for role in Role::ALL {
            let answer = server.request(route, Some(&format!("Bearer {role}"))).await;
            if roles.contains(&role) {
                assert!(![401, 403].contains(&answer.status), "{name} as {role}: {} {}", answer.status, answer.body);
            } else {
                assert_eq!(answer.status, 403, "{name} as {role}: {}", answer.body);
                expect_error(&answer, "role", "BUE_TOKEN");
            }
        }
    }
}

fn expect_error(answer: &RawResponse, code: &str, hint: &str) {
    let error: bue_model::wire::ErrorBody = serde_json::from_str(&answer.body).expect("the one shape of errors");
    assert!(error.error.code.starts_with(code) && !error.error.message.is_empty(), "{}", answer.body);
    assert!(error.error.hint.contains(hint), "{}", answer.body);
}

#[tokio::test]
async fn every_route_of_the_hub_requires_a_token_of_the_right_role() {
    let hub = GuardedServer::hub().await;
    assert_eq!(hub.routes.len(), 56);
    check_every_route(&hub).await;
}

#[tokio::test]
async fn every_route_of_the_bucket_requires_a_token_of_the_right_role() {
    let bucket = GuardedServer::bucket().await;
    assert_eq!(bucket.routes.len(), 16);
    check_every_route(&bucket).await;
}

/// DNS rebinding reads answers under the page's own name, and cross-site requests need no answer: uploads of a key, cancelling a job.
#[tokio::test]
async fn a_web_page_can_use_no_route_of_a_server_without_tokens() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store");
    let blobs = BlobStore::open(&folder.path().join("blobs"), Durability::Off).expect("a store");
    let bucket = spawn_bucket(Bucket::new(blobs, Access::open())).await;
    let hub = spawn_hub(Hub::new(Arc::new(store))).await;
    for (address, routes) in [(hub, hub_routes()), (bucket, bucket_routes())] {
        let server = GuardedServer { folder: tempfile::tempdir().expect("a folder"), address, routes };
        for route in server.routes.iter().filter(|route| route.roles.is_some()) {
            for (host, fields) in [
                ("evil.example:65432", ""),
                (&server.address, "origin: http://evil.example\r\ncontent-type: text/plain\r\n"),
                (&server.address, "origin: null\r\n"),
                (&server.address, "sec-fetch-site: cross-site\r\n"),
            ] {
                let answer = server.request_with(route, host, fields).await;
                assert_eq!(answer.status, 403, "{} {} {host} {fields}{}", route.method, route.path, answer.body);
            }
        }
    }
}

/// A request with a run writes a reference, so it needs the permission to store.
#[tokio::test]
async fn a_viewer_cannot_reference_blobs_for_a_run() {
    let bucket = GuardedServer::bucket().await;
    let hash = BlobHash([1; 32]);
    for (query, role, status) in [("", "viewer", 404), ("?run=RUN", "viewer", 403), ("?run=RUN", "submitter", 404)] {
        let query = query.replace("RUN", &Uuid::nil().to_string());
        let head = format!(
            "HEAD /v1/blobs/{hash}{query} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {role}\r\nconnection: close\r\n\r\n"
        );
        assert_eq!(send_bytes(&bucket.address, head.as_bytes()).await.status, status, "{query} as {role}");
    }
}

/// Compares with docs/access.md, route by route.
#[test]
fn the_roles_are_those_of_the_documentation() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/access.md");
    let page = std::fs::read_to_string(page).expect("docs/access.md");
    let documented: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let routes: Vec<_> = hub_routes().into_iter().chain(dashboard_routes()).chain(bucket_routes()).collect();
    for route in &routes {
        let roles = route
            .roles
            .as_ref()
            .map_or("anyone".to_owned(), |roles| roles.iter().map(|role| role.name()).collect::<Vec<_>>().join(", "));
        let line = format!("| `{} {}` | {roles} |", route.method, route.path);
        assert!(documented.contains(&line.as_str()), "docs/access.md has no line\n{line}");
    }
    assert_eq!(documented.len(), routes.len(), "docs/access.md has routes that do not exist");
}

#[tokio::test]
async fn clients_send_their_token_and_report_what_is_wrong_with_it() {
    let (hub, bucket) = (GuardedServer::hub().await, GuardedServer::bucket().await);
    let client = |options| HubClient::with_options(std::slice::from_ref(&hub.address), options);
    let with = |token: &str| client(ClientOptions::with_token(token)).expect("a client");
    let submitter = with("submitter");
    assert_eq!(submitter.bucket().await.expect("info").as_deref(), Some("127.0.0.1:7"), "as seen from here");
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let run = submitter.submit(&submission(7, script.plan())).await.expect("a run");
    let refusals = [
        (client(ClientOptions::default()).expect("a client").runs().await.map(drop), 401),
        (with("wrong").runs().await.map(drop), 401),
        (submitter.cancel_run(run).await.map(drop), 403),
        (with("worker").runs().await.map(drop), 403),
    ];
    for (refusal, expected) in refusals {
        let refusal = refusal.expect_err("a refusal");
        let ClientError::Refused { status, .. } = &refusal else { panic!("{refusal}") };
        assert_eq!(*status, expected);
        assert!(refusal.to_string().contains("BUE_TOKEN"), "{refusal}");
    }
    assert!(matches!(client(ClientOptions::with_token("a\nb")), Err(ClientError::Token)));
    // the response to a HEAD request has no body
    let bare = BucketClient::new(&bucket.address).expect("a client");
    let refusal = bare.has(RunId(Uuid::nil()), &BlobHash([1; 32])).await.expect_err("a refusal").to_string();
    assert!(refusal.contains("BUE_TOKEN") && refusal.contains(&bucket.address), "{refusal}");
}

/// Rotation: the new token is valid before the old one is deleted, and the servers are not restarted.
#[tokio::test]
async fn tokens_are_rotated_while_the_servers_run() {
    let hub = GuardedServer::hub().await;
    let file = TokenFile::new(hub.folder.path().join("bue.tokens"));
    let with =
        |token: &str| HubClient::with_options(std::slice::from_ref(&hub.address), ClientOptions::with_token(token));
    let new = with("new").expect("a client");
    assert!(new.runs().await.is_err());
    file.add(TokenEntry::new("new", Role::Viewer, "new", Timestamp(0)).expect("an entry")).expect("added");
    let old = with("viewer").expect("a client");
    assert!(new.runs().await.is_ok() && old.runs().await.is_ok());
    assert!(file.delete("viewer").expect("deleted"));
    assert!(new.runs().await.is_ok() && old.runs().await.is_err());
}

#[tokio::test]
async fn a_worker_leases_only_jobs_of_its_tokens_scopes() {
    let hub = GuardedServer::hub().await;
    let file = TokenFile::new(hub.folder.path().join("bue.tokens"));
    let entry = TokenEntry::new("of-a-and-b", Role::Worker, "some", Timestamp(0));
    let entry = entry.and_then(|entry| entry.with_scopes(vec!["a".into(), "b".into()])).expect("an entry");
    file.add(entry.clone()).expect("added");
    assert_eq!(file.read().expect("a file").expect("tokens").last(), Some(&entry), "the entry is read back unchanged");
    let lease = async |token: &str, scopes: &[&str]| {
        let worker = HubClient::with_options(std::slice::from_ref(&hub.address), ClientOptions::with_token(token));
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let request = LeaseRequest {
            worker: "w".into(),
            scopes,
            reverse: false,
            count: 1,
            wait_ms: 0,
            ..LeaseRequest::default()
        };
        worker.expect("a client").lease(&request).await.map_err(|error| error.to_string())
    };
    for scopes in [&["a"][..], &["b", "a"]] {
        assert!(lease("of-a-and-b", scopes).await.is_ok(), "{scopes:?}");
    }
    let refused = lease("of-a-and-b", &["a", "c"]).await.expect_err("a refusal");
    assert!(refused.contains("`c`") && refused.contains("of a,b") && refused.contains("--scopes"), "{refused}");
    assert!(lease("worker", &["c"]).await.is_ok());
}

#[tokio::test]
async fn an_invoker_starts_and_reads_only_runs_of_its_pipelines() {
    let hub = GuardedServer::hub().await;
    let file = TokenFile::new(hub.folder.path().join("bue.tokens"));
    let entry = TokenEntry::new("of-a", Role::Invoker, "website", Timestamp(0));
    let entry = entry.and_then(|entry| entry.with_pipelines(vec!["a".into(), "a.2".into()])).expect("an entry");
    file.add(entry.clone()).expect("added");
    assert_eq!(file.read().expect("a file").expect("tokens").last(), Some(&entry), "the entry is read back unchanged");
    let client = |token: &str| {
        let client = HubClient::with_options(std::slice::from_ref(&hub.address), ClientOptions::with_token(token));
        client.expect("a client")
    };
    let (submitter, of_all, of_a) = (client("submitter"), client("invoker"), client("of-a"));
    for name in ["a", "b"] {
        submitter.publish(name, &publication()).await.expect("published");
    }
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let submitted = submitter.submit(&submission(7, script.plan())).await.expect("a run");

    let invocation = || r#"{"params": {"day": "2026-11-01"}}"#.to_owned();
    let run_of_a = of_a.invoke("a", invocation(), false).await.expect("a run").run;
    let run_of_b = of_all.invoke("b", invocation(), false).await.expect("a run").run;
    for reader in [&of_a, &of_all] {
        assert_eq!(reader.run(run_of_a, None, 0).await.expect("its run").id, run_of_a);
        assert_eq!(reader.pipeline("a").await.expect("its pipeline").name, "a");
        assert!(reader.run(submitted, None, 0).await.expect_err("no pipeline's run").to_string().contains("no run"));
        assert!(reader.runs().await.expect_err("not all runs").to_string().contains("invoker"));
    }
    assert!(of_all.run(run_of_b, None, 0).await.is_ok());
    let refused = of_a.invoke("b", invocation(), false).await.expect_err("another pipeline").to_string();
    assert!(refused.contains("for the pipelines a,a.2") && refused.contains("--pipelines"), "{refused}");
    assert!(of_a.pipeline("b").await.is_err() && of_a.invoke_batch("b", "[]".to_owned()).await.is_err());
    assert!(of_a.run(run_of_b, None, 0).await.expect_err("another's run").to_string().contains("no run"));

    // the same for runs again: no other code, and no hashes of code
    let operator = client("operator");
    for run in [run_of_a, run_of_b, submitted] {
        operator.cancel_run(run).await.expect("cancelled");
    }
    let again = of_a.rerun(run_of_a, r#"{"params": {"day": "2026-11-02"}}"#.to_owned()).await.expect("a run").run;
    assert_eq!(of_a.run(again, None, 0).await.expect("its run").rerun_of, Some(run_of_a));
    for (reader, run) in [(&of_a, run_of_b), (&of_a, submitted), (&of_all, submitted)] {
        let refused = [reader.rerun(run, String::new()).await.map(drop), reader.run_plan(run).await.map(drop)];
        assert!(refused.iter().all(|one| one.as_ref().expect_err("another's run").to_string().contains("no run")));
    }
    let plan = of_a.run_plan(again).await.expect("its plan");
    assert_eq!((plan.params[0].default.as_ref(), plan.steps.len()), (Some(&"2026-11-02".into()), 0));
    assert_eq!(submitter.run_plan(again).await.expect("its plan").steps.len(), 1);
    let hash = "00".repeat(32);
    let replace = format!(
        r#"{{"replace": [{{"step": "a", "language": "python", "function": "f", "file": "f.py", "code": "{hash}", "bytes": 1}}]}}"#
    );
    let refused = of_a.rerun(run_of_a, replace.clone()).await.expect_err("other code").to_string();
    assert!(refused.contains("invoker"), "{refused}");
    submitter.rerun(run_of_a, replace).await.expect("a run");
    assert!(
        client("viewer").rerun(run_of_a, String::new()).await.expect_err("a viewer").to_string().contains("viewer")
    );
}

/// A worker whose token is for other scopes, the same worker under a new token of the same name, and a guess: none can report or
/// extend a lease that was granted to another.
#[tokio::test]
async fn a_lease_can_be_used_only_with_the_access_token_it_was_granted_to() {
    let hub = GuardedServer::hub().await;
    let file = TokenFile::new(hub.folder.path().join("bue.tokens"));
    let add_worker = |token: &str, scope: &str| {
        let entry = TokenEntry::new(token, Role::Worker, token, Timestamp(0));
        file.add(entry.and_then(|entry| entry.with_scopes(vec![scope.to_owned()])).expect("an entry")).expect("added");
    };
    add_worker("holder", "default");
    add_worker("forger", "other");
    let client = |token: &str| {
        let client = HubClient::with_options(std::slice::from_ref(&hub.address), ClientOptions::with_token(token));
        client.expect("a client")
    };
    let mut script = Script::new();
    script.call(&["a"], &[]);
    let run = client("submitter").submit(&submission(7, script.plan())).await.expect("a run");
    let (scopes, worker) = (vec!["default".to_owned()], "w".to_owned());
    let request = LeaseRequest { worker: worker.clone(), scopes, count: 1, ..LeaseRequest::default() };
    let lease = client("holder").lease(&request).await.expect("leases").leases.remove(0);
    assert_ne!(lease.token.seal, [0; 16], "a lease is sealed");

    let report = |token: Token| {
        let outcome = completed("7");
        let report =
            Report { job: lease.job, token, outcome, log: None, arguments: Vec::new(), usage: AttemptUsage::of_ms(1) };
        ReportBatch { worker: worker.clone(), reports: vec![report] }
    };
    let heartbeat = |token: Token| Heartbeat {
        worker: worker.clone(),
        leases: vec![(lease.job, token)],
        status: WorkerStatus::default(),
    };
    let guess = Token::unsealed(lease.token.number);
    for (sender, token) in [("forger", guess), ("forger", lease.token), ("worker", lease.token), ("holder", guess)] {
        let verdicts = client(sender).report(&report(token)).await.expect("verdicts");
        assert_eq!(verdicts, [Verdict::LeaseLost], "{sender} with {token:?}");
        let answer = client(sender).heartbeat(&heartbeat(token)).await.expect("an answer");
        assert_eq!(answer.lost, [lease.job], "{sender} with {token:?}");
    }
    let state = async || client("viewer").run(run, None, 0).await.expect("a view").state;
    assert_eq!(state().await, RunState::Running, "nothing of it counted");

    let holder = client("holder");
    assert_eq!(holder.heartbeat(&heartbeat(lease.token)).await.expect("an answer").lost, []);
    // one batch with a forged report between genuine ones: each gets its own verdict
    let mut batch = report(lease.token);
    batch.reports = [report(guess).reports, batch.reports, report(guess).reports].concat();
    let verdicts = holder.report(&batch).await.expect("verdicts");
    assert_eq!(verdicts, [Verdict::LeaseLost, Verdict::Accepted, Verdict::LeaseLost]);
    assert_eq!(state().await, RunState::Completed);
}

/// Bodies, ids and queries that make no sense: each is an error of the client, in the usual form, and changes nothing.
#[tokio::test]
async fn every_route_survives_arbitrary_bytes() {
    let (hub, bucket) = (GuardedServer::hub().await, GuardedServer::bucket().await);
    let garbage: Vec<u8> = (0..5_000u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    for server in [&hub, &bucket] {
        for route in server.routes.iter().filter(|route| route.path.contains('{') || route.method == "POST") {
            for id in ["9", "-1", "99999999999999999999", "%00", "a%ffb", "..", "00000000-0000-0000-0000-00000000000g"]
            {
                for kind in ["", "application/json", "application/vnd.bue.postcard", "text/html"] {
                    let path = route.path.replace("{id}", id).replace("{hash}", id).replace("{key...}", id);
                    let path = path.replace("{upload}", id);
                    let head = format!(
                        "{} {path}?seen=-1&wait_ms=x&call=9999999999&round=-7 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer admin\r\n\
                         content-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                        route.method,
                        garbage.len()
                    );
                    let answer = send_bytes(&server.address, &[head.as_bytes(), &garbage].concat()).await;
                    let is_key = route.path.contains("{key") && !["%00", "a%ffb", ".."].contains(&id);
                    let is_stored = is_key && [200, 404].contains(&answer.status);
                    let name = format!("{} {path} as `{kind}`: {} {}", route.method, answer.status, answer.body);
                    assert!(is_stored || (400..500).contains(&answer.status), "{name}");
                    assert!(
                        is_stored || route.method == "HEAD" || answer.body.starts_with("{\"error\":{\"code\":\""),
                        "{name}"
                    );
                }
            }
        }
    }
    let viewer = ClientOptions::with_token("viewer");
    let client = HubClient::with_options(std::slice::from_ref(&hub.address), viewer.clone());
    assert_eq!(client.expect("a client").runs().await.expect("the server is alive"), []);
    let client = BucketClient::with_options(&bucket.address, viewer).expect("a client");
    client.ping().await.expect("the server is alive");
}

/// A body above the limit is refused before it is read, and a client without a token is refused before that.
#[tokio::test]
async fn a_giant_body_is_refused_on_every_route_that_reads_one() {
    let (hub, bucket) = (GuardedServer::hub().await, GuardedServer::bucket().await);
    for (server, method, path) in [
        (&hub, "POST", "/v1/runs"),
        (&hub, "POST", "/v1/leases"),
        (&hub, "POST", "/v1/heartbeats"),
        (&hub, "POST", "/v1/outcomes"),
        (&hub, "POST", "/v1/pieces"),
        (&bucket, "PUT", "/v1/keys/a"),
        (&bucket, "PUT", "/v1/uploads/00000000-0000-0000-0000-000000000009?part=0"),
        (&bucket, "POST", "/v1/collections"),
    ] {
        for (authorization, status) in [("authorization: Bearer admin\r\n", 413), ("", 401)] {
            let head = format!(
                "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{authorization}content-type: application/vnd.bue.postcard\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n",
                u64::MAX / 4
            );
            let answer = send_bytes(&server.address, head.as_bytes()).await;
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
            expect_error(&answer, if status == 413 { "too_large" } else { "token" }, "");
        }
    }
}

/// The document has every route and no other, shows which ones need a token, and contains every schema it refers to.
#[tokio::test]
async fn the_openapi_document_has_every_route() {
    for server in [GuardedServer::hub().await, GuardedServer::bucket().await] {
        let head = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer worker\r\nconnection: close\r\n\r\n";
        let answer = send_bytes(&server.address, head.as_bytes()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let document: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
        let paths = document["paths"].as_object().expect("paths");
        let operations: usize = paths.values().map(|path| path.as_object().expect("methods").len()).sum();
        assert_eq!(operations, server.routes.len());
        for route in &server.routes {
            let operation = &paths[&route.path.replace("...}", "}")][route.method.to_lowercase()];
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{}", route.path);
            assert_eq!(operation["responses"]["401"].is_object(), route.roles.is_some(), "{}", route.path);
            let roles = route.roles.iter().flatten().map(|role| role.name()).collect::<Vec<_>>().join(", ");
            assert!(operation["description"].as_str().is_some_and(|text| text.contains(&roles)), "{}", route.path);
        }
        for name in answer.body.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
