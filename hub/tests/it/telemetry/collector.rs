//! A receiver of OTLP that answers as a test says.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};

use bue_test_support::wait::wait_until_async;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::servers::listen;

/// How a request is answered, other than with success.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// With this status.
    Status(u16),
    /// With this status, and that it may be sent again at once.
    RetryNow(u16),
    /// With success, but for so many spans.
    Partial(i64),
    /// Like a server that is no collector.
    Page,
    /// Never.
    Silence,
}

/// What has arrived, and how what comes next is answered.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) refusals: VecDeque<Refusal>,
    /// All requests, refused ones too.
    pub(crate) requests: usize,
    pub(crate) headers: Vec<HeaderMap>,
    pub(crate) spans: Vec<Span>,
    /// The attributes of the services that sent spans.
    pub(crate) resources: Vec<Vec<KeyValue>>,
    /// The latest metrics.
    pub(crate) metrics: Vec<Metric>,
}

/// A collector on port 0, which runs until the test ends.
#[derive(Clone)]
pub(crate) struct Collector {
    pub(crate) url: String,
    received: Arc<Mutex<Received>>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let (listener, address) = listen().await;
        let collector = Self { url: format!("http://{address}"), received: Arc::default() };
        let serving = collector.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let serving = serving.clone();
                let service = service_fn(move |request| serving.clone().answer(request));
                // a client that goes away is fine
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        collector
    }

    pub(crate) fn received(&self) -> MutexGuard<'_, Received> {
        self.received.lock().expect("what was received")
    }

    /// Answers the next requests like this.
    pub(crate) fn refuse(&self, refusals: &[Refusal]) {
        self.received().refusals.extend(refusals);
    }

    /// Waits until so many spans have arrived, and returns them.
    pub(crate) async fn spans(&self, count: usize) -> Vec<Span> {
        wait_until_async("all spans", async || self.received().spans.len() >= count).await;
        let spans = self.received().spans.clone();
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans
    }

    async fn answer(self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.expect("a whole body").to_bytes();
        let refusal = {
            let mut received = self.received();
            received.requests += 1;
            received.headers.push(head.headers);
            received.refusals.pop_front()
        };
        let response = |status: u16, body: Vec<u8>| Response::builder().status(status).body(Full::from(body));
        let answer = match refusal {
            Some(Refusal::Silence) => std::future::pending().await,
            Some(Refusal::Status(status)) => response(status, b"no\x1b[31m".to_vec()),
            Some(Refusal::RetryNow(status)) => {
                Response::builder().status(status).header("retry-after", "0").body(Full::default())
            }
            Some(Refusal::Page) => response(200, b"<html>".to_vec()),
            Some(Refusal::Partial(rejected_spans)) => {
                let partial = ExportTracePartialSuccess { rejected_spans, error_message: "too old".into() };
                response(200, ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec())
            }
            None => {
                self.take(head.uri.path(), &body);
                response(200, Vec::new())
            }
        };
        Ok(answer.expect("an answer"))
    }

    fn take(&self, path: &str, body: &[u8]) {
        let mut received = self.received();
        match path {
            "/v1/traces" => {
                let request = ExportTraceServiceRequest::decode(body).expect("spans");
                for spans in request.resource_spans {
                    received.resources.push(spans.resource.expect("a resource").attributes);
                    received.spans.extend(spans.scope_spans.into_iter().flat_map(|scope| scope.spans));
                }
            }
            "/v1/metrics" => {
                let request = ExportMetricsServiceRequest::decode(body).expect("metrics");
                let scopes = request.resource_metrics.into_iter().flat_map(|metrics| metrics.scope_metrics);
                received.metrics = scopes.flat_map(|scope| scope.metrics).collect();
            }
            other => panic!("a request to {other}"),
        }
    }
}

/// Returns an attribute as a text.
pub(crate) fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let value = attributes.iter().find(|one| one.key == key)?.value.clone()?.value?;
    Some(match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    })
}
