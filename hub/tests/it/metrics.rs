//! `/metrics`, `/healthz` and `/readyz` of both servers, as Prometheus would read them.

use std::sync::Arc;
use std::time::Duration;

use bue_client::{BucketClient, HubClient};
use bue_hub::{Access, BlobStore, Bucket, Durability, Hub, SqliteStore, serve_bucket, serve_hub};
use bue_model::wire::{LeaseRequest, Report, ReportBatch};
use bue_model::{RunId, Token};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use uuid::Uuid;

use crate::http::raw;
use crate::script::{Script, submission};
use crate::world::completed;

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    (listener, address)
}

/// The value of a line of metrics.
async fn number(address: &str, line: &str) -> Option<f64> {
    let answer = raw(address, "GET", "/metrics", "", b"").await;
    assert!(answer.status == 200 && answer.head.contains("openmetrics-text"), "{}", answer.head);
    assert!(answer.body.ends_with("# EOF\n"), "{}", answer.body);
    let found = answer.body.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '))?;
    Some(found.parse().expect("a number"))
}

async fn expect(address: &str, lines: &[(&str, f64)]) {
    for (line, value) in lines {
        assert_eq!(number(address, line).await, Some(*value), "{line}");
    }
}

#[tokio::test]
async fn a_hub_counts_what_it_does() {
    let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store");
    let (listener, address) = listen().await;
    tokio::spawn(serve_hub(listener, Hub::new(Arc::new(store)), std::future::pending()));
    let client = Arc::new(HubClient::new(std::slice::from_ref(&address)).expect("a client"));
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    script.call(&["c"], &[]);
    let run = client.submit(&submission(7, script.plan())).await.expect("a run");
    let ask = |count, wait_ms| LeaseRequest {
        worker: "w1".into(),
        scopes: vec!["default".into()],
        reverse: false,
        count,
        wait_ms,
    };
    let batch = client.lease(&ask(1, 0)).await.expect("leases");
    let report = |token| {
        let lease = &batch.leases[0];
        let report = Report { job: lease.job, token, outcome: completed("1"), log: None, run_ms: 1 };
        ReportBatch { worker: "w1".into(), reports: vec![report] }
    };
    client.report(&report(Token(99))).await.expect("verdicts");
    client.report(&report(batch.leases[0].token)).await.expect("verdicts");
    client.run(RunId(Uuid::from_u128(9)), None, 0).await.expect_err("no such run");
    raw(&address, "GET", "/a/path/nobody/has", "", b"").await;
    let expected = [
        ("bue_leases_total", 1.0),
        ("bue_outcomes_total{outcome=\"completed\"}", 1.0),
        ("bue_outcomes_total{outcome=\"stale\"}", 1.0),
        ("bue_jobs{scope=\"default\",state=\"available\"}", 2.0),
        ("bue_jobs{scope=\"default\",state=\"completed\"}", 1.0),
        ("bue_jobs{scope=\"default\",state=\"running\"}", 0.0),
        ("bue_open_runs", 1.0),
        ("bue_workers", 1.0),
        ("bue_requests_total{method=\"POST\",route=\"/v1/runs\",status=\"200\"}", 1.0),
        ("bue_requests_total{method=\"GET\",route=\"/v1/runs/{id}\",status=\"404\"}", 1.0),
        ("bue_requests_total{method=\"GET\",route=\"other\",status=\"404\"}", 1.0),
        ("bue_request_seconds_count{method=\"POST\",route=\"/v1/outcomes\"}", 2.0),
        (concat!("bue_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\",server=\"hub\"}"), 1.0),
        ("bue_long_polls", 0.0),
        ("bue_event_listeners", 0.0),
    ];
    expect(&address, &expected).await;
    assert!(number(&address, "bue_commit_seconds_count").await >= Some(4.0));
    assert!(number(&address, "bue_commit_requests_sum").await >= Some(4.0));

    // who waits is counted while it waits
    let seen = client.run(run, None, 0).await.expect("the run").version;
    let mut events = TcpStream::connect(&address).await.expect("a connection");
    events.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    assert!(events.read(&mut [0; 1024]).await.expect("an answer") > 0);
    let waiting = client.clone();
    let waiting = tokio::spawn(async move { waiting.run(run, Some(seen), 60_000).await });
    while number(&address, "bue_long_polls").await != Some(1.0) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    expect(&address, &[("bue_event_listeners", 1.0)]).await;
    client.cancel_run(run).await.expect("cancelled");
    waiting.await.expect("no panic").expect("the run");
    drop(events);
    while number(&address, "bue_long_polls").await != Some(0.0)
        || number(&address, "bue_event_listeners").await != Some(0.0)
    {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_bucket_counts_its_requests_and_says_whether_it_can_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let blobs = BlobStore::open(folder.path(), Durability::Off).expect("a store");
    let (listener, address) = listen().await;
    tokio::spawn(serve_bucket(listener, Bucket::new(blobs, Access::open()), std::future::pending()));
    let client = BucketClient::new(&address).expect("a client");
    client.put(RunId(Uuid::from_u128(1)), Bytes::from_static(b"abc")).await.expect("stored");
    let requests = "bue_requests_total{method=\"PUT\",route=\"/v1/blobs/{hash}\",status=\"200\"}";
    expect(&address, &[(requests, 1.0)]).await;
    assert_eq!(raw(&address, "GET", "/readyz", "", b"").await.status, 200);
    // root may write where nobody may, so the folder goes away altogether
    std::fs::remove_dir_all(folder.path().join("part")).expect("removed");
    let answer = raw(&address, "GET", "/readyz", "", b"").await;
    assert!(answer.status == 503 && answer.body.contains("\"code\":\"disk\""), "{}", answer.body);
    assert_eq!(raw(&address, "GET", "/healthz", "", b"").await.status, 200, "the process lives");
}
