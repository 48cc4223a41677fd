//! A run as its client sees it: submitted, followed, its results and failures printed.
//!
//! Used by verbs that talk to a hub elsewhere and by those that run one here. May use `script` and `process`.

pub(crate) mod attempt;
pub(crate) mod attempt_lines;
pub(crate) mod blocked_jobs;
pub(crate) mod bulk;
pub(crate) mod difference;
pub(crate) mod failed_list;
pub(crate) mod failure_groups;
pub(crate) mod failures;
pub(crate) mod follow;
pub(crate) mod job_digests;
pub(crate) mod job_list;
pub(crate) mod job_name;
pub(crate) mod live_log;
pub(crate) mod outcome;
pub(crate) mod progress;
pub(crate) mod publish;
pub(crate) mod results;
pub(crate) mod run_list;
pub(crate) mod status_line;
pub(crate) mod submit;
pub(crate) mod tables;
pub(crate) mod times;
pub(crate) mod unserved;
