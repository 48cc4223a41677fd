//! Values and messages to begin with.

use bue_model::attempt::AttemptUsage;
use bue_model::guest::{CallRequest, HostRequest, LoadRequest};
use bue_model::job::Hints;
use bue_model::log::{LogBatch, LogEntry};
use bue_model::net::{Body, Operation, Request, TlsSettings};
use bue_model::plan::{AtMost, Capability, PLAN_VERSION, Rate, Settings, Source};
use bue_model::wire::{
    Collection, Gathered, Heartbeat, JobInput, Lease, LeaseBatch, LeaseRequest, ListPiece, PieceVerdict, Report,
    ReportBatch, Submission, Verdict, WorkerAbilities, WorkerStatus,
};
use bue_model::{
    Answer, ArgumentSummary, BlobHash, BlobRef, Bundle, Call, CallIndex, Chunk, Decimal, Failure, FailureKind, Finally,
    ForEach, Input, JobId, JobNode, Language, Node, NodeId, Outcome, Package, Plan, RateKey, RunId, SourceFile, Step,
    StepIndex, Token, TraceContext, Value, ValueRef, cbor,
};
use serde::Serialize;
use uuid::Uuid;

/// Encoded values: one of each kind, in our own encoding and in others that are read too.
pub(crate) fn values() -> Vec<Vec<u8>> {
    let text = |text: &str| Value::Text(text.into());
    let all = Value::List(vec![
        Value::Null,
        Value::Bool(true),
        Value::Int(-1),
        Value::BigInt("-123456789012345678901234567890".parse().expect("digits")),
        Value::Float(f64::NAN),
        text("é\n"),
        Value::Bytes(vec![0, 255]),
        Value::Uuid(Uuid::from_u128(7)),
        Value::Decimal(Decimal { mantissa: 150.into(), exponent: -2 }),
        Value::Date("2026-09-30".into()),
        Value::Time("12:00:00".into()),
        Value::DateTime("2026-09-30T12:00:00+02:00".into()),
        Value::DateTime("2026-09-30T12:00:00".into()),
        Value::Map(vec![(text("key"), Value::Int(i64::MAX)), (Value::Int(1), text("a"))]),
    ]);
    let row = Value::Map(vec![(text("id"), Value::Int(1)), (text("name"), text("x"))]);
    vec![
        cbor::encode(&all),
        cbor::encode(&Value::List(vec![row.clone(), row])),
        cbor::encode(&Value::Map(vec![(Value::Int(1), all), (text("1"), Value::Null)])),
        // lists, maps, texts and bytes of indefinite length
        vec![0x9f, 0x01, 0x9f, 0xff, 0xff],
        vec![0xbf, 0x63, b'k', b'e', b'y', 0x01, 0xff],
        vec![0x7f, 0x61, b'a', 0x61, b'b', 0xff],
        vec![0x5f, 0x41, 0x00, 0xff],
        // a set, a tag without a meaning, a half-precision float
        vec![0xd9, 0x01, 0x02, 0x81, 0x01],
        vec![0xda, 0x00, 0x01, 0x00, 0x00, 0xf9, 0x3c, 0x00],
    ]
}

