//! What pages show and send of values and code: downloads of any length, tracebacks with source, and refreshes without a frame.

use std::sync::Arc;

use bue_client::BucketClient;
use bue_hub::{Access, BlobStore, Bucket, BundleFuture, BundleReader, Durability, Hub, JobStore, SqliteStore};
use bue_model::wire::Submission;
use bue_model::{BlobRef, Bundle, Failure, FailureKind, Outcome, RunId, SourceFile, Timestamp, Value};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::raw_http::{RawResponse, raw_request_with};
use crate::script::{Script, submission};
use crate::servers::{spawn_bucket, spawn_hub};
use crate::web::{NOW, WebHub, expect_page, result};
use crate::world::{World, list};

/// Runs a loop of this many rounds, each of which returns a row with a text of 50,000 bytes.
async fn many_results(hub: &mut WebHub, rounds: u32) -> RunId {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, element| script.call(&["row"], &[element]));
    let run = hub.world.submit(script).await;
    hub.world.lease_and_report("source", list(rounds)).await;
    let mut number = 0;
    hub.world
        .run_all(|_| {
            number += 1;
            let field = |name: &str, value: String| (Value::Text(name.to_owned()), Value::Text(value));
            let mut fields = vec![field("text", "x".repeat(50_000))];
            // a column that only the last page has
            if number == rounds {
                fields.push(field("last", "=1".to_owned()));
            }
            result(&Value::Map(fields))
        })
        .await;
    run
}

