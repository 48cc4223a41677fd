//! Fuzzing: whole requests of arbitrary and of damaged bytes, to a real hub and a real bucket over a socket. None causes a panic;
//! each gets an error in the usual form or a closed connection; a refused request changes nothing; and none takes more memory
//! than a body may have.
//!
//! `PROPTEST_CASES=10000` runs more cases.

use std::cell::Cell;
use std::panic::{set_hook, take_hook};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bue_hub::{
    Access, BlobStore, Bucket, Durability, Hub, JobStore, RouteView, SqliteStore, bucket_routes, dashboard_routes,
    hub_routes,
};
use bue_model::attempt::AttemptUsage;
use bue_model::wire::{
    CONTENT_TYPE, ErrorBody, Heartbeat, LeaseRequest, ListPiece, MAX_MESSAGE, Report, ReportBatch, Submission,
    WIRE_VERSION, WorkerStatus,
};
use bue_model::{BlobHash, Chunk, JobId, Outcome, RunId, Timestamp, Token, ValueRef};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;

use bue_test_support::mutation::changed;
use bue_test_support::wait::within_deadline;
use serde::Serialize;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::counting_allocator;
use crate::script::{Script, submission};
use crate::servers::{spawn_bucket, spawn_hub};

/// A schedule whose pipeline does not exist.
const SCHEDULE: &str = r#"{"name": "nightly", "pipeline": "p", "cron": "*/15 6-8 1,15 * MON-FRI", "timezone": "Europe/Berlin",
    "params": {"n": 99999999999999999999, "list": [1e300, null]}, "overlap": "queue", "catch_up": "all:10", "jitter": "30s",
    "from": "2026-11-01", "until": "2026-12-01T06:00:00Z", "priority": -9223372036854775808}"#;

/// Cases by default.
const DEFAULT_CASES: u32 = 150;
/// Pause before the client closes its side of the connection. A server that has a response has mostly sent it by then.
const HALF_CLOSE_DELAY: Duration = Duration::from_millis(30);
/// Whether a server has panicked.
static PANICKED: AtomicBool = AtomicBool::new(false);

fn message(message: &impl Serialize) -> Vec<u8> {
    postcard::to_extend(message, vec![WIRE_VERSION]).expect("a message")
}

fn plan() -> Submission {
    let mut script = Script::new();
    let source = script.call(&["source"], &[]);
    script.each(source, |script, x| script.call(&["a", "b"], &[x]));
    submission(7, script.plan())
}

/// Valid bodies, and bodies that resemble them.
fn bodies() -> impl Strategy<Value = Vec<u8>> {
    let lease = LeaseRequest {
        worker: "w".into(),
        scopes: vec!["default".into()],
        reverse: false,
        count: 3,
        wait_ms: 0,
        ..LeaseRequest::default()
    };
    let heartbeat = Heartbeat {
        worker: "w".into(),
        leases: vec![(JobId(1), Token::unsealed(1)); 3],
        status: WorkerStatus::default(),
    };
    let report = |outcome| Report {
        job: JobId(1),
        token: Token::unsealed(1),
        outcome,
        log: None,
        arguments: Vec::new(),
        usage: AttemptUsage::of_ms(1),
    };
    let reports = vec![report(Outcome::Cancelled), report(Outcome::Pending { delay_ms: Some(u64::MAX), scope: None })];
    let (run, job, token) = (RunId(uuid::Uuid::from_u128(7)), JobId(1), Token::unsealed(1));
    let chunks = vec![Chunk { count: u32::MAX, value: Box::new(ValueRef::Inline(vec![0x80].into())) }; 3];
    let piece = ListPiece { worker: "w".into(), run, job, token, first: u64::MAX, chunks, wait_ms: u64::MAX };
    let json = serde_json::to_string(&plan()).expect("JSON");
    let huge = json.replace(":1", ":99999999999999999999999999999999").replace(":0", ":-1e999");
    let ours = vec![
        message(&plan()),
        message(&lease),
        message(&heartbeat),
        message(&ReportBatch { worker: "w".into(), reports }),
        message(&piece),
        json.clone().into_bytes(),
        SCHEDULE.into(),
        format!("{{\"schedules\": [{SCHEDULE}, {SCHEDULE}], \"prune\": true}}").into_bytes(),
        br#"{"from": "2026-11-01", "to": "2026-12-01T06:00:00+01:00", "at_most": 4}"#.to_vec(),
        huge.into_bytes(),
        "[".repeat(200_000).into_bytes(),
        "{\"run\":".repeat(50_000).into_bytes(),
        json.replace("test.bue", "\\ud800").into_bytes(),
        json.replace("test.bue", "\u{0}").into_bytes(),
        [&b"{\"run\":\""[..], &[0xff, 0xfe], b"\"}"].concat(),
        // lengths without the bytes that they announce
        [&[WIRE_VERSION][..], &[0xff; 9], &[1], &[0xff; 9]].concat(),
        [&[WIRE_VERSION, 1, b'w'][..], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]].concat(),
        Vec::new(),
    ];
    prop_oneof![4 => changed(select(ours), 3), 1 => vec(any::<u8>(), 0..2_000)]
}

