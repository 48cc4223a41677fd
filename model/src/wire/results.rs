//! The results of a run.

use serde::{Deserialize, Serialize};

use crate::ids::JobId;
use crate::job::{Failure, RunState, ValueRef};
use crate::location::{ArgumentSummary, Round};
use crate::nesting_limit;

/// A page of a run's results, in the order of calls and rounds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ResultPage {
    /// The state of the run.
    pub state: RunState,
    /// The results of call statements, in order.
    pub results: Vec<CallResult>,
    /// On the first page, the first thousand jobs that failed.
    pub failed: Vec<FailedJob>,
    /// The beginning of the next page. `None` on the last page.
    pub next: Option<ResultCursor>,
}

/// A position in a run's results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultCursor {
    /// The number of call statements before it.
    pub call: u32,
    /// The number of rounds of the call's outermost loop before it. If it is above 0, the first result of the page continues the last
    /// one of the page before.
    pub round: u64,
}

/// The result of a call statement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallResult {
    /// The line in the script, from 1.
    pub line: u32,
    /// The name that it is bound to.
    pub name: Option<String>,
    /// Whether something else in the script uses its value: an argument, a loop over it, or a gathered list that is used.
    pub is_used: bool,
    /// The value of its last job, once for every round of the loops around it.
    pub value: RoundValue,
}

/// A value, or one value for every round of a loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum RoundValue {
    /// There is none, for this reason.
    Nothing(NoValue),
    /// The value.
    Value(ValueRef),
    /// The values of the rounds of a loop, in order.
    Rounds(#[serde(deserialize_with = "nesting_limit::nested_list")] Vec<RoundValue>),
}

/// Why a call has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoValue {
    /// A job of the call failed.
    Failed,
    /// The call was cancelled.
    Cancelled,
    /// The call cannot start, because something before it failed.
    Skipped,
    /// The call has not ended.
    Running,
}

impl NoValue {
    /// Returns its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Running => "running",
        }
    }
}

/// A job that failed finally.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailedJob {
    /// The job.
    pub job: JobId,
    /// The step's name.
    pub step: String,
    /// The line of its call in the script, from 1.
    pub line: u32,
    /// Its rounds of the loops around it, outermost first.
    pub rounds: Vec<Round>,
    /// The arguments of the last attempt.
    pub arguments: Vec<ArgumentSummary>,
    /// The number of attempts.
    pub attempts: u32,
    /// The worker of the last attempt.
    pub worker: Option<String>,
    /// Its failure.
    pub failure: Failure,
    /// The log of the last attempt.
    pub log: Option<ValueRef>,
}
