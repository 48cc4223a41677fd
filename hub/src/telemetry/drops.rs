//! [`Drops`]: what a receiver did not take, counted and logged.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// The metric of what was dropped.
pub(crate) type DropCounters = Family<SignalLabels, Counter>;

/// What kind of data was dropped: `traces`, `metrics` or `statsd`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct SignalLabels {
    signal: &'static str,
}

/// Counts what is dropped of one kind of data.
#[derive(Debug)]
pub(crate) struct Drops {
    signal: &'static str,
    counter: Counter,
    /// How many of them the log has told of.
    logged: u64,
}

impl Drops {
    /// Counts in the series of this kind of data.
    pub(crate) fn new(counters: &DropCounters, signal: &'static str) -> Self {
        Self { signal, counter: counters.get_or_create_owned(&SignalLabels { signal }), logged: 0 }
    }

    /// The counter, for what finds a full queue.
    pub(crate) fn counter(&self) -> Counter {
        self.counter.clone()
    }

    pub(crate) fn add(&self, dropped: u64) {
        self.counter.inc_by(dropped);
    }

    /// Logs how many were dropped since the last call, if any were.
    pub(crate) fn log(&mut self, reason: &str) {
        let dropped = self.counter.get().saturating_sub(self.logged);
        self.logged = self.logged.saturating_add(dropped);
        if dropped > 0 {
            tracing::warn!(dropped, signal = self.signal, "dropped data that was to be exported: {reason}");
        }
    }
}