fn paths() -> impl Strategy<Value = String> {
    let run = RunId(uuid::Uuid::from_u128(7)).to_string();
    let fixed = [
        "/v1/runs",
        "/v1/leases",
        "/v1/heartbeats",
        "/v1/outcomes",
        "/v1/pieces",
        "/v1/info",
        "/metrics",
        "/openapi.json",
        "/healthz",
        "/readyz",
        "/v1/jobs/1",
        "/v1/jobs/1/why",
        "/v1/jobs/1/task",
        "/v1/jobs/1/log",
        "/v1/jobs/1/cancel",
        "/v1/jobs/1/reset",
        "/v1/jobs/-1",
        "/v1/jobs/18446744073709551616",
        "/v1/runs?wait_ms=99999999999999999999",
        "/v1/jobs/1/result",
        "/v1/jobs/1/inputs?values=cbor",
        "/v1/runs?state=%00&after=1.2&limit=0",
        "/v1/runs?name=*&param.a=%22&since=2h&until=-1&pipeline=p&state=failed,running",
        "/v1/runs:cancel",
        "/v1/runs:reset",
        "/v1/runs:delete",
        "/v1/errors?group=1&step=%27&since=1d",
        "/v1/errors?after=-9223372036854775808.9223372036854775807",
        "/v1/schedules",
        "/v1/schedules?after=%00&limit=0",
        "/v1/schedules:apply",
        "/v1/schedules/nightly",
        "/v1/schedules/nightly/pause",
        "/v1/schedules/nightly/runs",
        "/v1/schedules/nightly/backfill",
        "/v1/keys/a/b",
        "/v1/keys/../../etc/passwd",
        "/v1/keys/%2e%2e/%2e%2e/a",
        "/v1/keys/%",
        "/v1/keys/",
        "*",
        "/",
        "http://x/v1/runs",
        "/v1/blobs/zz",
    ];
    let fixed = fixed.iter().map(|path| (*path).to_owned());
    let named =
        ["", "/results", "/results?call=-1&round=9", "/cancel", "/reset", "?seen=0&wait_ms=18446744073709551615"];
    let named = named.iter().map(|rest| format!("/v1/runs/{run}{rest}"));
    let blob = std::iter::once(format!("/v1/blobs/{}", BlobHash([1; 32])));
    let all: Vec<String> = fixed.chain(named).chain(blob).collect();
    prop_oneof![8 => select(all), 1 => "/v1/[ -~]{0,40}", 1 => "[!-~]{1,300}"]
}

