//! [`CommitMetrics`]: how long a store's commits take, and how many requests share one commit.

use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

/// Histogram buckets for the duration of a commit, in seconds. An fsync takes half a millisecond on a fast disk and 100 ms on
/// a slow one.
const SECONDS: [f64; 9] = [0.000_2, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0];
/// Histogram buckets for the number of requests in a commit.
const REQUESTS: [f64; 7] = [1.0, 2.0, 4.0, 16.0, 64.0, 128.0, 256.0];

/// Recorded by the store, exported by the hub.
#[derive(Clone, Debug)]
pub struct CommitMetrics {
    pub(crate) seconds: Histogram,
    pub(crate) requests: Histogram,
}

impl Default for CommitMetrics {
    fn default() -> Self {
        Self { seconds: Histogram::new(SECONDS), requests: Histogram::new(REQUESTS) }
    }
}

impl CommitMetrics {
    /// Records one commit.
    #[expect(clippy::cast_precision_loss, reason = "a count of requests is small")]
    pub(crate) fn record(&self, requests: usize, duration: Duration) {
        self.seconds.observe(duration.as_secs_f64());
        self.requests.observe(requests as f64);
    }
}
