//! The task that exports metrics to a collector, and their form. All values are cumulative, so one that the collector did not take is
//! contained in the next.

use std::time::Duration;

use bue_model::Timestamp;
use http::Uri;
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::sync::watch;
use tokio::time::sleep;

use super::attributes::{name, scope, text};
use super::drops::Drops;
use super::otlp_client::OtlpClient;
use super::samples::{MetricFamily, MetricKind, Sample};
use super::scrape::scrape;
use super::spans::nanoseconds;
use super::stopping::stopping;
use crate::api::hub::Hub;

/// Exports the metrics of one hub.
pub(crate) struct MetricsExporter {
    pub(crate) client: OtlpClient,
    pub(crate) uri: Uri,
    pub(crate) resource: Resource,
    pub(crate) interval: Duration,
    pub(crate) drops: Drops,
}

impl MetricsExporter {
    /// Exports at intervals, and once when the hub stops.
    pub(crate) async fn run(mut self, hub: Hub, mut stopped: watch::Receiver<bool>) {
        let since = hub.now();
        while ticked(self.interval, &mut stopped).await {
            self.export(&hub, since).await;
        }
        self.export(&hub, since).await;
    }

    async fn export(&mut self, hub: &Hub, since: Timestamp) {
        let Some(families) = scrape(hub).await else { return };
        let period = Period { start: nanoseconds(since), end: nanoseconds(hub.now()) };
        let request = request(families, self.resource.clone(), period);
        match self.client.send_once::<ExportMetricsServiceResponse>(&self.uri, &request).await {
            Err(reason) => {
                self.drops.add(1);
                self.drops.log(&reason);
            }
            Ok(response) => {
                if let Some(partial) = response.partial_success.filter(|partial| partial.rejected_data_points > 0) {
                    self.drops.add(partial.rejected_data_points.unsigned_abs());
                    self.drops.log(&format!("the collector rejected values: {}", name(&partial.error_message)));
                }
            }
        }
    }
}

/// Waits for an interval; returns false when the hub stops.
async fn ticked(interval: Duration, stopped: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        biased;
        () = stopping(stopped) => false,
        () = sleep(interval) => true,
    }
}

/// Since when values count, and when they were read, in nanoseconds since 1970.
#[derive(Clone, Copy)]
struct Period {
    start: u64,
    end: u64,
}

fn request(families: Vec<MetricFamily>, resource: Resource, period: Period) -> ExportMetricsServiceRequest {
    let metrics = families.into_iter().filter(|family| !family.samples.is_empty());
    let scope_metrics = vec![ScopeMetrics {
        scope: Some(scope()),
        metrics: metrics.map(|family| metric(family, period)).collect(),
        ..ScopeMetrics::default()
    }];
    let metrics = ResourceMetrics { resource: Some(resource), scope_metrics, ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![metrics] }
}

/// A counter has the name of its sample, which ends in `_total`.
fn metric(family: MetricFamily, period: Period) -> Metric {
    let MetricFamily { name, help, kind, samples } = family;
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let unit = if name.ends_with("_seconds") { "s" } else { "" }.to_owned();
    let full_name = samples.first().map_or_else(|| name.clone(), |sample| sample.name.clone());
    let (name, data) = match kind {
        MetricKind::Gauge => {
            let data_points = samples.iter().map(|sample| number_point(sample, Period { start: 0, ..period }));
            (full_name, Data::Gauge(Gauge { data_points: data_points.collect() }))
        }
        MetricKind::Counter => {
            let data_points = samples.iter().map(|sample| number_point(sample, period)).collect();
            (full_name, Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic: true }))
        }
        MetricKind::Histogram => {
            let data_points = histogram_points(&samples, period);
            (name, Data::Histogram(Histogram { data_points, aggregation_temporality }))
        }
    };
    Metric { name, description: help, unit, data: Some(data), ..Metric::default() }
}

fn number_point(sample: &Sample, period: Period) -> NumberDataPoint {
    NumberDataPoint {
        attributes: attributes(sample),
        start_time_unix_nano: period.start,
        time_unix_nano: period.end,
        value: Some(whole(sample.value).map_or(Value::AsDouble(sample.value), Value::AsInt)),
        ..NumberDataPoint::default()
    }
}

/// The samples of a series are its sum, its count, and its buckets with rising bounds, each of which contains those before.
fn histogram_points(samples: &[Sample], period: Period) -> Vec<HistogramDataPoint> {
    let mut points: Vec<HistogramDataPoint> = Vec::new();
    for sample in samples {
        if sample.name.ends_with("_sum") {
            points.push(HistogramDataPoint {
                attributes: attributes(sample),
                start_time_unix_nano: period.start,
                time_unix_nano: period.end,
                sum: Some(sample.value),
                ..HistogramDataPoint::default()
            });
        }
        let Some(point) = points.last_mut() else { continue };
        let count = whole(sample.value).unwrap_or(0).unsigned_abs();
        if sample.name.ends_with("_count") {
            point.count = count;
        } else if sample.name.ends_with("_bucket") {
            let before: u64 = point.bucket_counts.iter().sum();
            point.bucket_counts.push(count.saturating_sub(before));
            let bound = sample.labels.iter().find(|(name, _)| name == "le").and_then(|(_, bound)| bound.parse().ok());
            // the last bucket has no bound
            point.explicit_bounds.extend(bound.filter(|bound: &f64| bound.is_finite()));
        }
    }
    points
}

fn attributes(sample: &Sample) -> Vec<KeyValue> {
    let labels = sample.labels.iter().filter(|(name, _)| name != "le");
    labels.map(|(name, value)| text(name, value)).collect()
}

/// Returns a value without a fraction as an integer.
#[expect(clippy::cast_possible_truncation, reason = "it is compared with what it was")]
#[expect(clippy::cast_precision_loss, reason = "it is compared with what it was")]
fn whole(value: f64) -> Option<i64> {
    let whole = value as i64;
    (whole as f64 == value).then_some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::samples::read_metrics;

    #[test]
    fn a_histogram_counts_each_value_in_one_bucket() {
        let metrics = "# HELP t T.\n# TYPE t histogram\nt_sum{r=\"x\"} 7.5\nt_count{r=\"x\"} 6\nt_bucket{le=\"0.5\",r=\"x\"} 1\n\
                    t_bucket{le=\"2.0\",r=\"x\"} 4\nt_bucket{le=\"+Inf\",r=\"x\"} 6\n\
                    t_sum{r=\"y\"} 0.0\nt_count{r=\"y\"} 0\nt_bucket{le=\"0.5\",r=\"y\"} 0\nt_bucket{le=\"+Inf\",r=\"y\"} 0\n# EOF\n";
        let families = read_metrics(metrics).expect("metrics");
        let points = histogram_points(&families[0].samples, Period { start: 1, end: 2 });
        let counted: Vec<_> = points.iter().map(|one| (one.count, one.sum, one.bucket_counts.as_slice())).collect();
        assert_eq!(counted, [(6, Some(7.5), &[1, 3, 2][..]), (0, Some(0.0), &[0, 0])]);
        assert_eq!(points[0].explicit_bounds, [0.5, 2.0]);
        assert_eq!(points[0].attributes, [text("r", "x")]);
    }
}