/// Real routes with parameters of things that exist.
fn routes() -> impl Strategy<Value = (String, String)> {
    let run = RunId(uuid::Uuid::from_u128(7)).to_string();
    let filled = |route: &RouteView| {
        let id = if route.path.starts_with("/v1/runs") || route.path.starts_with("/runs") { &run } else { "1" };
        let path = route.path.replace("{id}", id).replace("{key...}", "a/b");
        let path = path.replace("{upload}", &run).replace("{other}", &run);
        (route.method.clone(), path.replace("{hash}", &BlobHash([1; 32]).to_string()))
    };
    select(hub_routes().iter().chain(&dashboard_routes()).chain(&bucket_routes()).map(filled).collect::<Vec<_>>())
}

fn fields() -> impl Strategy<Value = String> {
    let odd = vec![
        format!("content-type: {CONTENT_TYPE}"),
        "content-type: application/json".to_owned(),
        "content-type: application/json; charset=\"".to_owned(),
        "content-length: 5".to_owned(),
        "content-length: 18446744073709551615".to_owned(),
        "content-length: -1".to_owned(),
        "content-length: 5, 5".to_owned(),
        "transfer-encoding: chunked".to_owned(),
        "transfer-encoding: gzip, chunked".to_owned(),
        "transfer-encoding: chunked, identity".to_owned(),
        "content-encoding: gzip".to_owned(),
        "expect: 100-continue".to_owned(),
        "connection: upgrade\r\nupgrade: h2c".to_owned(),
        "host: a\r\nhost: b".to_owned(),
        "authorization: Bearer \u{e9}".to_owned(),
        "range: bytes=0-99999999999999999999".to_owned(),
        " folded: line".to_owned(),
        "no colon at all".to_owned(),
        format!("x: {}", "y".repeat(70_000)),
        "x: y\r\n".repeat(100).trim_end().to_owned(),
    ];
    prop_oneof![6 => select(odd), 1 => "[ -~]{0,60}"]
}

/// A body with its framing, which may be wrong.
fn framed(body: &[u8], kind: u8) -> (String, Vec<u8>) {
    match kind {
        0 => ("transfer-encoding: chunked\r\n".to_owned(), chunked(body, "")),
        1 => ("transfer-encoding: chunked\r\n".to_owned(), chunked(body, ";x=y")),
        2 => ("transfer-encoding: chunked\r\n".to_owned(), [b"fffffffffffffffff\r\n", body].concat()),
        3 => ("transfer-encoding: chunked\r\n".to_owned(), [b"-5\r\n", body].concat()),
        // announces more bytes than there are
        4 => (format!("content-length: {}\r\n", body.len() + 10), body.to_vec()),
        _ => (format!("content-length: {}\r\n", body.len()), body.to_vec()),
    }
}

