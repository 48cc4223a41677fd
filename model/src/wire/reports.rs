//! Reports: the outcomes of attempts.

use serde::{Deserialize, Serialize};

use crate::attempt::AttemptUsage;
use crate::ids::{JobId, Token};
use crate::job::{Outcome, ValueRef};
use crate::length_limit;
use crate::location::{ArgumentSummary, MAX_ARGUMENTS};

/// A batch of reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportBatch {
    /// The worker's name.
    pub worker: String,
    /// One for each job.
    pub reports: Vec<Report>,
}

/// The result of one attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The job.
    pub job: JobId,
    /// The token of its lease.
    pub token: Token,
    /// The outcome.
    pub outcome: Outcome,
    /// The lines that it printed, each with its time, in UTF-8. `None` if it printed nothing.
    pub log: Option<ValueRef>,
    /// A summary of its arguments if the attempt failed, else empty. The hub cuts it to
    /// [`MAX_SUMMARY_BYTES`](crate::location::MAX_SUMMARY_BYTES).
    #[serde(deserialize_with = "length_limit::bounded_list::<_, _, MAX_ARGUMENTS>")]
    pub arguments: Vec<ArgumentSummary>,
    /// What the attempt used.
    pub usage: AttemptUsage,
}

/// The hub's answer to a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// Recorded, now or by an earlier request.
    Accepted,
    /// The lease had ended. The report changed nothing.
    LeaseLost,
}