/// Encoded messages of every kind that strangers send.
pub(crate) fn messages() -> Vec<Vec<u8>> {
    let blob = BlobRef { hash: BlobHash([1; 32]), len: 5 };
    let run = RunId(Uuid::from_u128(7));
    let inline = ValueRef::Inline(vec![1].into());
    let chunk = Chunk { count: 2, value: Box::new(ValueRef::Blob(blob)) };
    let lease = Lease {
        job: JobId(1),
        run,
        token: Token { number: 3, seal: [9; 16] },
        attempt: 1,
        step: 0,
        inputs: vec![
            JobInput::Value(ValueRef::List(vec![chunk.clone()])),
            JobInput::Element { chunk: chunk.clone(), index: 1 },
            JobInput::Part { chunk: chunk.clone(), index: 1, part: 2 },
            JobInput::Gathered(vec![Gathered::Value(inline.clone()), Gathered::Nothing]),
        ],
        env: Some(vec![0xa0].into()),
        count_by: Some("account".into()),
        trace: Some(TraceContext { trace: [1; 16], span: [2; 8], sampled: true }),
        recorded: vec![chunk.clone()],
    };
    let (job, token, chunks) = (JobId(1), Token::unsealed(3), vec![chunk]);
    let piece = ListPiece { worker: "w".into(), run, job, token, first: 2, chunks, wait_ms: 1 };
    let submission = Submission { run, name: "a.bue".into(), plan: plan(), code: vec![blob] };
    vec![
        serde_json::to_vec(&submission).expect("JSON"),
        bytes(&submission),
        bytes(&lease_request()),
        bytes(&LeaseBatch { lease_ms: 8_000, steps: Vec::new(), leases: vec![lease], log_watches: Vec::new() }),
        bytes(&Heartbeat { worker: "w".into(), leases: vec![(JobId(1), Token::unsealed(1))], status: status() }),
        bytes(&ReportBatch { worker: "w".into(), reports: outcomes(inline).map(report).to_vec() }),
        bytes(&piece),
        bytes(&PieceVerdict::WindowFull),
        bytes(&LogBatch { worker: "w".into(), entries: vec![log_entry()] }),
        bytes(&Collection { database: Uuid::from_u128(8), runs: vec![run] }),
        bytes(&vec![Verdict::Accepted]),
        bytes(&bundle(blob)),
        bytes(&LoadRequest { bundle: bundle(blob) }),
        bytes(&call()),
        bytes(&HostRequest::Start(Operation::Request(request()))),
        bytes(&HostRequest::Start(Operation::Connect { host: "localhost".into(), port: 6379, timeout_ms: Some(1) })),
        bytes(&HostRequest::Start(Operation::StartTls { exchange: 1, settings: tls() })),
        bytes(&HostRequest::Start(Operation::OpenValue { name: "reports/today".into(), max: 1 })),
        bytes(&HostRequest::Start(Operation::StoreValue { name: "reports/today".into(), expires_s: Some(1) })),
        bytes(&HostRequest::Start(Operation::DeleteValue { name: "reports/today".into() })),
        bytes(&HostRequest::Wait { tickets: vec![1, 2], timeout_ms: Some(5) }),
        bytes(&HostRequest::Emit { count: 1, items: vec![0x81, 0x01].into(), early: true }),
        bytes(&Answer::Completed { value: vec![0xf6].into(), streamed: false, hints: hints() }),
    ]
}

fn bytes<T: Serialize>(message: &T) -> Vec<u8> {
    postcard::to_allocvec(message).expect("postcard")
}

/// `x = f()`, `for y in x: f(y)`
fn plan() -> Plan {
    let job = |id, inputs| Node::Job(JobNode { id: NodeId(id), step: StepIndex(0), call: CallIndex(id / 2), inputs });
    let body = vec![job(2, vec![Input::Loop(NodeId(1)), Input::LoopPart(NodeId(1), 1)])];
    let (id, over, gather) = (NodeId(1), NodeId(0), Some(NodeId(2)));
    let each = ForEach { id, variable: "y".into(), over, line: 2, body, gather, window: Some(3) };
    let call =
        |line, node| Call { line, name: Some("x".into()), first: NodeId(node), last: NodeId(node), nested: false };
    let settings = Settings {
        every_ms: Some((1, 2)),
        rate: Some(Rate { count: 1, per_ms: 60_000, by: Some("account".into()) }),
        allow: vec![Capability::Net("example.com:443".into()), Capability::Bucket("reports/*".into())],
        requires: vec!["requests==2".into()],
        expires_ms: Some(1),
        max_handbacks: 1,
        at_most: Some(AtMost { count: 1, by: Some("account".into()) }),
        keywords: Some(vec![0xa1, 0x61, b'k', 0x01].into()),
        on_failure: Some("f".into()),
        soft_timeout_ms: Some(1),
        ..Settings::default()
    };
    let step = Step {
        name: "f".into(),
        language: Language::Python,
        function: "f".into(),
        source: Source::Inline { text: "def f(): pass".into(), line: 1 },
        line: 1,
        settings,
    };
    let fused = Step { name: "f|f".into(), source: Source::Fused(vec![StepIndex(0); 2]), ..step.clone() };
    let finally = Finally { id: NodeId(5), line: 3, body: vec![job(6, vec![Input::Run(NodeId(5))])] };
    let handler = job(4, vec![Input::Failure(NodeId(0))]);
    let nodes = vec![job(0, Vec::new()), handler, Node::ForEach(each), Node::Finally(finally)];
    Plan {
        version: PLAN_VERSION,
        steps: vec![step, fused],
        nodes,
        calls: vec![call(1, 0), call(2, 2)],
        params: Vec::new(),
    }
}

