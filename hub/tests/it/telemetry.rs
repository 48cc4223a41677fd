//! What a hub exports: spans and metrics to an OpenTelemetry collector, lines to a StatsD server.

mod collector;

use std::collections::{BTreeSet, HashSet};
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use bue_client::HubClient;
use bue_hub::{Durability, Hub, JobStore, OtlpConfig, PostgresStore, SqliteStore, TelemetryConfig, serve_hub};
use bue_model::attempt::AttemptUsage;
use bue_model::wire::{Lease, LeaseRequest, Report, ReportBatch, Verdict};
use bue_model::{Outcome, RunId};
use bue_test_support::cluster::shared;
use bue_test_support::wait::{wait_until_async, within_deadline};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use self::collector::{Collector, Refusal, attribute};
use crate::raw_http::{metric, raw_request_with};
use crate::script::{Script, submission};
use crate::servers::listen;
use crate::world::{PENDING, completed, failed};

/// A hub that exports, and its one worker.
struct Exporting {
    address: String,
    client: HubClient,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Exporting {
    async fn start(store: Arc<dyn JobStore>, telemetry: TelemetryConfig) -> Self {
        let (listener, address) = listen().await;
        let (stop, stopped) = oneshot::channel();
        let hub = Hub::new(store).with_telemetry(telemetry);
        let server = tokio::spawn(serve_hub(listener, hub, async { drop(stopped.await) }));
        let client = HubClient::new(std::slice::from_ref(&address)).expect("a client");
        Self { address, client, stop, server }
    }

    async fn submit(&self, number: u128, script: Script) -> RunId {
        self.client.submit(&submission(number, script.plan())).await.expect("a run")
    }

    async fn lease(&self, count: u32) -> Vec<Lease> {
        let request = LeaseRequest {
            worker: "w1".into(),
            scopes: vec!["default".into()],
            count,
            wait_ms: 60_000,
            ..LeaseRequest::default()
        };
        within_deadline("leases", self.client.lease(&request)).await.expect("leases").leases
    }

    async fn report(&self, lease: &Lease, outcome: Outcome) {
        let usage = AttemptUsage { run_ms: 20, cpu_ms: Some(3), peak_memory: Some(65_536) };
        let (job, token) = (lease.job, lease.token);
        let report = Report { job, token, outcome, log: None, arguments: Vec::new(), usage };
        let batch = ReportBatch { worker: "w1".into(), reports: vec![report] };
        assert_eq!(self.client.report(&batch).await.expect("verdicts"), [Verdict::Accepted]);
    }

    /// Leases and completes jobs, one after the other.
    async fn complete(&self, jobs: usize) {
        for _ in 0..jobs {
            let leases = self.lease(1).await;
            self.report(&leases[0], completed("1")).await;
        }
    }

    /// Stops the hub, which exports what is left.
    async fn stop(self) {
        let Self { stop, server, client, .. } = self;
        drop(client);
        stop.send(()).expect("a running hub");
        within_deadline("the hub's end", server).await.expect("the hub");
    }
}

fn sqlite() -> Arc<dyn JobStore> {
    Arc::new(SqliteStore::open(":memory:".as_ref(), Durability::Off).expect("a store"))
}

fn to_collector(collector: &Collector, more: &[(&str, &str)]) -> TelemetryConfig {
    let endpoint = |name| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| collector.url.clone());
    let value = |name| more.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
    let otlp = OtlpConfig::read(|name| endpoint(name).or_else(|| value(name))).expect("a config");
    TelemetryConfig { otlp, instance: "machine:1".into(), ..TelemetryConfig::default() }
}

/// Only traces, so that there are no other requests.
fn traces_to(collector: &Collector) -> TelemetryConfig {
    to_collector(collector, &[("OTEL_METRICS_EXPORTER", "none")])
}

fn call(steps: &[&str]) -> Script {
    let mut script = Script::new();
    script.call(steps, &[]);
    script
}

