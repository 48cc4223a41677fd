//! [`JobScan`]: which rows to look at for a page of a run's jobs. Pure.
//!
//! The jobs of a run have the ids of its top level and of the rounds of its fan-outs, each a range without gaps. So a page is found by
//! walking through ids, without an index that every change of a job would have to update. A page looks at a limited number of ids; if
//! few of them match, it ends early and names where the next one begins. The few running and failed jobs of a large run are listed from
//! indexes of their own.

use bue_model::wire::JobQuery;
use bue_model::{JobId, NodeId};

use crate::error::HubError;
use crate::jobs::columns::{job_id, signed};
use crate::jobs::instance::{IdRange, Run};

/// The largest number of jobs on a page.
pub(crate) const MAX_PAGE: u32 = 200;
/// Rows that one query returns.
pub(crate) const BATCH: i64 = 1_000;
/// Fan-outs that are read together.
pub(crate) const FAN_OUT_BATCH: i64 = 100;
/// Ids that one query looks at.
const WINDOW_IDS: i64 = 5_000;
/// Ids that one page looks at: some milliseconds.
const MAX_IDS: i64 = 20_000;
/// What a query costs beside the ids it looks at, as a number of ids.
const QUERY_COST: i64 = 50;

/// Selects ids and nodes of jobs in a range of ids, of a table and with a condition. The parameters, which a store begins with
/// `$mark`, are the range and [`BATCH`].
macro_rules! select_window {
    ($mark:literal, $table:literal, $($condition:expr),+) => {
        concat!(
            "SELECT id, node FROM ", $table, " WHERE id >= ", $mark, "1 AND id < ", $mark, "2 ", $($condition,)+
            " ORDER BY id LIMIT ", $mark, "3"
        )
    };
}
pub(crate) use select_window;

/// The query for a window of ids, by the state of the jobs.
macro_rules! select_window_in_state {
    ($state:expr, $mark:literal) => {
        match $state {
            None => select_window!(
                $mark,
                "job",
                "UNION ALL SELECT id, node FROM done WHERE id >= ",
                $mark,
                "1 AND id < ",
                $mark,
                "2"
            ),
            Some(JobState::Blocked) => {
                select_window!($mark, "job", "AND state IN (", state_code!(Blocked), ", ", state_code!(Stuck), ")")
            }
            Some(JobState::Available) => {
                select_window!($mark, "job", "AND state IN (", state_code!(Parked), ", ", state_code!(Ready), ")")
            }
            Some(JobState::Cancelled) => select_window!($mark, "done", "AND state = ", state_code!(Cancelled)),
            // the others are listed by `select_running` and `select_failed`
            Some(JobState::Completed | JobState::Running | JobState::Failed) => {
                select_window!($mark, "done", "AND state = ", state_code!(Completed))
            }
        }
    };
}
pub(crate) use select_window_in_state;

/// The running jobs of a run from an id on, found among the running jobs of all runs. The parameters are the run, the id before
/// and [`BATCH`]; `$index` makes SQLite use that index, and `id + 0` PostgreSQL.
macro_rules! select_running {
    ($mark:literal, $index:literal) => {
        concat!(
            "SELECT id, node FROM job ",
            $index,
            " WHERE state = ",
            state_code!(Running),
            " AND run = ",
            $mark,
            "1 AND id + 0 > ",
            $mark,
            "2 ORDER BY id + 0 LIMIT ",
            $mark,
            "3"
        )
    };
}
pub(crate) use select_running;

/// The failed jobs of a run from an id on. The parameters are the run, the id before and [`BATCH`].
macro_rules! select_failed {
    ($mark:literal) => {
        concat!(
            "SELECT job.id, job.node FROM failed JOIN job ON job.id = failed.job WHERE failed.run = ",
            $mark,
            "1 AND failed.job > ",
            $mark,
            "2 ORDER BY failed.job LIMIT ",
            $mark,
            "3"
        )
    };
}
pub(crate) use select_failed;

/// A page while rows are looked at.
pub(crate) struct JobScan {
    /// Whether a node, by its position, is a job that matches.
    matches: Vec<bool>,
    limit: usize,
    /// All ids up to this one have been looked at.
    cursor: i64,
    found: Vec<i64>,
    /// What the page may still cost, in ids.
    budget: i64,
    /// Whether there is more to look at.
    is_cut: bool,
    /// Only ids in these ranges, which are in order.
    within: Option<Vec<IdRange>>,
}

