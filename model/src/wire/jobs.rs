//! Jobs, as people and scripts see them.

use serde::{Deserialize, Serialize};

use crate::attempt::AttemptView;
use crate::ids::{JobId, RunId, Timestamp};
use crate::job::{Failure, JobState};
use crate::location::{ArgumentSummary, Round};

/// The largest number of attempts in [`JobView::last_attempts`]. A step that answers `pending` may have thousands.
pub const MAX_ATTEMPT_VIEWS: usize = 10;

/// A job, as people and scripts see it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobView {
    /// The job.
    pub id: JobId,
    /// Its run.
    pub run: RunId,
    /// The step's name.
    pub step: String,
    /// The line of its call in the script, from 1.
    #[serde(default)]
    pub line: u32,
    /// Its rounds of the loops around it, outermost first.
    #[serde(default)]
    pub rounds: Vec<Round>,
    /// The arguments of the last attempt, if that failed.
    #[serde(default)]
    pub arguments: Vec<ArgumentSummary>,
    /// Its state.
    pub state: JobState,
    /// The earliest time at which it may be leased.
    pub available_at: Timestamp,
    /// The number of attempts.
    pub attempts: u32,
    /// When its last attempt started. `None` if there was none, or before version 12 of the hub's layout.
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    /// The milliseconds that its last attempt took, as the worker measured them. `None` while it runs, and if the worker did not
    /// report.
    #[serde(default)]
    pub run_ms: Option<u64>,
    /// The last [`MAX_ATTEMPT_VIEWS`] attempts, oldest first. Empty in lists of jobs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_attempts: Vec<AttemptView>,
    /// The number of parents that have not completed.
    pub waiting_for: u32,
    /// The worker that runs it or ran it last.
    pub worker: Option<String>,
    /// Its last failure.
    pub failure: Option<Failure>,
    /// The failed job because of which it can never run.
    pub blocked_by: Option<JobId>,
    /// Whether it did not run, but has the result of the same job in the run that its run repeats.
    #[serde(default)]
    pub reused: bool,
    /// The hash of its result as the hub stores it; equal results have equal hashes. Only if the query asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

/// Which jobs of a run to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobQuery {
    /// Only jobs of this step.
    pub step: Option<String>,
    /// Only jobs in this state.
    pub state: Option<JobState>,
    /// Only jobs in this round of the outermost loop around them, from 1; in this round of the loop inside it; and so on.
    pub rounds: Vec<u64>,
    /// Only jobs with a larger number.
    pub after: Option<JobId>,
    /// The largest number of jobs in the answer.
    pub limit: u32,
    /// Whether each completed job comes with the hash of its result.
    pub digests: bool,
}

/// A page of the jobs of a run, in the order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobPage {
    /// The jobs. There may be fewer than the limit, even none, although there is a next page: the hub looks at a limited number of
    /// jobs for one page.
    pub jobs: Vec<JobView>,
    /// [`JobQuery::after`] of the next page. `None` on the last page.
    pub next: Option<JobId>,
}

/// Why a job is in its state: what it waits for, or how it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WhyView {
    /// The job.
    pub job: JobView,
    /// The hub's time of this answer, for comparison with the other times in it.
    pub now: Timestamp,
    /// Its scope. Empty if the job is final.
    pub scope: String,
    /// The first twenty parents that have not completed.
    pub parents: Vec<ParentView>,
    /// The number of `pending` answers since it last started afresh.
    pub pendings: u32,
    /// The number of times that a worker released it or disappeared with it.
    pub releases: u32,
    /// When its lease ends, unless a heartbeat extends it.
    pub lease_ends_at: Option<Timestamp>,
    /// When its `!rate` allows the next job to start.
    pub rate_opens_at: Option<Timestamp>,
    /// The jobs that its `!at_most` counts. `None` for a step without it, and while the value of the field that it counts by is
    /// unknown.
    #[serde(default)]
    pub at_most: Option<AtMostView>,
    /// When it fails unless it has started, because of its `!expires`. `None` once it has started.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// The workers that requested jobs of its scope in the last minute, from any hub of the database.
    pub served_by: Vec<String>,
}

/// How many jobs a step's `!at_most` allows, and how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtMostView {
    /// The jobs that run.
    pub running: u32,
    /// The jobs that may run.
    pub limit: u32,
}

/// A parent that a job waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParentView {
    /// The job, or the loop.
    pub job: JobId,
    /// The step's name, or the loop's text.
    pub name: String,
    /// Its state.
    pub state: JobState,
    /// Of a loop that has started: the number of finished rounds, and of all rounds.
    pub rounds: Option<(u64, u64)>,
}
