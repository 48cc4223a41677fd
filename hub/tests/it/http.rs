//! The hub over HTTP: with the real client, and with bytes that our client would never send.

use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bue_client::{ClientError, HubClient};
use bue_hub::{Durability, Hub, JobStore, SqliteStore, serve_hub};
use bue_model::attempt::AttemptUsage;
use bue_model::wire::{
    CONTENT_TYPE, Heartbeat, JobPage, JobQuery, LeaseRequest, MAX_MESSAGE, Report, ReportBatch, RunView, Verdict,
    WIRE_VERSION, WorkerAbilities, WorkerStatus,
};
use bue_model::{JobId, Outcome, RunId, RunState, Timestamp};
use bue_test_support::wait::{wait_until_async, within_deadline};
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::raw_http::{RawResponse, metric, raw_request, send_bytes};
use crate::script::{Script, submission};
use crate::servers::listen;
use crate::world::{completed, round_text};

/// A hub on port 0.
struct TestHub {
    address: String,
    client: Arc<HubClient>,
    shutdown: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

impl TestHub {
    async fn start() -> Self {
        let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store");
        let store: Arc<dyn JobStore> = Arc::new(store);
        let (listener, address) = listen().await;
        let (shutdown, stopped) = oneshot::channel();
        let server = tokio::spawn(serve_hub(listener, Hub::new(store), async { drop(stopped.await) }));
        let client = Arc::new(HubClient::new(std::slice::from_ref(&address)).expect("a client"));
        Self { address, client, shutdown: Some(shutdown), server }
    }

