//! `/metrics`, `/healthz` and `/readyz` of both servers, as Prometheus and a load balancer read them.

use std::sync::Arc;
use std::time::Duration;

use bue_client::{BucketClient, HubClient};
use bue_hub::{Access, BlobStore, Bucket, Durability, Hub, SqliteStore};
use bue_model::attempt::AttemptUsage;
use bue_model::wire::{LeaseRequest, Report, ReportBatch, WorkerAbilities};
use bue_model::{RunId, Token};
use bue_test_support::wait::{wait_until_async, within_deadline};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::raw_http::{metric, raw_request};
use crate::script::{Script, submission};
use crate::servers::{spawn_bucket, spawn_hub};
use crate::world::completed;

/// Asserts the values of metrics, given by their names and labels.
async fn expect_metrics(address: &str, metrics: &[(&str, f64)]) {
    for (name, value) in metrics {
        assert_eq!(metric(address, name).await, Some(*value), "{name}");
    }
}

#[tokio::test]
async fn a_hub_counts_what_it_does() {
    let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store");
    let address = spawn_hub(Hub::new(Arc::new(store))).await;
    let client = Arc::new(HubClient::new(std::slice::from_ref(&address)).expect("a client"));
    let wall = ["seccomp", "no-dumps", "a-moat"].map(str::to_owned).to_vec();
    let abilities = WorkerAbilities { wall, ..WorkerAbilities::default() };
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
        abilities: abilities.clone(),
        ..LeaseRequest::default()
    };
    let batch = client.lease(&ask(1, 0)).await.expect("leases");
    let report = |token| {
        let lease = &batch.leases[0];
        let report = Report {
            job: lease.job,
            token,
            outcome: completed("1"),
            log: None,
            arguments: Vec::new(),
            usage: AttemptUsage::of_ms(1),
        };
        ReportBatch { worker: "w1".into(), reports: vec![report] }
    };
    client.report(&report(Token::unsealed(99))).await.expect("verdicts");
    client.report(&report(batch.leases[0].token)).await.expect("verdicts");
    client.run(RunId(Uuid::from_u128(9)), None, 0).await.expect_err("no such run");
    raw_request(&address, "GET", "/an/unknown/path", "", b"").await;
    let expected = [
        ("bue_leases_total", 1.0),
        ("bue_outcomes_total{outcome=\"completed\"}", 1.0),
        ("bue_outcomes_total{outcome=\"stale\"}", 1.0),
        ("bue_jobs{scope=\"default\",state=\"available\"}", 2.0),
        ("bue_jobs{scope=\"default\",state=\"completed\"}", 1.0),
        ("bue_jobs{scope=\"default\",state=\"running\"}", 0.0),
        ("bue_open_runs", 1.0),
        ("bue_workers", 1.0),
        ("bue_worker_walls{part=\"seccomp\"}", 1.0),
        ("bue_worker_walls{part=\"landlock\"}", 0.0),
        ("bue_requests_total{method=\"POST\",route=\"/v1/runs\",status=\"200\"}", 1.0),
        ("bue_requests_total{method=\"GET\",route=\"/v1/runs/{id}\",status=\"404\"}", 1.0),
        ("bue_requests_total{method=\"GET\",route=\"other\",status=\"404\"}", 1.0),
        ("bue_request_seconds_count{method=\"POST\",route=\"/v1/outcomes\"}", 2.0),
        (concat!("bue_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\",server=\"hub\"}"), 1.0),
        ("bue_long_polls", 0.0),
        ("bue_event_listeners", 0.0),
    ];
    expect_metrics(&address, &expected).await;
    assert!(metric(&address, "bue_commit_seconds_count").await >= Some(4.0));
    assert!(metric(&address, "bue_commit_requests_sum").await >= Some(4.0));

    // waiting requests are counted while they wait
    let seen = client.run(run, None, 0).await.expect("the run").version;
    let mut events = TcpStream::connect(&address).await.expect("a connection");
    events.write_all(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sent");
    let read = within_deadline("the event stream", events.read(&mut [0; 1024])).await;
    assert!(read.expect("a response") > 0);
    let waiting = client.clone();
    let waiting = tokio::spawn(async move { waiting.run(run, Some(seen), 60_000).await });
    let is_polling = async || metric(&address, "bue_long_polls").await == Some(1.0);
    wait_until_async("the long poll is counted", is_polling).await;
    expect_metrics(&address, &[("bue_event_listeners", 1.0)]).await;
    client.cancel_run(run).await.expect("cancelled");
    waiting.await.expect("no panic").expect("the run");
    drop(events);
    let is_idle = async || {
        metric(&address, "bue_long_polls").await == Some(0.0)
            && metric(&address, "bue_event_listeners").await == Some(0.0)
    };
    wait_until_async("neither is counted any more", is_idle).await;
}

#[tokio::test]
async fn a_bucket_counts_its_requests_and_reports_whether_it_can_store() {
    let folder = tempfile::tempdir().expect("a folder");
    let blobs = BlobStore::open(folder.path(), Durability::Off).expect("a store");
    let address = spawn_bucket(Bucket::new(blobs, Access::open())).await;
    let client = BucketClient::new(&address).expect("a client");
    client.put(RunId(Uuid::from_u128(1)), Bytes::from_static(b"abc")).await.expect("stored");
    let requests = "bue_requests_total{method=\"PUT\",route=\"/v1/blobs/{hash}\",status=\"200\"}";
    expect_metrics(&address, &[(requests, 1.0)]).await;
    assert_eq!(raw_request(&address, "GET", "/readyz", "", b"").await.status, 200);
    // root may write to read-only folders, so the folder is removed instead
    std::fs::remove_dir_all(folder.path().join("part")).expect("removed");
    // a bucket that was found ready counts as ready for a moment
    let answer = within_deadline("a bucket that is not ready", async {
        loop {
            let answer = raw_request(&address, "GET", "/readyz", "", b"").await;
            if answer.status != 200 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    assert!(answer.status == 503 && answer.body.contains("\"code\":\"disk\""), "{}", answer.body);
    assert_eq!(raw_request(&address, "GET", "/healthz", "", b"").await.status, 200, "the process is running");
}