impl JobScan {
    /// Begins a page.
    ///
    /// # Errors
    /// The run has no such step.
    pub(crate) fn new(run: &Run, query: &JobQuery) -> Result<Self, HubError> {
        let names: Vec<&str> = run.graph.steps.iter().map(|step| step.name.as_str()).collect();
        if let Some(step) = query.step.as_deref().filter(|step| !names.contains(step)) {
            return Err(HubError::StepNotFound { step: step.to_owned(), steps: names.join("`, `") });
        }
        let is_match = |node: u32| {
            let step = run.graph.job(NodeId(node)).and_then(|job| run.graph.step_of(job));
            step.is_some_and(|step| query.step.as_ref().is_none_or(|name| *name == step.name))
        };
        Ok(Self {
            matches: (0..).take(run.graph.len()).map(is_match).collect(),
            limit: query.limit.clamp(1, MAX_PAGE) as usize,
            cursor: query.after.map_or(0, |after| signed(after.0)),
            found: Vec::new(),
            budget: MAX_IDS,
            is_cut: false,
            within: None,
        })
    }

    /// Restricts the page to ids in these ranges, which are in order.
    pub(crate) fn restrict(&mut self, ranges: Vec<IdRange>) {
        self.within = Some(ranges);
    }

    /// Returns the ranges to which the page is restricted.
    pub(crate) fn ranges(&self) -> Option<Vec<IdRange>> {
        self.within.clone()
    }

    fn is_within(&self, id: i64) -> bool {
        let Some(ranges) = &self.within else { return true };
        let around = ranges.partition_point(|(first, _)| *first <= id).checked_sub(1);
        around.and_then(|at| ranges.get(at)).is_some_and(|(_, end)| id < *end)
    }

    /// Returns whether the page needs no more rows.
    pub(crate) const fn is_full(&self) -> bool {
        self.is_cut || self.found.len() > self.limit
    }

    /// Returns the id up to which rows have been looked at.
    pub(crate) const fn cursor(&self) -> i64 {
        self.cursor
    }

    /// Returns the part of a range to look at next; `None` if there is none, or if the page needs no more rows.
    pub(crate) fn window(&mut self, (first, end): IdRange) -> Option<IdRange> {
        let first = first.max(self.cursor.saturating_add(1));
        if self.is_full() || first >= end {
            return None;
        }
        if self.budget <= 0 {
            self.is_cut = true;
            return None;
        }
        Some((first, end.min(first + WINDOW_IDS)))
    }

    /// Adds the rows of a window, at most [`BATCH`] of them.
    pub(crate) fn add_window(&mut self, (first, end): IdRange, rows: &[(i64, NodeId)]) {
        let last = self.add(rows).unwrap_or(end - 1);
        self.budget -= last - first + QUERY_COST;
        self.cursor = last;
    }

    /// Adds rows of an index, at most [`BATCH`] of them. Returns whether there are more.
    pub(crate) fn add_batch(&mut self, rows: &[(i64, NodeId)]) -> bool {
        let last = self.add(rows);
        self.cursor = last.unwrap_or(self.cursor);
        last.is_some() && !self.is_full()
    }

    /// Adds rows. Returns the last id if there may be more rows behind it.
    fn add(&mut self, rows: &[(i64, NodeId)]) -> Option<i64> {
        let is_match = |node: NodeId| self.matches.get(node.0 as usize).is_some_and(|is_match| *is_match);
        let room = (self.limit + 1).saturating_sub(self.found.len());
        let is_wanted = |(id, node): &&(i64, NodeId)| is_match(*node) && self.is_within(*id);
        let found: Vec<i64> = rows.iter().filter(is_wanted).map(|(id, _)| *id).take(room).collect();
        self.found.extend(found);
        rows.last().map(|(id, _)| *id).filter(|_| i64::try_from(rows.len()).is_ok_and(|count| count >= BATCH))
    }

    /// Returns the ids of the page's jobs, and where the next page begins.
    pub(crate) fn finish(mut self) -> (Vec<i64>, Option<JobId>) {
        let next = match self.found.len() > self.limit {
            true => {
                self.found.truncate(self.limit);
                self.found.last().copied()
            }
            false => Some(self.cursor).filter(|_| self.is_cut),
        };
        (self.found, next.map(job_id))
    }
}