fn chunked(body: &[u8], extension: &str) -> Vec<u8> {
    let pieces =
        body.chunks(700).map(|piece| [format!("{:x}{extension}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
    pieces.chain([b"0\r\n\r\n".to_vec()]).collect::<Vec<_>>().concat()
}

/// A whole request, mostly well-formed, then perhaps mutated.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let method = prop_oneof![
        8 => select(vec!["GET", "POST", "PUT", "DELETE", "HEAD"]).prop_map(str::to_owned),
        1 => select(vec!["OPTIONS", "CONNECT", "PATCH", "TRACE", "PRI"]).prop_map(str::to_owned),
        1 => "[!-~]{1,20}",
    ];
    let target = prop_oneof![3 => routes(), 2 => (method, paths())];
    let kind = prop_oneof![3 => Just(CONTENT_TYPE), 2 => Just("application/json"), 1 => Just("")];
    let fields = prop_oneof![2 => Just(Vec::new()), 1 => vec(fields(), 1..3)];
    let parts = (target, kind, fields, bodies(), 0..12_u8);
    let whole = parts.prop_map(|((method, path), kind, fields, body, framing)| {
        let (length, body) = framed(&body, framing);
        let fields: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {kind}\r\n{fields}{length}\r\n");
        [head.as_bytes(), &body].concat()
    });
    let whole = whole.boxed();
    let whole = prop_oneof![3 => whole.clone(), 1 => changed(whole, 4)];
    prop_oneof![12 => whole, 1 => vec(any::<u8>(), 0..3_000)]
}

/// Both servers and their state.
struct Servers {
    folder: TempDir,
    store: SqliteStore,
    addresses: [String; 2],
}

impl Servers {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store").with_lease_ms(3_600_000);
        store.submit(Timestamp(1), plan()).await.expect("a run");
        let blobs = BlobStore::open(&folder.path().join("blobs"), Durability::Off).expect("a store");
        let hub = spawn_hub(Hub::new(Arc::new(store.clone()))).await;
        let bucket = spawn_bucket(Bucket::new(blobs, Access::open())).await;
        Self { folder, store, addresses: [hub, bucket] }
    }

    /// Everything that a refused request must not change.
    async fn state(&self) -> String {
        let runs = self.store.runs(100).await.expect("the store is alive");
        let mut jobs = Vec::new();
        for job in 1..6 {
            jobs.push(self.store.job(JobId(job)).await.expect("the store is alive"));
        }
        let mut files = Vec::new();
        list(self.folder.path(), &mut files);
        files.sort();
        format!("{runs:?} {jobs:?} {files:?}")
    }
}

fn list(folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry")) {
        match entry.file_type().expect("a type").is_dir() {
            true => list(&entry.path(), files),
            false => files.push(format!("{} {}", entry.path().display(), entry.metadata().expect("data").len())),
        }
    }
}

/// Sends bytes and reads until the server closes the connection.
async fn exchange(address: &str, bytes: &[u8]) -> Vec<u8> {
    let (mut reading, mut writing) = TcpStream::connect(address).await.expect("a connection").into_split();
    let mut answer = Vec::new();
    let sending = async {
        // a server may answer, and close, before it has read everything
        let _ = writing.write_all(bytes).await;
        tokio::time::sleep(HALF_CLOSE_DELAY).await;
        let _ = writing.shutdown().await;
    };
    let receiving = async {
        // an endless response is abandoned once it has begun
        while reading.read_buf(&mut answer).await.is_ok_and(|read| read > 0) && !is_endless(&answer) {}
    };
    let both = async { tokio::join!(sending, receiving) };
    within_deadline("the end of the connection", both).await;
    answer
}

fn is_endless(answer: &[u8]) -> bool {
    String::from_utf8_lossy(answer).contains("text/event-stream")
}

/// Checks one response after the other. Returns whether one of them was a success.
fn check(mut rest: &[u8]) -> bool {
    let mut has_success = false;
    while !rest.is_empty() {
        let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else { break };
        let head = std::str::from_utf8(&rest[..end]).expect("a head in ASCII").to_lowercase();
        let status: u16 = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        assert!(head.starts_with("http/1.") && (100..600).contains(&status), "{head}");
        let length = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().expect("a length"));
        let body = &rest[end + 4..];
        let is_chunked = head.contains("\r\ntransfer-encoding: chunked");
        let length = if is_chunked { chunked_length(body) } else { length };
        // the response to HEAD announces a body that does not follow; the next response may
        let absent = body.len() < length || body.starts_with(b"HTTP/1.");
        let body = if absent { &[] } else { &body[..length] };
        let is_page = head.contains("\r\ncontent-type: text/html");
        if status >= 400 && !body.is_empty() && !is_page {
            let error: ErrorBody = serde_json::from_slice(body).expect("an error in the usual form");
            assert!(!error.error.code.is_empty() && !error.error.message.is_empty(), "{error:?}");
        }
        assert!(![500, 501, 502, 503].contains(&status), "{head} {}", String::from_utf8_lossy(body));
        has_success |= status < 400 && status != 100;
        rest = &rest[end + 4 + body.len()..];
    }
    has_success
}

