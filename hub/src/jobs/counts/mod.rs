//! Numbers of jobs: per step as they change, and per scope for metrics.

pub(crate) mod moved_jobs;
pub(crate) mod step_counts;
pub(crate) mod tally;
pub(crate) mod usage;