fn text(span: &Span, key: &str) -> String {
    attribute(&span.attributes, key).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn a_run_is_a_trace_with_a_span_for_each_attempt() {
    let collector = Collector::start().await;
    let more = [
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20hunter2"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=data"),
    ];
    let hub = Exporting::start(sqlite(), to_collector(&collector, &more)).await;
    let mut script = call(&["fetch", "load"]);
    script.set("fetch", |settings| settings.retries = 1);
    let run = hub.submit(0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, script).await;
    let mut traces = Vec::new();
    for outcome in [PENDING, failed("no\nTraceback"), completed("1"), completed("2")] {
        let leases = hub.lease(1).await;
        traces.push(leases[0].trace.expect("a trace"));
        hub.report(&leases[0], outcome).await;
    }
    let spans = collector.spans(5).await;
    let root = spans.iter().find(|span| span.parent_span_id.is_empty()).expect("the span of the run");
    assert_eq!((root.name.as_str(), text(root, "bue.state").as_str()), ("test.bue", "completed"));
    assert_eq!(text(root, "bue.run.id"), run.to_string());
    let attempts: Vec<_> = spans.iter().filter(|span| !span.parent_span_id.is_empty()).collect();
    let told: Vec<_> = attempts
        .iter()
        .map(|span| {
            let status = span.status.clone().map_or((0, String::new()), |status| (status.code, status.message));
            (span.name.as_str(), text(span, "bue.outcome"), text(span, "bue.attempt"), status)
        })
        .collect();
    let unset = || (0, String::new());
    let error = (StatusCode::Error.into(), "no".to_owned());
    assert_eq!(
        told,
        [
            ("fetch", "pending".to_owned(), "1".to_owned(), unset()),
            ("fetch", "failed".to_owned(), "1".to_owned(), error),
            ("fetch", "completed".to_owned(), "2".to_owned(), unset()),
            ("load", "completed".to_owned(), "1".to_owned(), unset()),
        ]
    );
    for (span, trace) in attempts.iter().zip(traces) {
        assert_eq!((span.trace_id.as_slice(), span.span_id.as_slice()), (&trace.trace[..], &trace.span[..]));
        assert_eq!(span.parent_span_id, root.span_id);
        assert!(root.start_time_unix_nano <= span.start_time_unix_nano, "{span:?}");
        assert!(span.end_time_unix_nano <= root.end_time_unix_nano, "{span:?}");
        assert_eq!(text(span, "bue.worker"), "w1");
        assert_eq!(
            [text(span, "bue.run_ms"), text(span, "bue.cpu_ms"), text(span, "bue.peak_memory_bytes")],
            ["20", "3", "65536"]
        );
    }
    assert_eq!(hex(&root.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736", "the id of the run");
    let received = collector.received();
    assert_eq!(received.headers[0]["authorization"], "Bearer hunter2");
    assert_eq!(received.headers[0]["content-type"], "application/x-protobuf");
    let service = ["service.name", "service.instance.id", "team"].map(|key| attribute(&received.resources[0], key));
    assert_eq!(service.map(Option::unwrap_or_default), ["bue", "machine:1", "data"]);
}

#[tokio::test]
async fn each_attempt_is_exported_by_one_of_several_hubs() {
    let (collector, database) = (Collector::start().await, shared().database().await);
    let mut hubs = Vec::new();
    for _ in 0..2 {
        let store = PostgresStore::connect(&database).await.expect("a store");
        hubs.push(Exporting::start(Arc::new(store), traces_to(&collector)).await);
    }
    let mut script = Script::new();
    for _ in 0..6 {
        script.call(&["a", "b"], &[]);
    }
    let run = hubs[0].submit(7, script).await;
    for job in 0..12 {
        let leases = hubs[job % 2].lease(1).await;
        // one hub leases it, and another gets the report
        hubs[(job / 2) % 2].report(&leases[0], completed("1")).await;
    }
    assert_eq!(hubs[1].client.run(run, None, 0).await.expect("the run").counts.completed, 12);
    for hub in hubs {
        hub.stop().await;
    }
    let spans = collector.spans(13).await;
    let ids: HashSet<_> = spans.iter().map(|span| span.span_id.clone()).collect();
    let parents: HashSet<_> = spans.iter().map(|span| span.parent_span_id.clone()).collect();
    let root = spans.iter().find(|span| span.parent_span_id.is_empty()).expect("the span of the run");
    assert_eq!((ids.len(), parents), (13, HashSet::from([Vec::new(), root.span_id.clone()])));
    let instances: BTreeSet<_> = collector.received().resources.iter().map(|one| format!("{one:?}")).collect();
    assert_eq!(instances.len(), 1, "both hubs of this test have the same name");
}

#[tokio::test]
async fn a_reset_begins_another_span_of_the_run() {
    for store in [sqlite(), postgres().await] {
        let collector = Collector::start().await;
        let hub = Exporting::start(store, traces_to(&collector)).await;
        let mut script = Script::new();
        script.call(&["a"], &[]);
        script.call(&["b"], &[]);
        let run = hub.submit(7, script).await;
        for _ in 0..2 {
            let leases = hub.lease(1).await;
            hub.report(&leases[0], failed("no")).await;
        }
        collector.spans(3).await;
        assert_eq!(hub.client.reset_run(run).await.expect("a reset"), 2);
        hub.complete(2).await;
        hub.stop().await;
        let received = collector.received();
        assert_eq!(received.spans.len(), 6);
        let parts: Vec<_> = received.spans.iter().filter(|span| !text(span, "bue.state").is_empty()).collect();
        let told: Vec<_> = parts.iter().map(|span| (span.name.as_str(), text(span, "bue.state"))).collect();
        let expected = [("test.bue", "failed".to_owned()), ("test.bue after a reset", "completed".to_owned())];
        assert_eq!(told, expected);
        assert_eq!(parts[1].parent_span_id, parts[0].span_id);
        assert!(parts[0].end_time_unix_nano <= parts[1].start_time_unix_nano);
        assert_eq!(parts[0].status.clone().expect("a status").message, "failed jobs: 2");
    }
}

async fn postgres() -> Arc<dyn JobStore> {
    Arc::new(PostgresStore::connect(&shared().database().await).await.expect("a store"))
}

/// Submits a run with this header; returns its id.
async fn submit_in_trace(hub: &Exporting, number: u128, headers: &[(&str, &str)]) -> RunId {
    let submission = submission(number, call(&["a"]).plan());
    let body = serde_json::to_vec(&submission).expect("JSON");
    let headers = [headers, &[("content-type", "application/json")]].concat();
    let response = raw_request_with(&hub.address, "POST", "/v1/runs", &headers, &body).await;
    assert_eq!(response.status, 200, "{}", response.body);
    submission.run
}

#[tokio::test]
async fn a_run_continues_the_trace_of_its_client() {
    for store in [sqlite(), postgres().await] {
        let collector = Collector::start().await;
        let hub = Exporting::start(store, traces_to(&collector)).await;
        let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        submit_in_trace(&hub, 7, &[("traceparent", valid)]).await;
        // not recorded, so its spans are not exported
        submit_in_trace(&hub, 8, &[("traceparent", &valid.replace("-01", "-00"))]).await;
        for (number, headers) in [
            (9, vec![("traceparent", "00-0af7-b7-01")]),
            (10, vec![("traceparent", valid), ("traceparent", valid)]),
            (11, vec![("traceparent", "")]),
        ] {
            submit_in_trace(&hub, number, &headers).await;
        }
        let leases = hub.lease(10).await;
        assert_eq!(leases.len(), 5);
        for lease in &leases {
            let trace = lease.trace.expect("a trace");
            let is_clients = hex(&trace.trace) == "0af7651916cd43dd8448eb211c80319c";
            assert_eq!(is_clients, lease.run.0.as_u128() < 9, "{trace}");
            assert_eq!(trace.sampled, lease.run.0.as_u128() != 8, "{trace}");
            hub.report(lease, completed("1")).await;
        }
        hub.stop().await;
        let spans = collector.spans(8).await;
        let clients: Vec<_> = spans.iter().filter(|span| hex(&span.trace_id).starts_with("0af7")).collect();
        assert_eq!(clients.len(), 2);
        let parents: BTreeSet<_> = clients.iter().map(|span| hex(&span.parent_span_id)).collect();
        let root = clients.iter().find(|span| !text(span, "bue.state").is_empty()).expect("the span of the run");
        assert_eq!(parents, BTreeSet::from(["b7ad6b7169203331".to_owned(), hex(&root.span_id)]));
    }
}

#[tokio::test]
async fn a_collector_that_is_busy_gets_the_spans_later() {
    let collector = Collector::start().await;
    collector.refuse(&[Refusal::RetryNow(503), Refusal::RetryNow(429), Refusal::RetryNow(502)]);
    let hub = Exporting::start(sqlite(), traces_to(&collector)).await;
    hub.submit(7, call(&["a"])).await;
    hub.complete(1).await;
    collector.spans(2).await;
    assert_eq!(collector.received().requests, 4);
    assert_eq!(metric(&hub.address, "bue_dropped_telemetry_total{signal=\"traces\"}").await, Some(0.0));
}

#[tokio::test]
async fn what_a_collector_does_not_take_is_counted() {
    for (refusal, dropped) in [(Refusal::Status(400), 2.0), (Refusal::Partial(1), 1.0), (Refusal::Page, 2.0)] {
        let collector = Collector::start().await;
        collector.refuse(&[refusal]);
        let hub = Exporting::start(sqlite(), traces_to(&collector)).await;
        hub.submit(7, call(&["a"])).await;
        hub.complete(1).await;
        let name = "bue_dropped_telemetry_total{signal=\"traces\"}";
        wait_until_async("a count", async || metric(&hub.address, name).await == Some(dropped)).await;
        // the next ones are taken
        hub.submit(8, call(&["a"])).await;
        hub.complete(1).await;
        collector.spans(2).await;
    }
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_nothing() {
    let collector = Collector::start().await;
    collector.refuse(&[Refusal::Silence; 1_000]);
    let more = [("OTEL_EXPORTER_OTLP_TIMEOUT", "86400000"), ("OTEL_METRIC_EXPORT_INTERVAL", "1")];
    let hub = Exporting::start(sqlite(), to_collector(&collector, &more)).await;
    for number in 1..=20 {
        hub.submit(number, call(&["a"])).await;
        hub.complete(1).await;
    }
    wait_until_async("a request", async || collector.received().requests == 2).await;
    assert_eq!(metric(&hub.address, "bue_outcomes_total{outcome=\"completed\"}").await, Some(20.0));
    // gives up the last export
    hub.stop().await;
    assert_eq!(collector.received().spans.len(), 0);
}

#[tokio::test]
async fn metrics_are_those_that_readers_get() {
    let collector = Collector::start().await;
    let more = [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_METRIC_EXPORT_INTERVAL", "20")];
    let hub = Exporting::start(sqlite(), to_collector(&collector, &more)).await;
    hub.submit(7, call(&["a"])).await;
    assert_eq!(hub.lease(1).await[0].trace, None, "no traces, no header");
    wait_until_async("the lease", async || exported(&collector, "bue_leases_total") == Some(1)).await;
    let metrics = collector.received().metrics.clone();
    let seconds = metrics.iter().find(|metric| metric.name == "bue_request_seconds").expect("a histogram");
    let Some(Data::Histogram(histogram)) = &seconds.data else { panic!("{seconds:?}") };
    for point in &histogram.data_points {
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count, "{point:?}");
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert!(0 < point.start_time_unix_nano && point.start_time_unix_nano <= point.time_unix_nano);
    }
    assert_eq!(seconds.unit, "s");
    let info = metrics.iter().find(|metric| metric.name == "bue_build_info").expect("a gauge");
    assert!(matches!(info.data, Some(Data::Gauge(_))), "{info:?}");
}

/// The only value of an exported counter.
fn exported(collector: &Collector, name: &str) -> Option<i64> {
    let received = collector.received();
    match &received.metrics.iter().find(|metric| metric.name == name)?.data {
        Some(Data::Sum(sum)) if sum.is_monotonic => match sum.data_points[0].value {
            Some(Value::AsInt(value)) => Some(value),
            _ => None,
        },
        _ => None,
    }
}

/// A StatsD server that keeps what it gets.
struct StatsdServer(UdpSocket);

impl StatsdServer {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
        Self(socket)
    }

    fn config(&self) -> TelemetryConfig {
        let address = self.0.local_addr().expect("an address").to_string();
        TelemetryConfig { statsd: Some(address), instance: "machine:1".into(), ..TelemetryConfig::default() }
    }

    /// The lines of all datagrams that have arrived.
    fn lines(&self) -> Vec<String> {
        let (mut lines, mut buffer) = (Vec::new(), [0; 65_536]);
        while let Ok(bytes) = self.0.recv(&mut buffer) {
            assert!(bytes <= 1_432, "a datagram of {bytes} bytes");
            let text = std::str::from_utf8(&buffer[..bytes]).expect("text");
            lines.extend(text.split('\n').map(str::to_owned));
        }
        lines
    }
}

#[tokio::test]
async fn a_statsd_server_gets_times_and_metrics() {
    let statsd = StatsdServer::start();
    let hub = Exporting::start(sqlite(), statsd.config()).await;
    hub.submit(7, call(&["a:1|c\nb#,"])).await;
    let leases = hub.lease(1).await;
    assert_eq!(leases[0].trace, None, "no traces, no header");
    hub.report(&leases[0], failed("no")).await;
    let mut lines = Vec::new();
    wait_until_async("the attempt", async || {
        lines.extend(statsd.lines());
        !lines.is_empty()
    })
    .await;
    let tags = "step:a_1_c_b__,scope:default,outcome:failed";
    assert_eq!(lines, [format!("bue_attempt_ms:20|ms|#{tags}"), format!("bue_attempt_cpu_ms:3|ms|#{tags}")]);
    hub.submit(8, call(&["a"])).await;
    // all metrics are sent once more at the end
    hub.stop().await;
    let lines = statsd.lines();
    for line in [
        "bue_leases_total:1|c|#hub:machine_1",
        "bue_outcomes_total:1|c|#hub:machine_1,outcome:failed",
        "bue_open_runs:1|g|#hub:machine_1",
        "bue_jobs:1|g|#hub:machine_1,scope:default,state:available",
        "bue_requests_total:2|c|#hub:machine_1,method:POST,route:/v1/runs,status:200",
    ] {
        assert!(lines.iter().any(|one| one == line), "no {line} in {lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.contains("seconds")), "histograms: {lines:#?}");
}

#[tokio::test]
async fn a_statsd_server_that_is_gone_delays_nothing() {
    let config = {
        let gone = StatsdServer::start();
        gone.config()
    };
    let hub = Exporting::start(sqlite(), config).await;
    let name = "bue_dropped_telemetry_total{signal=\"statsd\"}";
    let mut number = 0;
    wait_until_async("a count", async || {
        number += 1;
        hub.submit(number, call(&["a"])).await;
        hub.complete(1).await;
        metric(&hub.address, name).await.is_some_and(|dropped| dropped > 0.0)
    })
    .await;
    hub.stop().await;
}
