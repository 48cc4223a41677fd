//! Operations on all runs that a filter matches: cancel, reset, delete.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::RunId;
use crate::job::RunState;

/// A request to change runs. Sent as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BulkRequest {
    /// Which runs.
    pub filter: RunFilter,
    /// Whether the filter may be empty, for all runs that the operation fits.
    #[serde(skip_serializing_if = "is_false")]
    pub all: bool,
    /// Whether nothing is to be changed, only counted.
    #[serde(skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// Where an earlier request stopped: [`BulkView::next`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A choice of runs: those that fit all fields that are set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunFilter {
    /// Runs in one of these states, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Runs of this pipeline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    /// Runs of the script of this path; with a `*` at its end, of all scripts whose paths begin with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Runs of pipelines that were given these values of parameters.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Runs that were created at this time or later: a time, or a duration before now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Runs that were created before this time: a time, or a duration before now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Runs with a failed job of this step. A reset concerns only these jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Runs with a failed job whose message or traceback contains this text. A reset concerns only these jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// What an operation on many runs did, or with `dry_run` would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkView {
    /// The number of runs that were changed.
    pub runs: u64,
    /// The number of jobs that were cancelled, reset or deleted.
    pub jobs: u64,
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// The first of these runs, at most twenty.
    pub examples: Vec<BulkExample>,
    /// The number of runs that match and could not be changed.
    pub skipped: u64,
    /// The first of them, at most twenty, with the reasons.
    pub problems: Vec<BulkProblem>,
    /// Where the next request continues, for `after`. `None` if there are no further runs.
    pub next: Option<String>,
}

/// A run that is changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkExample {
    /// The run.
    pub run: RunId,
    /// The path of its script.
    pub name: String,
    /// Its state before the change.
    pub state: RunState,
    /// The number of its jobs that are changed.
    pub jobs: u64,
}

/// A run that could not be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BulkProblem {
    /// The run.
    pub run: RunId,
    /// A code for programs, such as `run_running`.
    pub code: String,
    /// The reason, for people.
    pub message: String,
}
