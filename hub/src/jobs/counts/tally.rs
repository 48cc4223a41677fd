//! [`Tally`]: the jobs of open runs by scope and state, for metrics.

use std::collections::BTreeMap;

use bue_model::wire::StepView;
use bue_model::{JobState, Timestamp};

use crate::jobs::counts::moved_jobs::MovedJobs;

/// The latest open runs, whose jobs are counted. A dashboard does not show more of them one by one.
pub(crate) const MAX_RUNS: i64 = 1_000;

/// Delayed jobs that are counted. More are too many in any case.
pub(crate) const MAX_DELAYED: i64 = 1_000_000;

/// Counts the delayed jobs. The parameters, which a store begins with `$mark`, are the time and [`MAX_DELAYED`], which also bounds
/// the rows that are looked at.
macro_rules! count_delayed {
    ($mark:literal) => {
        concat!(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM job WHERE state = ",
            $crate::jobs::state::state_code!(Parked),
            " AND available_at > ",
            $mark,
            "1 LIMIT ",
            $mark,
            "2) AS parked)
             + (SELECT count(*) FROM (SELECT rate FROM job WHERE state = ",
            $crate::jobs::state::state_code!(Ready),
            " AND rate > 0 LIMIT ",
            $mark,
            "2) AS rated JOIN rate ON rate.id = rated.rate WHERE rate.open_at > ",
            $mark,
            "1)"
        )
    };
}
pub(crate) use count_delayed;

/// Open runs and their jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Runs that have not ended.
    pub open_runs: u64,
    /// When the oldest of them was created.
    pub oldest_run_at: Option<Timestamp>,
    /// Jobs of the latest thousand of them, by scope. Every state has an entry.
    pub scopes: BTreeMap<String, BTreeMap<JobState, u64>>,
    /// Available jobs of all runs that wait for the end of a delay, or for a start that their `!rate` allows; at most a million.
    pub delayed: u64,
    /// Answers `pending` of these jobs so far.
    pub handed_back: u64,
}

impl Tally {
    /// Counts jobs of a step where they are, after all jobs of the step were counted in its scope.
    pub(crate) fn move_jobs(&mut self, from: &str, moved: &MovedJobs) {
        let state = moved.state.as_job_state();
        let at_home = self.scopes.entry(from.to_owned()).or_default().entry(state).or_default();
        *at_home = at_home.saturating_sub(moved.jobs);
        let counts = self.scopes.entry(moved.scope.clone()).or_default();
        JobState::ALL.into_iter().for_each(|state| *counts.entry(state).or_default() += 0);
        *counts.entry(state).or_default() += moved.jobs;
    }

    /// Adds the jobs of a step.
    pub(crate) fn add(&mut self, scope: &str, step: &StepView) {
        self.handed_back += step.pendings;
        let counts = self.scopes.entry(scope.to_owned()).or_default();
        for (state, count) in step.by_state() {
            *counts.entry(state).or_default() += count;
        }
    }
}
