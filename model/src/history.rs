//! The history of a hub: how many runs, jobs and workers there were.

use serde::{Deserialize, Serialize};

use crate::ids::Timestamp;

/// Samples of a period, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryView {
    /// The beginning of the period.
    pub from: Timestamp,
    /// The end of the period.
    pub to: Timestamp,
    /// The milliseconds from one sample to the next. A sample that is missing was not taken: no hub was running.
    pub interval_ms: u64,
    /// The samples.
    pub samples: Vec<HistorySample>,
}

/// What there is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountsView {
    /// The counts of the last second. [`HistorySample::at`] is when they were counted.
    pub counts: HistorySample,
    /// When the oldest run that has not ended was created.
    pub oldest_run_at: Option<Timestamp>,
}

/// What there was at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistorySample {
    /// When: a multiple of [`HistoryView::interval_ms`].
    pub at: Timestamp,
    /// Runs that had not ended.
    pub runs: u64,
    /// Jobs of these runs with parents that had not completed. This and the next fields count the latest thousand runs.
    pub blocked: u64,
    /// Jobs that were ready, or were to be at a later time.
    pub available: u64,
    /// Jobs that a worker ran.
    pub running: u64,
    /// Jobs that had a result.
    pub completed: u64,
    /// Jobs that had failed finally.
    pub failed: u64,
    /// Jobs that had been cancelled.
    pub cancelled: u64,
    /// Jobs that wait although they are ready: for the end of a delay, because an attempt failed or answered `pending` or `reset`, or
    /// for a start that their `!rate` allows. They are among the available ones. At most a million are counted.
    #[serde(default)]
    pub delayed: u64,
    /// Answers `pending` of these jobs so far.
    #[serde(default)]
    pub handed_back: u64,
    /// Workers that the hubs of the database had heard of in the last minute.
    pub workers: u64,
}