/// The length of a chunked body with its chunk sizes; of all that is there, if the connection ended early.
fn chunked_length(body: &[u8]) -> usize {
    let mut at = 0;
    loop {
        let Some(line) = body[at..].windows(2).position(|two| two == b"\r\n") else { return body.len() };
        let size = std::str::from_utf8(&body[at..at + line]).ok().and_then(|text| usize::from_str_radix(text, 16).ok());
        // what is no size belongs to the next response: this one, to HEAD, has no body
        let Some(size) = size else { return at };
        at = (at + line + 2).saturating_add(size).saturating_add(2);
        if size == 0 || at >= body.len() {
            return at.min(body.len());
        }
    }
}

/// Records panics of this thread, where both servers run, and of the store's thread.
fn record_panics() {
    let (default_hook, this_thread) = (take_hook(), thread::current().id());
    set_hook(Box::new(move |panic| {
        let is_store = thread::current().name() == Some("bue-store");
        if thread::current().id() == this_thread || is_store {
            PANICKED.store(true, Ordering::SeqCst);
        }
        default_hook(panic);
    }));
}

#[test]
fn any_bytes_get_a_well_formed_answer_and_change_nothing_halfway() {
    record_panics();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let servers = runtime.block_on(Servers::start());
    let (answered, refused) = (Cell::new(0), Cell::new(0));
    let mut runner = crate::proptest_runner::runner(DEFAULT_CASES);
    let result = runner.run(&requests(), |bytes| {
        for address in &servers.addresses {
            let (before, answer, after, peak) = runtime.block_on(run_case(&servers, address, &bytes));
            if check(&answer) {
                answered.set(answered.get() + 1);
            } else if !answer.is_empty() {
                // a client that hangs up too early does not learn whether its request was executed
                refused.set(refused.get() + 1);
                assert_eq!(before, after, "the request was refused but changed something");
            }
            assert!(peak < 2 * MAX_MESSAGE as isize, "{peak} bytes");
            assert!(!PANICKED.load(Ordering::SeqCst), "a server panicked");
        }
        Ok(())
    });
    drop(servers);
    runtime.shutdown_background();
    assert!(result.is_ok(), "{}", result.expect_err("a failing case"));
    assert!(answered.get() > 20 && refused.get() > 50, "{} answered, {} refused", answered.get(), refused.get());
}

async fn run_case(servers: &Servers, address: &str, bytes: &[u8]) -> (String, Vec<u8>, String, isize) {
    let before = servers.state().await;
    let peak = counting_allocator::measure_peak();
    let answer = exchange(address, bytes).await;
    let peak = peak();
    (before, answer, servers.state().await, peak)
}

/// A body above the limit, in chunks whose total length is not announced.
#[test]
fn a_giant_body_takes_no_more_memory_than_twice_its_limit() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(send_giant_body());
}

async fn send_giant_body() {
    let servers = Servers::start().await;
    let head = format!(
        "POST /v1/outcomes HTTP/1.1\r\nhost: localhost\r\ncontent-type: {CONTENT_TYPE}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    let mut stream = TcpStream::connect(&servers.addresses[0]).await.expect("a connection");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let piece = [format!("{:x}\r\n", 1_000_000).as_bytes(), &vec![0; 1_000_000], b"\r\n"].concat();
    let peak = counting_allocator::measure_peak();
    for _ in 0..100 {
        if stream.write_all(&piece).await.is_err() {
            break;
        }
    }
    let mut answer = [0; 12];
    // the response is lost if the server closed the connection while the client was still sending
    let read = stream.read_exact(&mut answer).await;
    assert!(read.is_err() || &answer == b"HTTP/1.1 413", "{}", String::from_utf8_lossy(&answer));
    let peak = peak();
    assert!(peak > MAX_MESSAGE as isize / 2 && peak < 2 * MAX_MESSAGE as isize, "{peak} bytes");
    assert_eq!(servers.store.runs(1).await.expect("the store is alive").len(), 1);
}
