//! The task that exports the spans of attempts and runs.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::attributes::{name, scope};
use super::drops::Drops;
use super::otlp_client::OtlpClient;
use super::spans::{attempt_span, run_span};
use super::stopping::stopping;
use crate::api::hub::Hub;
use crate::jobs::ended::{Ended, RunEnd};

/// Spans that wait while a request is under way, a kilobyte each at most. A hub ends some ten thousand attempts a second.
pub(crate) const QUEUE: usize = 16_384;
/// Spans in one request: a megabyte or two.
const MAX_BATCH: usize = 4_096;
/// How long the first span of a request waits for others.
const BATCH_DELAY: Duration = Duration::from_secs(1);

/// Exports the spans of one hub.
pub(crate) struct TraceExporter {
    pub(crate) client: OtlpClient,
    pub(crate) uri: Uri,
    pub(crate) resource: Resource,
    pub(crate) drops: Drops,
}

impl TraceExporter {
    /// Exports what arrives. When the hub stops, exports what is left and returns.
    pub(crate) async fn run(
        mut self,
        hub: Hub,
        mut ended: mpsc::Receiver<Arc<Ended>>,
        mut stopped: watch::Receiver<bool>,
    ) {
        loop {
            let batch = next_batch(&mut ended, &mut stopped).await;
            if batch.is_empty() {
                return;
            }
            self.export(&hub, &batch).await;
        }
    }

    async fn export(&mut self, hub: &Hub, batch: &[Arc<Ended>]) {
        let spans = spans(hub, batch).await;
        let count = spans.len() as u64;
        if count == 0 {
            return;
        }
        let request = request(spans, self.resource.clone());
        match self.client.send::<ExportTraceServiceResponse>(&self.uri, &request).await {
            Err(reason) => {
                self.drops.add(count);
                self.drops.log(&reason);
            }
            Ok(response) => {
                let partial = response.partial_success.unwrap_or_default();
                self.drops.add(partial.rejected_spans.unsigned_abs());
                let reason = match partial.rejected_spans {
                    0 => "the collector takes fewer spans than there are".to_owned(),
                    _ => format!("the collector rejected spans: {}", name(&partial.error_message)),
                };
                self.drops.log(&reason);
            }
        }
    }
}

/// Returns what has ended, once there is enough for a request or the first of it has waited long enough. When the hub stops, returns what
/// is left, at last nothing.
async fn next_batch(ended: &mut mpsc::Receiver<Arc<Ended>>, stopped: &mut watch::Receiver<bool>) -> Vec<Arc<Ended>> {
    let (mut batch, mut send_at) = (Vec::new(), None);
    while batch.len() < MAX_BATCH {
        let room = MAX_BATCH - batch.len();
        let due = async {
            match send_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            // in this order, so that spans that never stop coming hold up nothing
            biased;
            () = due => break,
            received = ended.recv_many(&mut batch, room) => {
                if received == 0 {
                    break;
                }
                send_at = send_at.or_else(|| Some(Instant::now() + BATCH_DELAY));
            }
            // the queue is empty, and what comes later is part of no request
            () = stopping(stopped) => ended.close(),
        }
    }
    batch
}

/// Returns the spans. A run's name is read from the store, where a run that is deleted has none any more.
async fn spans(hub: &Hub, batch: &[Arc<Ended>]) -> Vec<Span> {
    let mut spans = Vec::with_capacity(batch.len());
    for ended in batch {
        spans.extend(match &**ended {
            Ended::Attempt(end) => attempt_span(end),
            Ended::Run(end) => span_of_run(hub, end).await,
        });
    }
    spans
}

async fn span_of_run(hub: &Hub, end: &RunEnd) -> Option<Span> {
    match hub.store.run(end.run.id).await {
        Ok(run) => run_span(end, &run?),
        Err(error) => {
            tracing::warn!(run = %end.run.id, %error, "failed to read a run that has ended; its trace has no span of it");
            None
        }
    }
}

fn request(spans: Vec<Span>, resource: Resource) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans, ..ScopeSpans::default() }];
    let spans = ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![spans] }
}
