//! Live logs: what steps print while they run, on its way from workers to readers. Nothing of this is stored; the log of a
//! finished attempt is part of its [`Report`](crate::wire::Report).

use serde::{Deserialize, Serialize};

use crate::ids::{JobId, RunId, Token};
use crate::length_limit;

/// The largest number of logs that can be followed at one hub at the same time.
pub const MAX_LOG_WATCHES: usize = 64;

/// The size in bytes up to which lines are in one [`LogEntry`].
pub const MAX_LOG_ENTRY_BYTES: usize = 32 * 1024;

/// The largest number of entries in a [`LogBatch`].
pub const MAX_LOG_ENTRIES: usize = 128;

/// The jobs whose output somebody follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogSelection {
    /// All jobs of a run, or those of one of its steps.
    Run {
        /// The run.
        run: RunId,
        /// The step's name.
        step: Option<String>,
    },
    /// One job.
    Job(JobId),
}

impl LogSelection {
    /// Returns whether a job is one of them.
    #[must_use]
    pub fn contains(&self, job: JobId, in_run: RunId, of_step: &str) -> bool {
        match self {
            Self::Run { run, step } => *run == in_run && step.as_deref().is_none_or(|step| step == of_step),
            Self::Job(watched) => *watched == job,
        }
    }
}

/// A request to a hub to follow logs, as it is sent to workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogWatch {
    /// Its number. Later ones have larger numbers; a job of a new one is sent from the beginning of its log.
    pub id: u64,
    /// Which jobs.
    pub selection: LogSelection,
}

/// What watched jobs of a worker have printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBatch {
    /// The worker's name.
    pub worker: String,
    /// What was printed, in order.
    #[serde(deserialize_with = "length_limit::bounded_list::<_, _, MAX_LOG_ENTRIES>")]
    pub entries: Vec<LogEntry>,
}

/// A part of a running job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// The job.
    pub job: JobId,
    /// The token of its lease: larger for later attempts.
    pub token: Token,
    /// The bytes of the attempt's log before this part.
    pub position: u64,
    /// Lines, each with its time. A line that is very long may be split.
    pub lines: String,
}

/// A part of a running job's log, as people and scripts see it. Parts may come twice; they are in order for each attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogView {
    /// The job.
    pub job: JobId,
    /// The step's name.
    pub step: String,
    /// A number that is larger for later attempts.
    pub attempt: u64,
    /// The bytes of the attempt's log before this part.
    pub position: u64,
    /// Lines, each with its time. A line that is very long may be split.
    pub lines: String,
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_selection_contains_its_jobs() {
        let (this, other) = (RunId(Uuid::from_u128(1)), RunId(Uuid::from_u128(2)));
        let of_step = LogSelection::Run { run: this, step: Some("work".to_owned()) };
        assert!(of_step.contains(JobId(1), this, "work"));
        assert!(!of_step.contains(JobId(1), this, "load") && !of_step.contains(JobId(1), other, "work"));
        assert!(LogSelection::Run { run: this, step: None }.contains(JobId(1), this, "load"));
        let job = LogSelection::Job(JobId(1));
        assert!(job.contains(JobId(1), this, "load") && !job.contains(JobId(2), this, "load"));
    }
}