fn lease_request() -> LeaseRequest {
    LeaseRequest {
        worker: "w".into(),
        scopes: vec!["default".into()],
        reverse: false,
        count: 1,
        wait_ms: 5,
        anti_starvation_interval: 16,
        abilities: WorkerAbilities::default(),
        status: status(),
    }
}

fn status() -> WorkerStatus {
    WorkerStatus { host: "machine".into(), memory_used: Some(1), ..WorkerStatus::default() }
}

fn outcomes(value: ValueRef) -> [Outcome; 5] {
    let trace = Some("File \"a.py\", line 1".into());
    let failure = Failure { trace, ..Failure::new(FailureKind::Raised, "ValueError: bad id") };
    [
        Outcome::Completed { value, hints: hints() },
        Outcome::Pending { delay_ms: Some(u64::MAX), scope: None },
        Outcome::Failed(failure),
        Outcome::Released { reason: "the worker stops".into(), alone: false },
        Outcome::Keyed { key: RateKey([3; 16]) },
    ]
}

fn report(outcome: Outcome) -> Report {
    let arguments = vec![ArgumentSummary { name: Some("id".into()), value: "7".into() }];
    Report {
        job: JobId(1),
        token: Token { number: 1, seal: [5; 16] },
        outcome,
        log: None,
        arguments,
        usage: AttemptUsage::of_ms(1),
    }
}

fn hints() -> Hints {
    Hints { priority: Some(-1), env: Some(vec![0xa0].into()), scope: None }
}

fn log_entry() -> LogEntry {
    LogEntry { job: JobId(1), token: Token::unsealed(1), position: 0, lines: "2026-09-30T12:00:00.123Z a\n".into() }
}

fn bundle(blob: BlobRef) -> Bundle {
    let file = |path: &str| SourceFile { path: path.into(), content: b"def f(): pass".to_vec().into() };
    let package = Package { file: "a-1-py3-none-any.whl".into(), wheel: blob };
    Bundle { entry: "a.py".into(), first_line: 1, files: vec![file("a.py"), file("b/c.py")], packages: vec![package] }
}

fn call() -> CallRequest {
    CallRequest {
        function: "f".into(),
        inputs: vec![vec![0xf6].into()],
        keywords: Some(vec![0xa1, 0x61, b'k', 0x01].into()),
        stream: true,
        batch_items: 1000,
        env: None,
        environment: vec![("NAME".into(), "value".into())],
        tcp: vec!["redis.example.com:6379".parse().expect("a rule")],
        max_result: 64 << 20,
        loop_text: Some("for y in x() (line 2)".into()),
        soft_limit: Some("soon".into()),
    }
}

fn tls() -> TlsSettings {
    TlsSettings {
        server_name: "localhost".into(),
        authorities: b"pem".to_vec().into(),
        default_authorities: false,
        protocols: vec!["h2".into()],
    }
}

fn request() -> Request {
    Request {
        method: "GET".into(),
        origin: "https://example.com".into(),
        target: "/a?b".into(),
        headers: vec![("accept".into(), b"*/*".to_vec().into())],
        body: Body::Whole(b"body".to_vec().into()),
        connect_timeout_ms: Some(1),
        read_timeout_ms: None,
    }
}