#[tokio::test]
async fn downloads_contain_all_results_whatever_a_page_has() {
    let mut hub = WebHub::open().await;
    let run = many_results(&mut hub, 200).await;
    let path = format!("/v1/runs/{run}/results");
    let first = raw_request_with(&hub.address, "GET", &path, &[("accept", "application/json")], b"").await.body;
    let first: Json = serde_json::from_str(&first).expect("JSON");
    assert!(first["next"].is_string(), "they are on several pages");
    let file = hub.get(&format!("/runs/{run}/results.json")).await;
    assert!(file.head.contains(&format!("filename=\"results-{run}.json\"")), "{}", file.head);
    let all: Json = serde_json::from_str(&file.body).expect("JSON");
    assert_eq!((&all["run"], &all["state"], &all["next"]), (&first["run"], &first["state"], &Json::Null));
    let calls = all["results"].as_array().expect("a list");
    let rows: Vec<&Json> = calls.iter().filter(|call| call["call"] == 1).collect();
    let count = |call: &Json| call["value"].as_array().map_or(0, Vec::len) as u64;
    assert_eq!(rows.iter().map(|call| count(call)).sum::<u64>(), 200);
    let mut next = 0;
    for call in rows {
        assert_eq!(call["first_round"], next, "each part says where it begins");
        next += count(call);
    }
    let csv = hub.get(&format!("/runs/{run}/results.csv")).await.body;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!((lines.len(), lines[0]), (1 + 200, "call,last,text"), "a header and the rows");
    assert!(lines.last().is_some_and(|line| line.contains(",'=1,xxx")), "the last page is there");
    // from a page on
    let after = first["next"].as_str().expect("a position");
    let rest = hub.get(&format!("/runs/{run}/results.json?after={after}")).await.body;
    assert!(rest.len() < file.body.len() && serde_json::from_str::<Json>(&rest).is_ok());
    for (path, status) in [("results.json?after=x", 400), ("results.csv?after=x", 400), ("results.csv?limit=x", 200)] {
        assert_eq!(hub.get(&format!("/runs/{run}/{path}")).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_value_that_is_too_deep_for_a_table_or_a_tree_is_refused_and_not_left_out() {
    let mut hub = WebHub::open().await;
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, element| script.call(&["deep"], &[element]));
    let run = hub.world.submit(script).await;
    hub.world.lease_and_report("source", list(1)).await;
    // as deep as values can be, inside the list of the rounds
    let deep = (0..127).fold(Value::Int(7), |inner, _| Value::List(vec![inner]));
    hub.world.lease_and_report("deep", result(&deep)).await;
    let table = hub.get(&format!("/runs/{run}/results.csv")).await;
    assert!(table.status == 422 && table.body.contains("nested too deeply"), "{} {}", table.status, table.body);
    let page = hub.get(&format!("/runs/{run}?tab=results")).await;
    expect_page(&page, 200, "results");
    assert!(page.body.contains("Download it as JSON") && !page.body.contains("no results"), "{}", page.body);
    let file = hub.get(&format!("/runs/{run}/results.json")).await;
    assert!(file.status == 200 && file.body.contains(&"[".repeat(128)), "{}", file.body);
}

/// Reads bundles through a real bucket, as `bue hub` does.
struct Reader(BucketClient);

impl BundleReader for Reader {
    fn read(&self, code: BlobRef) -> BundleFuture<'_> {
        Box::pin(async move { self.0.get(&code).await.map_err(|error| error.to_string()) })
    }
}

/// A bucket and a hub that knows it.
struct CodeHub {
    address: String,
    world: World,
    bucket: BucketClient,
    _folder: TempDir,
}

impl CodeHub {
    async fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let blobs = BlobStore::open(folder.path(), Durability::Off).expect("a store");
        let bucket = spawn_bucket(Bucket::new(blobs, Access::open())).await;
        let client = || BucketClient::new(&bucket).expect("a client");
        let store: Arc<dyn JobStore> =
            Arc::new(SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store"));
        let hub = Hub::with_clock(store.clone(), Arc::new(|| Timestamp(NOW))).with_bundles(Arc::new(Reader(client())));
        let mut world = World::new(store);
        world.now = NOW;
        Self { address: spawn_hub(hub).await, world, bucket: client(), _folder: folder }
    }

    /// A job of this code that failed; returns its page.
    async fn failed(&mut self, number: u128, code: BlobRef, trace: &str) -> RawResponse {
        let mut script = Script::new();
        script.call(&["load"], &[]);
        let submitted = Submission { code: vec![code], ..submission(number, script.plan()) };
        self.world.store.submit(Timestamp(NOW), submitted).await.expect("a run");
        let trace = Some(trace.to_owned());
        let outcome = Outcome::Failed(Failure { trace, ..Failure::new(FailureKind::Raised, "no") });
        let job = self.world.lease_and_report("load", outcome).await.job();
        let path = format!("/jobs/{job}");
        let answer = raw_request_with(&self.address, "GET", &path, &[], b"").await;
        expect_page(&answer, 200, &path);
        answer
    }
}

#[tokio::test]
async fn a_traceback_has_the_source_around_each_frame() {
    let mut hub = CodeHub::start().await;
    let text = "def load():\n    rows = []\n    \"<script>\u{202e}\"\n    return rows[7]\n";
    let file = SourceFile { path: "load.py".into(), content: text.into() };
    let bundle = Bundle { entry: "load.py".into(), first_line: 5, files: vec![file], packages: Vec::new() };
    let bytes = postcard::to_extend(&bundle, Vec::new()).expect("bytes");
    let code = hub.bucket.put(RunId(uuid::Uuid::nil()), bytes.into()).await.expect("stored");
    let trace =
        "Traceback (most recent call last):\n  File \"load.py\", line 8, in load\n    return rows[7]\nIndexError: no\n";
    let page = hub.failed(1, code, trace).await.body;
    assert!(page.contains("<mark>&gt;     8      return rows[7]\n</mark>"), "{page}");
    assert!(page.contains("      6      rows = []\n") && page.contains("&lt;script&gt;\\u{202e}"), "{page}");
    // code that is gone, too large or no bundle: the text as it was reported
    let garbage = hub.bucket.put(RunId(uuid::Uuid::nil()), vec![0xff; 100].into()).await.expect("stored");
    let gone = BlobRef { hash: bue_model::BlobHash([9; 32]), len: 100 };
    let large = BlobRef { len: 1 << 30, ..gone };
    for (number, code) in (2..).zip([garbage, gone, large]) {
        let page = hub.failed(number, code, trace).await.body;
        assert!(page.contains("return rows[7]\nIndexError: no") && !page.contains("<mark>"), "{page}");
    }
}

#[tokio::test]
async fn a_refresh_has_the_content_of_the_page_and_no_frame() {
    let mut hub = WebHub::with_tokens().await;
    let (run, job) = hub.failed_run().await;
    let refresh = async |role: &str, path: &str| {
        let bearer = format!("Bearer {role}");
        let headers = [("authorization", bearer.as_str()), ("bue-refresh", "1")];
        raw_request_with(&hub.address, "GET", path, &headers, b"").await
    };
    let main = |body: &str| {
        let (_, rest) = body.split_once("<main").expect("a main part");
        rest.split_once("</main>").expect("its end").0.to_owned()
    };
    let paths =
        ["/".to_owned(), "/runs".to_owned(), format!("/runs/{run}"), format!("/jobs/{job}"), "/errors".to_owned()];
    for path in &paths {
        for role in ["viewer", "operator"] {
            let (whole, part) = (hub.get_as(role, path).await, refresh(role, path).await);
            assert_eq!((part.status, main(&part.body)), (200, main(&whole.body)), "{role} {path}");
            assert!(part.body.contains("data-version=\"") && part.body.contains("<title>"), "{}", part.body);
            assert!(!part.body.contains("Log out") && !part.body.contains("aria-label=\"Main\""), "{}", part.body);
            assert!(part.head.contains("cache-control: no-store") && part.head.contains("content-security-policy"));
        }
    }
    let reset = format!("action=\"/runs/{run}/reset\"");
    assert!(refresh("operator", &paths[2]).await.body.contains(&reset), "a role's answer is not that of another");
    assert!(!refresh("viewer", &paths[2]).await.body.contains(&reset));
    // what does not change is not sent again
    let results = format!("/runs/{run}?tab=results");
    assert!(hub.get_as("viewer", &results).await.body.contains("results.csv"));
    assert!(!refresh("viewer", &results).await.body.contains("results.csv"));
    // permissions are those of any other request
    assert_eq!(refresh("worker", "/runs").await.status, 403);
    assert_eq!(refresh("nobody", "/runs").await.status, 303, "to the login");
    assert_eq!(refresh("viewer", "/runs/00000000-0000-0000-0000-000000000099").await.status, 404);
    // and a change is in the next answer, however soon it is asked for
    assert!(!refresh("viewer", "/runs").await.body.contains("new.bue"));
    let mut script = Script::new();
    script.call(&["one"], &[]);
    let submitted = Submission { name: "new.bue".into(), ..submission(77, script.plan()) };
    hub.world.store.submit(Timestamp(NOW), submitted).await.expect("a run");
    assert!(refresh("viewer", "/runs").await.body.contains("new.bue"));
}
