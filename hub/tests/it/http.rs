//! The hub over HTTP: with the real client, and with bytes no client of ours would send.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bue_client::{ClientError, HubClient};
use bue_hub::{Durability, Hub, JobStore, SqliteStore, serve_hub};
use bue_model::wire::{CONTENT_TYPE, Heartbeat, LeaseRequest, MAX_MESSAGE, Report, ReportBatch, Verdict, WIRE_VERSION};
use bue_model::{JobId, Outcome, RunId, RunState};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::script::{Script, submission};
use crate::world::{completed, round_text};

/// Long enough for any machine; a test that waits for it has failed.
const LONG: Duration = Duration::from_secs(20);

/// A hub on port 0.
struct Served {
    address: String,
    client: Arc<HubClient>,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl Served {
    async fn start() -> Self {
        let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store");
        let store: Arc<dyn JobStore> = Arc::new(store);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let server = tokio::spawn(serve_hub(listener, Hub::new(store), shutdown));
        let client = Arc::new(HubClient::new(std::slice::from_ref(&address)).expect("a client"));
        Self { address, client, stop: Some(stop), server }
    }

    async fn ask(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Bare {
        raw(&self.address, method, path, content_type, body).await
    }
}

/// An answer, read without our client.
pub(crate) struct Bare {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// One request of whatever bytes; the connection is closed behind it.
pub(crate) async fn raw(address: &str, method: &str, path: &str, content_type: &str, body: &[u8]) -> Bare {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    );
    send(address, &[head.as_bytes(), body].concat()).await
}

pub(crate) async fn send(address: &str, bytes: &[u8]) -> Bare {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    // the server may answer, and close, before it has read everything
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut answer)).await.expect("an answer in time");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Bare { status, head: head.to_lowercase(), body: body.to_owned() }
}

fn two_steps() -> Script {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    script
}

fn ask_for(count: u32, wait_ms: u64) -> LeaseRequest {
    LeaseRequest { worker: "w1".into(), scopes: vec!["default".into()], reverse: false, count, wait_ms }
}

fn answered(lease: &bue_model::wire::Lease, outcome: Outcome) -> ReportBatch {
    let report = Report { job: lease.job, token: lease.token, outcome, log: None, run_ms: 1 };
    ReportBatch { worker: "w1".into(), reports: vec![report] }
}

#[tokio::test]
async fn a_run_goes_through_the_real_client() {
    let hub = Served::start().await;
    let run = hub.client.submit(&submission(7, two_steps().plan())).await.expect("a run");
    for text in ["1", "2"] {
        let batch = hub.client.lease(&ask_for(5, 0)).await.expect("leases");
        let [lease] = batch.leases.as_slice() else { panic!("one job") };
        let heartbeat = Heartbeat { worker: "w1".into(), leases: vec![(lease.job, lease.token)] };
        assert_eq!(hub.client.heartbeat(&heartbeat).await.expect("an answer").lost, []);
        assert_eq!(hub.client.job(lease.job).await.expect("the job").attempts, 0);
        let report = answered(lease, completed(text));
        assert_eq!(hub.client.report(&report).await.expect("verdicts"), [Verdict::Accepted]);
        assert_eq!(hub.client.logs(lease.job).await.expect("an answer"), None);
    }
    let view = hub.client.run(run, None, 0).await.expect("the run");
    assert_eq!((view.id, view.state), (run, RunState::Completed));
    assert_eq!(hub.client.runs().await.expect("runs"), [view]);
    let results = hub.client.results(run).await.expect("results");
    assert_eq!(round_text(&results.results[0].value), "2");
}

#[tokio::test]
async fn the_client_puts_pages_of_results_together() {
    let hub = Served::start().await;
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["a"], &[x]));
    script.call(&["end"], &[]);
    let run = hub.client.submit(&submission(7, script.plan())).await.expect("a run");
    let long = "x".repeat(60_000);
    loop {
        let batch = hub.client.lease(&ask_for(50, 0)).await.expect("leases");
        let reports = batch.leases.iter().map(|lease| {
            let outcome = match batch.steps[lease.step as usize].name.as_str() {
                "source" => crate::world::list(200),
                _ => completed(&long),
            };
            answered(lease, outcome).reports.remove(0)
        });
        let reports: Vec<_> = reports.collect();
        if reports.is_empty() {
            break;
        }
        hub.client.report(&ReportBatch { worker: "w1".into(), reports }).await.expect("verdicts");
    }
    let results = hub.client.results(run).await.expect("results");
    assert_eq!((results.results.len(), results.next), (3, None));
    assert_eq!(round_text(&results.results[1].value).len(), 200 * 60_001 + 1);
}

