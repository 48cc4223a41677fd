//! Schedules: when a hub starts runs of published pipelines by itself. These are its answers; it reads requests as JSON, because
//! they contain values of parameters.

use serde::{Deserialize, Serialize};

use crate::ids::{RunId, Timestamp};
use crate::job::RunState;

/// Most schedules that one request of `apply` contains.
pub const MAX_APPLIED: usize = 1_000;

/// Most runs of a backfill at a time.
pub const MAX_AT_MOST: u32 = 100;

/// Whether a schedule starts runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleState {
    /// It starts a run when it is next due.
    Active,
    /// It starts none until it is resumed.
    Paused,
    /// It has no due time any more.
    Ended,
}

impl ScheduleState {
    /// Returns its name in JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Ended => "ended",
        }
    }
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleView {
    /// Its name.
    pub name: String,
    /// The pipeline that it runs.
    pub pipeline: String,
    /// Its cron expression; it has either this or `every`.
    pub cron: Option<String>,
    /// The time between two due times, such as `15m`.
    pub every: Option<String>,
    /// The time zone of the cron expression, and of the runs' dates.
    pub timezone: String,
    /// The values of the pipeline's parameters, as JSON.
    pub params: String,
    /// Added to the priority of every step.
    pub priority: i64,
    /// What happens when it is due while its previous run has not ended: `skip`, `queue`, `cancel` or `allow`.
    pub overlap: String,
    /// Which of the due times that every hub missed start runs later: `none`, `last` or `all:10`.
    pub catch_up: String,
    /// The longest random delay, such as `30s`; `0s` for none.
    pub jitter: String,
    /// No due time is earlier.
    pub from: Option<Timestamp>,
    /// Every due time is earlier.
    pub until: Option<Timestamp>,
    /// Whether it starts runs.
    pub state: ScheduleState,
    /// Why the hub paused it.
    pub problem: Option<String>,
    /// The next due times, the earliest first: up to five, in a list one.
    pub next: Vec<Timestamp>,
    /// Due times that wait for the previous run to end.
    pub waiting: u64,
    /// The latest run, if it was not deleted.
    pub last_run: Option<ScheduledRun>,
    /// Runs that it has started.
    pub started: u64,
    /// Due times that were left out because of `overlap`.
    pub skipped: u64,
    /// Due times that were left out because of `catch_up`; of each interruption, about 10,000 are counted.
    pub missed: u64,
    /// States of the latest 100 runs. `None` in a list.
    pub recent: Option<RunCounts>,
}

/// A run that a schedule started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledRun {
    /// The run.
    pub run: RunId,
    /// Its state.
    pub state: RunState,
    /// When it was due; when it was requested, if a user did so.
    pub due: Timestamp,
}

/// Runs by their state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCounts {
    /// Not ended.
    pub running: u64,
    /// Ended without a failure.
    pub completed: u64,
    /// Ended with a failure.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
}

impl RunCounts {
    /// Returns how many have ended.
    #[must_use]
    pub const fn ended(&self) -> u64 {
        self.completed + self.failed + self.cancelled
    }

    /// Counts runs in a state.
    pub fn add(&mut self, state: RunState, runs: u64) {
        let count = match state {
            RunState::Running => &mut self.running,
            RunState::Completed => &mut self.completed,
            RunState::Failed => &mut self.failed,
            RunState::Cancelled => &mut self.cancelled,
        };
        *count = count.saturating_add(runs);
    }
}

/// A page of schedules, in the order of their names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SchedulePage {
    /// The schedules.
    pub schedules: Vec<ScheduleView>,
    /// The name after which the next page begins; `None` on the last page.
    pub next: Option<String>,
}

/// What a request did to a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ScheduleChange {
    /// It is new.
    Created,
    /// It was changed. Its next due time is the first after the change, if its times have changed.
    Changed,
    /// It was the same already.
    Unchanged,
    /// It was removed.
    Removed,
}

impl ScheduleChange {
    /// Returns its name in JSON and tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Removed => "removed",
        }
    }
}

/// The answer to a request that sets schedules, for one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedSchedule {
    /// Its name.
    pub name: String,
    /// What was done, or would be done in a dry run.
    pub change: ScheduleChange,
    /// Its next due time; `None` if it is paused, has ended or was removed.
    pub next: Option<Timestamp>,
}

/// How far a backfill is. A backfill has no state of its own: the runs of its due times are its state, so the same request may
/// be sent again at any time, and by anyone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillProgress {
    /// Due times, at most 1,000.
    pub due: u64,
    /// The first of them.
    pub first: Option<Timestamp>,
    /// The last of them.
    pub last: Option<Timestamp>,
    /// Due times that have no run yet.
    pub waiting: u64,
    /// The states of the others' runs.
    pub runs: RunCounts,
    /// Where the rest of the range begins, if it has more than 1,000 due times: continue there when these are done.
    pub rest_from: Option<Timestamp>,
}
