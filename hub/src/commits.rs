//! [`Commits`]: how long a store's commits take, and how many requests each of them carries.

use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

/// Seconds of one commit: the fsync of a fast disk takes half a millisecond, that of a slow one a hundred.
const SECONDS: [f64; 9] = [0.000_2, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0];
/// Requests in one commit.
const REQUESTS: [f64; 7] = [1.0, 2.0, 4.0, 16.0, 64.0, 128.0, 256.0];

/// Counted by the store, shown by the hub.
#[derive(Clone, Debug)]
pub struct Commits {
    pub(crate) seconds: Histogram,
    pub(crate) requests: Histogram,
}

impl Default for Commits {
    fn default() -> Self {
        Self { seconds: Histogram::new(SECONDS), requests: Histogram::new(REQUESTS) }
    }
}

impl Commits {
    /// One more.
    #[expect(clippy::cast_precision_loss, reason = "a count of requests is small")]
    pub(crate) fn note(&self, requests: usize, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        self.requests.observe(requests as f64);
    }
}