#[tokio::test]
async fn a_waiting_worker_is_woken_by_new_work() {
    let hub = Served::start().await;
    let client = hub.client.clone();
    let waiting = tokio::spawn(async move { client.lease(&ask_for(1, 60_000)).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    let started = Instant::now();
    hub.client.submit(&submission(7, two_steps().plan())).await.expect("a run");
    let batch = waiting.await.expect("no panic").expect("leases");
    assert_eq!(batch.leases.len(), 1);
    assert!(started.elapsed() < LONG);
    // and by a child that becomes ready
    let client = hub.client.clone();
    let waiting = tokio::spawn(async move { client.lease(&ask_for(1, 60_000)).await });
    hub.client.report(&answered(&batch.leases[0], completed("1"))).await.expect("verdicts");
    assert_eq!(waiting.await.expect("no panic").expect("leases").leases.len(), 1);
}

#[tokio::test]
async fn a_waiting_worker_is_woken_when_a_parked_job_is_due() {
    let hub = Served::start().await;
    hub.client.submit(&submission(7, two_steps().plan())).await.expect("a run");
    let batch = hub.client.lease(&ask_for(1, 0)).await.expect("leases");
    let pending = Outcome::Pending { delay_ms: Some(200) };
    hub.client.report(&answered(&batch.leases[0], pending)).await.expect("verdicts");
    let started = Instant::now();
    let again = hub.client.lease(&ask_for(1, 60_000)).await.expect("leases");
    assert_eq!(again.leases[0].job, batch.leases[0].job);
    assert!(started.elapsed() < LONG);
}

#[tokio::test]
async fn a_wait_for_work_ends_with_none() {
    let hub = Served::start().await;
    let batch = hub.client.lease(&ask_for(1, 100)).await.expect("an answer");
    assert_eq!(batch.leases, []);
}

#[tokio::test]
async fn a_reader_of_a_run_is_woken_by_its_changes() {
    let hub = Served::start().await;
    let run = hub.client.submit(&submission(7, two_steps().plan())).await.expect("a run");
    let seen = hub.client.run(run, None, 0).await.expect("the run").version;
    let client = hub.client.clone();
    let waiting = tokio::spawn(async move { client.run(run, Some(seen), 60_000).await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!waiting.is_finished());
    hub.client.lease(&ask_for(1, 0)).await.expect("leases");
    let view = waiting.await.expect("no panic").expect("the run");
    assert!(view.version > seen);
    assert_eq!(view.steps[0].running, 1);
    hub.client.cancel_run(run).await.expect("cancelled");
    // nothing will change any more: no reason to wait
    let started = Instant::now();
    let view = hub.client.run(run, Some(u64::MAX), 60_000).await.expect("the run");
    assert_eq!(view.state, RunState::Cancelled);
    assert!(started.elapsed() < LONG);
}

#[tokio::test]
async fn many_may_submit_the_same_run_at_once() {
    let hub = Served::start().await;
    let submission = submission(7, two_steps().plan());
    let all = join_all((0..20).map(|_| hub.client.submit(&submission))).await;
    assert!(all.into_iter().all(|run| run.expect("a run") == submission.run));
    assert_eq!(hub.client.lease(&ask_for(10, 0)).await.expect("leases").leases.len(), 1);
}

/// A worker whose steps end all at once asks for more than one address may have; its client keeps it to less.
#[tokio::test]
async fn thousands_of_requests_at_once_are_all_answered() {
    let hub = Served::start().await;
    let all = join_all((0..3_000).map(|_| hub.client.runs())).await;
    assert!(all.iter().all(Result::is_ok), "{:?}", all.iter().find(|runs| runs.is_err()));
}

#[tokio::test]
async fn what_the_hub_refuses_reaches_the_client_with_code_and_hint() {
    let hub = Served::start().await;
    let unknown = RunId(Uuid::from_u128(99));
    let mut bad = submission(7, two_steps().plan());
    bad.plan.version = 9;
    let refusals = [
        (hub.client.run(unknown, None, 0).await.map(drop), 404, "run_not_found"),
        (hub.client.results(unknown).await.map(drop), 404, "run_not_found"),
        (hub.client.cancel_run(unknown).await.map(drop), 404, "run_not_found"),
        (hub.client.job(JobId(9)).await.map(drop), 404, "job_not_found"),
        (hub.client.logs(JobId(9)).await.map(drop), 404, "job_not_found"),
        (hub.client.reset_job(JobId(9)).await.map(drop), 404, "job_not_found"),
        (hub.client.submit(&bad).await.map(drop), 400, "bad_plan"),
    ];
    for (refusal, expected, expected_code) in refusals {
        let refusal = refusal.expect_err("a refusal");
        let ClientError::Refused { status, code, hint, .. } = &refusal else { panic!("{refusal}") };
        assert_eq!((*status, code.as_str()), (expected, expected_code));
        assert!(!hint.is_empty() && refusal.to_string().ends_with(hint.as_str()), "{refusal}");
    }
}

#[tokio::test]
async fn people_cancel_and_reset_over_http() {
    let hub = Served::start().await;
    let run = hub.client.submit(&submission(7, two_steps().plan())).await.expect("a run");
    let batch = hub.client.lease(&ask_for(1, 0)).await.expect("leases");
    let job = batch.leases[0].job;
    hub.client.report(&answered(&batch.leases[0], crate::world::failed("no"))).await.expect("verdicts");
    assert_eq!(hub.client.reset_run(run).await.expect("reset"), 1);
    let batch = hub.client.lease(&ask_for(1, 0)).await.expect("leases");
    hub.client.report(&answered(&batch.leases[0], crate::world::failed("no"))).await.expect("verdicts");
    assert_eq!(hub.client.reset_job(job).await.expect("reset"), 1);
    assert_eq!(hub.client.cancel_job(job).await.expect("cancelled"), 2);
    assert_eq!(hub.client.cancel_run(run).await.expect("nothing left"), 0);
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused() {
    let hub = Served::start().await;
    let garbage = [&[WIRE_VERSION][..], &[0xff; 100]].concat();
    // a plan of loops without end, and a list of lists without end
    let deep = [&[WIRE_VERSION][..], &[0; 16], &[0, 1, 0, 1], &[1, 1, 0, 0, 1, 1].repeat(50_000)].concat();
    for path in ["/v1/runs", "/v1/leases", "/v1/heartbeats", "/v1/outcomes"] {
        for (body, content_type, status) in [
            (&garbage[..], CONTENT_TYPE, 400),
            (&deep[..], CONTENT_TYPE, 400),
            (&[][..], CONTENT_TYPE, 400),
            (&[WIRE_VERSION][..], CONTENT_TYPE, 400),
            (&[WIRE_VERSION + 1, 0][..], CONTENT_TYPE, 400),
            (b"{}", "text/html", 415),
        ] {
            let answer = hub.ask("POST", path, content_type, body).await;
            assert_eq!(answer.status, status, "{path} {content_type}: {}", answer.body);
            assert!(answer.body.starts_with("{\"error\":{\"code\":\""), "{}", answer.body);
        }
        let answer = hub.ask("POST", path, CONTENT_TYPE, &[WIRE_VERSION + 1, 0]).await;
        assert!(answer.body.contains("other_version") && answer.body.contains("same release"), "{}", answer.body);
    }
    assert_eq!(hub.client.runs().await.expect("it is alive"), []);
}

#[tokio::test]
async fn a_body_too_large_is_refused_before_it_is_read() {
    let hub = Served::start().await;
    for (path, length) in [("/v1/outcomes", MAX_MESSAGE + 1), ("/v1/leases", 600_000), ("/v1/runs", usize::MAX / 4)] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: {length}\r\n\r\n"
        );
        let answer = send(&hub.address, head.as_bytes()).await;
        assert_eq!(answer.status, 413, "{path}");
        assert!(answer.body.contains("too_large"), "{}", answer.body);
    }
    // nor one that does not say how large it is
    let chunk = format!("{:x}\r\n{}\r\n", 100_000, "x".repeat(100_000));
    let head = format!(
        "POST /v1/leases HTTP/1.1\r\nhost: x\r\ncontent-type: {CONTENT_TYPE}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let answer = send(&hub.address, [head, chunk.repeat(8)].concat().as_bytes()).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn routes_methods_and_ids_are_checked() {
    let hub = Served::start().await;
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/v1", 404),
        ("GET", "/v1/runs/a/b/c", 404),
        ("GET", "/v1/leases", 405),
        ("DELETE", "/v1/runs", 405),
        ("POST", "/healthz", 405),
        ("GET", "/v1/runs/7", 400),
        ("GET", "/v1/jobs/-1", 400),
        ("GET", "/v1/jobs/1/log", 404),
        ("POST", "/v1/runs/x/cancel", 400),
        ("GET", "/v1/runs/00000000-0000-0000-0000-000000000001?seen=x", 400),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
    ] {
        let answer = hub.ask(method, path, "", b"").await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert_eq!(answer.status == 405, answer.head.contains("\r\nallow: "), "{path}");
    }
    let answer = send(&hub.address, b"no http at all\r\n\r\n").await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_run_can_be_handed_in_as_json() {
    let hub = Served::start().await;
    let submission = submission(7, two_steps().plan());
    let body = serde_json::to_vec(&submission).expect("JSON");
    let answer = hub.ask("POST", "/v1/runs", "application/json; charset=utf-8", &body).await;
    assert_eq!((answer.status, answer.body), (200, format!("{{\"run\":\"{}\"}}", submission.run)));
    assert_eq!(hub.ask("POST", "/v1/runs", "application/json", b"{\"run\":7}").await.status, 400);
    assert_eq!(hub.client.run(submission.run, None, 0).await.expect("the run").steps[0].available, 1);
}

#[tokio::test]
async fn changes_of_runs_are_sent_as_events() {
    let hub = Served::start().await;
    let mut stream = TcpStream::connect(&hub.address).await.expect("a connection");
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("sent");
    let mut text = String::new();
    read_until(&mut stream, &mut text, "text/event-stream").await;
    let run = hub.client.submit(&submission(7, two_steps().plan())).await.expect("a run");
    read_until(&mut stream, &mut text, &format!("event: run\ndata: {{\"run\":\"{run}\"}}\n\n")).await;
}

async fn read_until(stream: &mut TcpStream, text: &mut String, wanted: &str) {
    let mut bytes = [0; 1024];
    while !text.contains(wanted) {
        let read = tokio::time::timeout(LONG, stream.read(&mut bytes)).await.expect("in time").expect("read");
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
}

#[tokio::test]
async fn a_hub_that_stops_answers_those_who_wait() {
    let mut hub = Served::start().await;
    let client = hub.client.clone();
    let worker = tokio::spawn(async move { client.lease(&ask_for(1, 60_000)).await });
    let events = hub.address.clone();
    let events = tokio::spawn(async move { send(&events, b"GET /v1/events HTTP/1.1\r\nhost: x\r\n\r\n").await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    hub.stop.take().expect("once").send(()).expect("it runs");
    let batch = tokio::time::timeout(LONG, worker).await.expect("in time").expect("no panic").expect("an answer");
    assert_eq!(batch.leases, []);
    assert_eq!(events.await.expect("no panic").status, 200);
    tokio::time::timeout(LONG, hub.server).await.expect("in time").expect("no panic");
    let gone = hub.client.runs().await.expect_err("nobody there");
    assert!(matches!(&gone, ClientError::Unreachable { .. }) && gone.to_string().contains(&hub.address), "{gone}");
}

#[tokio::test]
async fn a_client_goes_on_with_the_next_address() {
    let hub = Served::start().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let dead = nobody.local_addr().expect("an address").to_string();
    drop(nobody);
    let client = HubClient::new(&[dead, format!("http://{}/", hub.address)]).expect("a client");
    for _ in 0..3 {
        assert_eq!(client.runs().await.expect("runs"), []);
    }
}

#[tokio::test]
async fn a_server_that_is_no_hub_is_recognised() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let answers = [
        ("text/html", b"<html>".to_vec()),
        (CONTENT_TYPE, vec![WIRE_VERSION + 1, 0]),
        (CONTENT_TYPE, vec![]),
        (CONTENT_TYPE, vec![WIRE_VERSION, 0xff, 0xff]),
    ];
    tokio::spawn(async move {
        for (content_type, body) in answers {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
        }
    });
    let client = HubClient::new(std::slice::from_ref(&address)).expect("a client");
    for expected in ["is no hub of bue", "same release", "is no hub of bue", "is no hub of bue"] {
        let error = client.lease(&ask_for(1, 0)).await.expect_err("no hub").to_string();
        assert!(error.contains(expected) && error.contains(&address), "{error}");
    }
}
