//! Numbers of jobs: per step as they change, and per scope for metrics. Uses only `state` and `columns`.

pub(crate) mod step_counts;
pub(crate) mod tally;
