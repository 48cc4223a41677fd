//! The failed jobs of all runs, one by one and in groups.

use serde::{Deserialize, Serialize};

use crate::ids::{JobId, RunId, Timestamp};
use crate::wire::JobView;

/// A page of the failed jobs of all runs, those that failed last first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FailedJobPage {
    /// The jobs. There may be fewer than the limit although there is a next page.
    pub errors: Vec<FailedJobEntry>,
    /// The beginning of the next page, for the parameter `after`. `None` on the last page.
    pub next: Option<String>,
}

/// A failed job in a list of those of all runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailedJobEntry {
    /// When it failed. Of a job that failed before the hub kept this time, when its run ended or, while that goes on, was created.
    pub at: Timestamp,
    /// The path of the script of its run.
    pub name: String,
    /// The job.
    pub job: JobView,
}

/// A page of the failures of all runs, in groups. The group of the job that failed last is first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FailureGroupPage {
    /// The groups, each for a step and the first line of a message.
    pub groups: Vec<FailureGroup>,
    /// The number of jobs in the groups of this page.
    pub jobs: u64,
    /// Where the jobs begin that this page does not count, for the parameter `after`. `None` if it counts all. Their groups may
    /// be among those of this page: add their counts.
    pub next: Option<String>,
}

/// Failures of a step with equal messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailureGroup {
    /// The step's name. Steps of different scripts may have the same.
    pub step: String,
    /// The first line of the message. Numbers and hexadecimal digits are `#`, and it is cut after 200 characters.
    pub message: String,
    /// The number of jobs.
    pub count: u64,
    /// The job that failed last.
    pub newest: FailedJobTime,
    /// The job that failed first.
    pub oldest: FailedJobTime,
}

/// A job and when it failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedJobTime {
    /// When it failed.
    pub at: Timestamp,
    /// Its run.
    pub run: RunId,
    /// The job.
    pub job: JobId,
}