    async fn request(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> RawResponse {
        raw_request(&self.address, method, path, content_type, body).await
    }

    /// Waits until so many requests are waiting in the hub.
    async fn wait_for_long_polls(&self, count: f64) {
        let is_reached = async || metric(&self.address, "bue_long_polls").await == Some(count);
        wait_until_async(&format!("{count} long polls are waiting"), is_reached).await;
    }

    /// Awaits a long poll of a minute, and fails if one of half a minute, which nothing ends early, is answered before it: then
    /// the first one was not woken.
    async fn expect_woken<T>(&self, long_poll: impl Future<Output = T>) -> T {
        let unused_scope = LeaseRequest { scopes: vec!["unused".into()], ..lease_request(1, 30_000) };
        tokio::select! {
            biased;
            answer = long_poll => answer,
            _ = self.client.lease(&unused_scope) => panic!("the request waits although there is something to return"),
        }
    }
}

fn two_steps() -> Script {
    let mut script = Script::new();
    script.call(&["a", "b"], &[]);
    script
}

fn lease_request(count: u32, wait_ms: u64) -> LeaseRequest {
    LeaseRequest {
        worker: "w1".into(),
        scopes: vec!["default".into()],
        reverse: false,
        count,
        wait_ms,
        ..LeaseRequest::default()
    }
}

/// A report of the worker `w1`.
pub(crate) fn report_of(lease: &bue_model::wire::Lease, outcome: Outcome) -> ReportBatch {
    let report = Report {
        job: lease.job,
        token: lease.token,
        outcome,
        log: None,
        arguments: Vec::new(),
        usage: AttemptUsage::of_ms(1),
    };
    ReportBatch { worker: "w1".into(), reports: vec![report] }
}

#[tokio::test]
async fn a_run_goes_through_the_real_client() {
    let hub = TestHub::start().await;
    let run = hub.client.submit(&submission(7, two_steps().plan())).await.expect("a run");
    for text in ["1", "2"] {
        let batch = hub.client.lease(&lease_request(5, 0)).await.expect("leases");
        let [lease] = batch.leases.as_slice() else { panic!("one job") };
        let heartbeat =
            Heartbeat { worker: "w1".into(), leases: vec![(lease.job, lease.token)], status: WorkerStatus::default() };
        assert_eq!(hub.client.heartbeat(&heartbeat).await.expect("an answer").lost, []);
        assert_eq!(hub.client.job(lease.job).await.expect("the job").attempts, 0);
        let report = report_of(lease, completed(text));
        assert_eq!(hub.client.report(&report).await.expect("verdicts"), [Verdict::Accepted]);
        assert_eq!(hub.client.logs(lease.job).await.expect("an answer"), None);
    }
    let view = hub.client.run(run, None, 0).await.expect("the run");
    assert_eq!((view.id, view.state), (run, RunState::Completed));
    let listed = RunView { steps: Vec::new(), ..view };
    assert_eq!(hub.client.runs().await.expect("runs"), [listed]);
    let results = hub.client.results(run).await.expect("results");
    assert_eq!(round_text(&results.results[0].value), "2");
}

/// No worker asks for jobs, and the second run is submitted while the hub has nothing else to wait for.
#[tokio::test]
async fn jobs_expire_without_a_worker() {
    let hub = TestHub::start().await;
    for number in [7, 8] {
        let mut script = two_steps();
        script.set("a", |settings| settings.expires_ms = Some(20));
        let run = hub.client.submit(&submission(number, script.plan())).await.expect("a run");
        let has_failed = async || hub.client.run(run, None, 0).await.expect("the run").state == RunState::Failed;
        wait_until_async("the run has failed", has_failed).await;
    }
}

#[tokio::test]
async fn the_client_joins_pages_of_results() {
    let hub = TestHub::start().await;
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["a"], &[x]));
    script.call(&["end"], &[]);
    let run = hub.client.submit(&submission(7, script.plan())).await.expect("a run");
    let long = "x".repeat(60_000);
    loop {
        let batch = hub.client.lease(&lease_request(50, 0)).await.expect("leases");
        let reports = batch.leases.iter().map(|lease| {
            let outcome = match batch.steps[lease.step as usize].name.as_str() {
                "source" => crate::world::list(200),
                _ => completed(&long),
            };
            report_of(lease, outcome).reports.remove(0)
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
    let hub = TestHub::start().await;
    let client = hub.client.clone();
    let waiting = tokio::spawn(async move { client.lease(&lease_request(1, 60_000)).await });
    hub.wait_for_long_polls(1.0).await;
    hub.client.submit(&submission(7, two_steps().plan())).await.expect("a run");
    let batch = hub.expect_woken(waiting).await.expect("no panic").expect("leases");
    assert_eq!(batch.leases.len(), 1);
    // and by a child that becomes ready
    let client = hub.client.clone();
    let waiting = tokio::spawn(async move { client.lease(&lease_request(1, 60_000)).await });
    hub.client.report(&report_of(&batch.leases[0], completed("1"))).await.expect("verdicts");
    assert_eq!(hub.expect_woken(waiting).await.expect("no panic").expect("leases").leases.len(), 1);
}

#[tokio::test]
async fn a_waiting_worker_is_woken_when_a_parked_job_is_due() {
    let hub = TestHub::start().await;
    hub.client.submit(&submission(7, two_steps().plan())).await.expect("a run");
    let batch = hub.client.lease(&lease_request(1, 0)).await.expect("leases");
    let pending = Outcome::Pending { delay_ms: Some(200), scope: None };
    hub.client.report(&report_of(&batch.leases[0], pending)).await.expect("verdicts");
    let again = hub.expect_woken(hub.client.lease(&lease_request(1, 60_000))).await.expect("leases");
    assert_eq!(again.leases[0].job, batch.leases[0].job);
}

#[tokio::test]
async fn a_poll_for_work_ends_without_jobs() {
    let hub = TestHub::start().await;
    let batch = hub.client.lease(&lease_request(1, 100)).await.expect("an answer");
    assert_eq!(batch.leases, []);
}

#[tokio::test]
async fn a_reader_of_a_run_is_woken_by_its_changes() {
    let hub = TestHub::start().await;
    let run = hub.client.submit(&submission(7, two_steps().plan())).await.expect("a run");
    let seen = hub.client.run(run, None, 0).await.expect("the run").version;
    let client = hub.client.clone();
    let waiting = tokio::spawn(async move { client.run(run, Some(seen), 60_000).await });
    hub.wait_for_long_polls(1.0).await;
    hub.client.lease(&lease_request(1, 0)).await.expect("leases");
    let view = hub.expect_woken(waiting).await.expect("no panic").expect("the run");
    assert!(view.version > seen);
    assert_eq!(view.steps[0].running, 1);
    hub.client.cancel_run(run).await.expect("cancelled");
    // a run that has ended will not change any more, so there is nothing to wait for
    let view = hub.expect_woken(hub.client.run(run, Some(u64::MAX), 60_000)).await.expect("the run");
    assert_eq!(view.state, RunState::Cancelled);
}

#[tokio::test]
async fn concurrent_submissions_of_the_same_run_create_one() {
    let hub = TestHub::start().await;
    let submission = submission(7, two_steps().plan());
    let all = join_all((0..20).map(|_| hub.client.submit(&submission))).await;
    assert!(all.into_iter().all(|run| run.expect("a run") == submission.run));
    assert_eq!(hub.client.lease(&lease_request(10, 0)).await.expect("leases").leases.len(), 1);
}

/// A worker whose steps all end at once could need more connections than one address may have. Its client uses fewer.
#[tokio::test]
async fn thousands_of_concurrent_requests_are_all_answered() {
    let hub = TestHub::start().await;
    let all = join_all((0..3_000).map(|_| hub.client.runs())).await;
    assert!(all.iter().all(Result::is_ok), "{:?}", all.iter().find(|runs| runs.is_err()));
}

#[tokio::test]
async fn refusals_reach_the_client_with_code_and_hint() {
    let hub = TestHub::start().await;
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
async fn runs_and_jobs_are_cancelled_and_reset_over_http() {
    let hub = TestHub::start().await;
    let run = hub.client.submit(&submission(7, two_steps().plan())).await.expect("a run");
    let batch = hub.client.lease(&lease_request(1, 0)).await.expect("leases");
    let job = batch.leases[0].job;
    hub.client.report(&report_of(&batch.leases[0], crate::world::failed("no"))).await.expect("verdicts");
    assert_eq!(hub.client.reset_run(run).await.expect("reset"), 1);
    let batch = hub.client.lease(&lease_request(1, 0)).await.expect("leases");
    hub.client.report(&report_of(&batch.leases[0], crate::world::failed("no"))).await.expect("verdicts");
    assert_eq!(hub.client.reset_job(job).await.expect("reset"), 1);
    assert_eq!(hub.client.cancel_job(job).await.expect("cancelled"), 2);
    assert_eq!(hub.client.cancel_run(run).await.expect("nothing left"), 0);
}

#[tokio::test]
async fn malformed_messages_are_refused() {
    let hub = TestHub::start().await;
    let garbage = [&[WIRE_VERSION][..], &[0xff; 100]].concat();
    // a plan of endlessly nested loops
    let deep = [&[WIRE_VERSION][..], &[0; 16], &[0, 1, 0, 1], &[1, 1, 0, 0, 1, 1].repeat(10_000)].concat();
    for path in ["/v1/runs", "/v1/leases", "/v1/heartbeats", "/v1/outcomes"] {
        for (body, content_type, status) in [
            (&garbage[..], CONTENT_TYPE, 400),
            (&deep[..], CONTENT_TYPE, 400),
            (&[][..], CONTENT_TYPE, 400),
            (&[WIRE_VERSION][..], CONTENT_TYPE, 400),
            (&[WIRE_VERSION + 1, 0][..], CONTENT_TYPE, 400),
            (b"{}", "text/html", 415),
        ] {
            let answer = hub.request("POST", path, content_type, body).await;
            assert_eq!(answer.status, status, "{path} {content_type}: {}", answer.body);
            assert!(answer.body.starts_with("{\"error\":{\"code\":\""), "{}", answer.body);
        }
        let answer = hub.request("POST", path, CONTENT_TYPE, &[WIRE_VERSION + 1, 0]).await;
        assert!(answer.body.contains("other_version") && answer.body.contains("server is older"), "{}", answer.body);
    }
    assert_eq!(hub.client.runs().await.expect("the hub is alive"), []);
}

#[tokio::test]
async fn a_body_too_large_is_refused_before_it_is_read() {
    let hub = TestHub::start().await;
    for (path, length) in [("/v1/outcomes", MAX_MESSAGE + 1), ("/v1/leases", 600_000), ("/v1/runs", usize::MAX / 4)] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {CONTENT_TYPE}\r\ncontent-length: {length}\r\n\r\n"
        );
        let answer = send_bytes(&hub.address, head.as_bytes()).await;
        assert_eq!(answer.status, 413, "{path}");
        assert!(answer.body.contains("too_large"), "{}", answer.body);
    }
    // a body that does not declare its length is refused too
    let chunk = format!("{:x}\r\n{}\r\n", 100_000, "x".repeat(100_000));
    let head = format!(
        "POST /v1/leases HTTP/1.1\r\nhost: localhost\r\ncontent-type: {CONTENT_TYPE}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let answer = send_bytes(&hub.address, [head, chunk.repeat(8)].concat().as_bytes()).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn routes_methods_and_ids_are_checked() {
    let hub = TestHub::start().await;
    for (method, path, status) in [
        ("GET", "/", 200),
        ("GET", "/x", 404),
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
        ("GET", "/v1/runs?limit=2", 200),
        ("GET", "/v1/runs?limits=2", 400),
        ("GET", "/v1/runs?id=abc", 400),
        ("GET", "/v1/runs?id=abcd", 200),
        ("GET", "/healthz?verbose", 400),
        ("GET", "/v1/runs/00000000-0000-0000-0000-000000000001/jobs", 404),
        ("GET", "/v1/runs/00000000-0000-0000-0000-000000000001/jobs?rounds=1", 400),
        ("GET", "/v1/runs/00000000-0000-0000-0000-000000000001/jobs?round=x", 400),
        ("GET", "/v1/runs/00000000-0000-0000-0000-000000000001/jobs?state=done", 400),
        ("GET", "/v1/runs/00000000-0000-0000-0000-000000000001/jobs?limit=0", 400),
        ("GET", "/v1/runs/00000000-0000-0000-0000-000000000001/jobs?after=x", 400),
        ("GET", "/v1/workers", 200),
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
    ] {
        let answer = hub.request(method, path, "", b"").await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
        assert_eq!(answer.status == 405, answer.head.contains("\r\nallow: "), "{path}");
    }
    let answer = send_bytes(&hub.address, b"not http at all\r\n\r\n").await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn jobs_are_listed_page_by_page_over_http() {
    let hub = TestHub::start().await;
    let mut script = Script::new();
    for _ in 0..300 {
        script.call(&["é & b"], &[]);
    }
    script.call(&["other"], &[]);
    let run = hub.client.submit(&submission(7, script.plan())).await.expect("a run");
    let get = async |query: &str| {
        let answer = hub.request("GET", &format!("/v1/runs/{run}/jobs{query}"), "", b"").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        serde_json::from_str::<JobPage>(&answer.body).expect("a page")
    };
    assert_eq!(get("").await.jobs.len(), 100, "the default");
    assert_eq!(get("?limit=100000").await.jobs.len(), 200, "the most");
    let query = JobQuery { step: Some("é & b".into()), limit: 200, ..JobQuery::default() };
    let first = hub.client.jobs(run, &query).await.expect("a page");
    let second = hub.client.jobs(run, &JobQuery { after: first.next, ..query }).await.expect("a page");
    assert_eq!((first.jobs.len(), second.jobs.len(), second.next), (200, 100, None));
    assert_eq!(get(&format!("?after={}&limit=3", first.jobs[1].id)).await.jobs[0], first.jobs[2]);
    let other = get("?step=other&state=available").await;
    assert_eq!((other.jobs.len(), other.next), (1, None));
    let answer = hub.request("GET", &format!("/v1/runs/{run}/jobs?step=b"), "", b"").await;
    assert!(answer.status == 404 && answer.body.contains("step_not_found"), "{}", answer.body);
}

#[tokio::test]
async fn a_view_shows_the_scopes_without_a_worker_and_the_workers() {
    let hub = TestHub::start().await;
    let run = hub.client.submit(&submission(7, two_steps().plan())).await.expect("a run");
    let view = hub.client.run(run, None, 0).await.expect("a view");
    let unserved: Vec<_> = view.unserved.iter().map(|one| (one.scope.as_str(), one.jobs)).collect();
    assert_eq!((unserved, view.steps[0].scope.as_str()), (vec![("default", 1)], "default"));
    let abilities = WorkerAbilities { net: vec!["*".into()], ..WorkerAbilities::default() };
    let status = WorkerStatus { host: "box".into(), memory_used: Some(1), cores: 2, ..WorkerStatus::default() };
    let mut other = LeaseRequest { abilities: abilities.clone(), status, ..lease_request(0, 0) };
    other.scopes = vec!["other".into()];
    hub.client.lease(&other).await.expect("no leases");
    assert_eq!(hub.client.run(run, None, 0).await.expect("a view").unserved, view.unserved);
    let workers = hub.client.workers().await.expect("workers");
    assert_eq!((workers.len(), &workers[0].scopes[0], &workers[0].abilities), (1, &"other".to_owned(), &abilities));
    assert_eq!((&*workers[0].host, workers[0].memory_used, workers[0].cores), ("box", Some(1), 2));
    let status = WorkerStatus { host: "box".into(), jobs_held: 3, jobs_running: 1, ..WorkerStatus::default() };
    let heartbeat = Heartbeat { worker: other.worker.clone(), leases: Vec::new(), status };
    hub.client.heartbeat(&heartbeat).await.expect("an answer");
    let workers = hub.client.workers().await.expect("workers");
    assert_eq!((workers[0].jobs_held, workers[0].jobs_running, workers[0].memory_used), (3, 1, None));
    hub.client.lease(&lease_request(0, 0)).await.expect("no leases");
    assert_eq!(hub.client.run(run, None, 0).await.expect("a view").unserved, []);
}

#[tokio::test]
async fn a_view_estimates_when_the_run_will_have_ended() {
    let store = Arc::new(SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store"));
    let time = Arc::new(AtomicI64::new(1_000_000));
    let clock = time.clone();
    let hub = Hub::with_clock(store.clone(), Arc::new(move || Timestamp(clock.load(Ordering::Relaxed))));
    let (listener, address) = listen().await;
    tokio::spawn(serve_hub(listener, hub, pending()));
    let client = HubClient::new(&[address]).expect("a client");
    let mut script = Script::new();
    for _ in 0..60 {
        script.call(&["a"], &[]);
    }
    let run = client.submit(&submission(7, script.plan())).await.expect("a run");
    let view = client.run(run, None, 0).await.expect("a view");
    assert_eq!((view.now, view.eta), (Timestamp(1_000_000), None), "nothing has happened");
    for lease in client.lease(&lease_request(20, 0)).await.expect("leases").leases {
        client.report(&report_of(&lease, completed("1"))).await.expect("verdicts");
    }
    time.store(1_010_000, Ordering::Relaxed);
    let view = client.run(run, None, 0).await.expect("a view");
    assert_eq!(
        (view.now, view.eta),
        (Timestamp(1_010_000), Some(Timestamp(1_030_000))),
        "20 jobs in 10 s, 40 are left"
    );
    time.store(1_011_000, Ordering::Relaxed);
    client.cancel_run(run).await.expect("cancelled");
    time.store(1_050_000, Ordering::Relaxed);
    let view = client.run(run, None, 0).await.expect("a view");
    assert_eq!((view.now, view.eta), (Timestamp(1_011_000), None), "it has ended");
}

#[tokio::test]
async fn a_run_can_be_submitted_as_json() {
    let hub = TestHub::start().await;
    let submission = submission(7, two_steps().plan());
    let body = serde_json::to_vec(&submission).expect("JSON");
    let answer = hub.request("POST", "/v1/runs", "application/json; charset=utf-8", &body).await;
    assert_eq!((answer.status, answer.body), (200, format!("{{\"run\":\"{}\"}}", submission.run)));
    assert_eq!(hub.request("POST", "/v1/runs", "application/json", b"{\"run\":7}").await.status, 400);
    assert_eq!(hub.client.run(submission.run, None, 0).await.expect("the run").steps[0].available, 1);
}

#[tokio::test]
async fn changes_of_runs_are_sent_as_events() {
    let hub = TestHub::start().await;
    let mut stream = TcpStream::connect(&hub.address).await.expect("a connection");
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await.expect("sent");
    let mut text = String::new();
    read_until(&mut stream, &mut text, "text/event-stream").await;
    let run = hub.client.submit(&submission(7, two_steps().plan())).await.expect("a run");
    read_until(&mut stream, &mut text, &format!("event: run\ndata: {{\"run\":\"{run}\"}}\n\n")).await;
    // only those of one run
    let (other, run) = (submission(8, two_steps().plan()), submission(9, two_steps().plan()));
    let mut stream = TcpStream::connect(&hub.address).await.expect("a connection");
    let request = format!("GET /v1/events?run={} HTTP/1.1\r\nhost: localhost\r\n\r\n", run.run);
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut text = String::new();
    read_until(&mut stream, &mut text, "text/event-stream").await;
    hub.client.submit(&other).await.expect("a run");
    hub.client.submit(&run).await.expect("a run");
    read_until(&mut stream, &mut text, &format!("{{\"run\":\"{}\"}}\n\n", run.run)).await;
    assert!(!text.contains(&other.run.to_string()) && !text.contains("lagged"), "{text}");
    let wrong = hub.request("GET", "/v1/events?run=7", "", b"").await;
    assert_eq!(wrong.status, 400, "{}", wrong.body);
}

async fn read_until(stream: &mut TcpStream, text: &mut String, wanted: &str) {
    let mut bytes = [0; 1024];
    while !text.contains(wanted) {
        let read = within_deadline("an event", stream.read(&mut bytes)).await.expect("read");
        assert!(read > 0, "{text}");
        text.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
}

#[tokio::test]
async fn a_hub_that_shuts_down_answers_waiting_requests() {
    let mut hub = TestHub::start().await;
    let client = hub.client.clone();
    let worker = tokio::spawn(async move { client.lease(&lease_request(1, 60_000)).await });
    let events = hub.address.clone();
    let events =
        tokio::spawn(async move { send_bytes(&events, b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").await });
    hub.wait_for_long_polls(1.0).await;
    let is_listening = async || metric(&hub.address, "bue_event_listeners").await == Some(1.0);
    wait_until_async("the event stream is open", is_listening).await;
    hub.shutdown.take().expect("once").send(()).expect("it runs");
    let batch = within_deadline("the worker's answer", worker).await.expect("no panic").expect("an answer");
    assert_eq!(batch.leases, []);
    assert_eq!(events.await.expect("no panic").status, 200);
    within_deadline("the end of the server", hub.server).await.expect("no panic");
    let error = hub.client.runs().await.expect_err("the server is gone");
    assert!(matches!(&error, ClientError::Unreachable { .. }) && error.to_string().contains(&hub.address), "{error}");
}

#[tokio::test]
async fn a_client_tries_the_next_address() {
    let hub = TestHub::start().await;
    let (listener, dead) = listen().await;
    drop(listener);
    let client = HubClient::new(&[dead, format!("http://{}/", hub.address)]).expect("a client");
    for _ in 0..3 {
        assert_eq!(client.runs().await.expect("runs"), []);
    }
}

#[tokio::test]
async fn a_server_that_is_not_a_hub_is_recognised() {
    let (listener, address) = listen().await;
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
    for expected in ["is no hub of bue", "is older", "is no hub of bue", "is no hub of bue"] {
        let error = client.lease(&lease_request(1, 0)).await.expect_err("no hub").to_string();
        assert!(error.contains(expected) && error.contains(&address), "{error}");
    }
}
