//! [`export`]: starts what a hub exports.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::time::timeout;

use super::attributes::resource;
use super::config::OtlpConfig;
use super::drops::Drops;
use super::metrics::MetricsExporter;
use super::otlp_client::OtlpClient;
use super::statsd::{self, StatsdExporter};
use super::stopping::stopping;
use super::traces::{self, TraceExporter};
use crate::api::hub::Hub;

/// How long a hub that stops waits for the last export.
const LAST_EXPORT: Duration = Duration::from_secs(5);

/// Exports until `stopped` becomes true, then what is left.
pub(crate) async fn export(hub: Hub, mut stopped: watch::Receiver<bool>) {
    let mut exporters = Vec::new();
    if let Some(otlp) = &hub.telemetry.otlp {
        match OtlpClient::new(otlp) {
            Ok(client) => exporters.extend(otlp_exporters(&hub, otlp, &client, &stopped)),
            Err(error) => {
                tracing::error!(%error, "nothing is exported to the OpenTelemetry collector: TLS cannot be set up");
            }
        }
    }
    if let Some(address) = hub.telemetry.statsd.clone() {
        let drops = Drops::new(hub.dropped_telemetry(), "statsd");
        let ended = hub.store.notifications().watch_ended(statsd::QUEUE, drops.counter());
        let exporter = StatsdExporter::new(address, hub.telemetry.instance.clone(), drops);
        exporters.push(tokio::spawn(exporter.run(hub.clone(), ended, stopped.clone())));
    }
    stopping(&mut stopped).await;
    let handles: Vec<_> = exporters.iter().map(tokio::task::JoinHandle::abort_handle).collect();
    if timeout(LAST_EXPORT, join_all(exporters)).await.is_err() {
        tracing::warn!("the last traces and metrics were not exported: a receiver did not answer in time");
        handles.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

fn otlp_exporters(
    hub: &Hub,
    otlp: &OtlpConfig,
    client: &OtlpClient,
    stopped: &watch::Receiver<bool>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let mut exporters = Vec::new();
    let resource = resource(&hub.telemetry, otlp);
    if let Some(uri) = otlp.traces.clone() {
        let drops = Drops::new(hub.dropped_telemetry(), "traces");
        let ended = hub.store.notifications().watch_ended(traces::QUEUE, drops.counter());
        let exporter = TraceExporter { client: client.clone(), uri, resource: resource.clone(), drops };
        exporters.push(tokio::spawn(exporter.run(hub.clone(), ended, stopped.clone())));
    }
    if let Some(uri) = otlp.metrics.clone() {
        let (client, interval) = (client.clone(), otlp.metric_interval);
        let drops = Drops::new(hub.dropped_telemetry(), "metrics");
        let exporter = MetricsExporter { client, uri, resource, interval, drops };
        exporters.push(tokio::spawn(exporter.run(hub.clone(), stopped.clone())));
    }
    exporters
}
