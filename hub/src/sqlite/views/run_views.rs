//! Views of runs, and the jobs of all open runs for metrics.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use bue_model::attempt::StepUsage;
use bue_model::wire::{JobCounts, MAX_STEP_VIEWS, RunView, StepView};
use bue_model::{NodeId, RunId, RunState, Timestamp};
use rusqlite::{OptionalExtension, Params, Row, params};

use crate::error::HubError;
use crate::jobs::columns::{run_id, signed, unsigned};
use crate::jobs::counts::moved_jobs::{MAX_GROUPS, MovedJobs, select_moved};
use crate::jobs::counts::step_counts::StepCounts;
use crate::jobs::counts::tally::{MAX_DELAYED, MAX_RUNS, Tally, count_delayed};
use crate::jobs::counts::usage::{UsageCounts, step_usage};
use crate::jobs::instance::Run;
use crate::jobs::state::run_state_to_code;
use crate::jobs::views::position::Position;
use crate::jobs::views::row_query::RowQuery;
use crate::jobs::views::run_list::{ListedRun, RunList, RunQuery, finish, run_pipeline, scans};
use crate::jobs::views::run_summary::RunSummary;
use crate::sqlite::read_tx::ReadTx;
use crate::sqlite::state::run_state;

/// Columns of `run`, in the order of [`read_run`].
macro_rules! select_runs {
    ($rest:literal) => {
        concat!(
            "SELECT run.key, run.id, run.name, run.state, run.created_at, run.finished_at, run.version,
                 (SELECT original FROM rerun WHERE rerun.run = run.key), invocation.pipeline, invocation.version
             FROM run LEFT JOIN invocation ON invocation.run = run.key ",
            $rest
        )
    };
}

/// The counts of a run's steps, in order.
static SELECT_COUNTS: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {} FROM step_count WHERE run = ?1 ORDER BY step LIMIT ?2", StepCounts::COLUMNS.join(", "))
});

/// The number of a run's steps, and the sums of their counts.
static SUM_COUNTS: LazyLock<String> = LazyLock::new(|| {
    let sums: Vec<_> = StepCounts::COLUMNS.iter().map(|column| format!("sum({column})")).collect();
    format!("SELECT count(*), {} FROM step_count WHERE run = ?1", sums.join(", "))
});

impl ReadTx<'_> {
    /// Returns the view of a run.
    pub(in crate::sqlite) fn run_view(&mut self, id: RunId) -> Result<Option<RunView>, HubError> {
        let mut select = self.db.prepare_cached(select_runs!("WHERE run.id = ?1"))?;
        let Some((key, view)) = select.query_row([id.0.as_bytes()], read_run).optional()? else { return Ok(None) };
        let view = self.summarized(key, view)?;
        Ok(Some(RunView { steps: self.step_views(key, MAX_STEP_VIEWS)?, ..view }))
    }

    /// Returns a page of runs.
    pub(in crate::sqlite) fn run_page(&mut self, query: &RunQuery) -> Result<RunList, HubError> {
        let mut scans = scans(query, '?');
        for scan in &mut scans {
            while let Some(rows) = scan.next_query() {
                let found = self.run_rows(&rows)?;
                scan.add(rows.limit, &found);
            }
        }
        let (positions, next) = finish(scans, query.limit);
        let mut runs = Vec::with_capacity(positions.len());
        for position in positions {
            let views = self.select_runs(select_runs!("WHERE run.key = ?1"), [position.key])?;
            runs.extend(views.into_iter().map(|run| ListedRun { position, run }));
        }
        Ok(RunList { runs, next })
    }

    /// Returns the time and the key of each run, and whether it matches.
    fn run_rows(&self, query: &RowQuery) -> Result<Vec<(Position, bool)>, HubError> {
        self.rows(query, |row| Ok((Position { at: row.get(0)?, key: row.get(1)? }, row.get(2)?)))
    }

    /// Returns the views of the runs whose ids are in a range, in the order of their ids.
    pub(in crate::sqlite) fn runs_in(
        &mut self,
        ids: &RangeInclusive<RunId>,
        limit: u32,
    ) -> Result<Vec<RunView>, HubError> {
        let (first, last) = (ids.start().0.as_bytes(), ids.end().0.as_bytes());
        let sql = select_runs!("WHERE run.id >= ?1 AND run.id <= ?2 ORDER BY run.id LIMIT ?3");
        self.select_runs(sql, params![first, last, limit])
    }

    fn select_runs(&mut self, sql: &str, params: impl Params) -> Result<Vec<RunView>, HubError> {
        let mut select = self.db.prepare_cached(sql)?;
        let runs: Vec<_> = select.query_map(params, read_run)?.collect::<Result<_, _>>()?;
        runs.into_iter().map(|(key, view)| self.summarized(key, view)).collect()
    }

    /// Adds the sums over a run's steps.
    fn summarized(&mut self, key: i64, view: RunView) -> Result<RunView, HubError> {
        let version = signed(view.version);
        if let Some(summary) = self.runs.summary(key, version) {
            return Ok(summary.add_to(view));
        }
        let summary = match view.state {
            RunState::Running => self.open_summary(key)?,
            _ => self.ended_summary(key)?,
        };
        let view = summary.add_to(view);
        self.runs.insert_summary(key, version, summary);
        Ok(view)
    }

    fn open_summary(&mut self, key: i64) -> Result<RunSummary, HubError> {
        let (run, counts) = (self.run(key)?, self.step_counts(key, usize::MAX)?);
        let moved = self.moved_jobs(&run)?;
        Ok(RunSummary::new(counts.into_iter().zip(&run.graph.steps), &moved))
    }

    /// Needs no plan, so that a list of runs that have ended is not slow because of their scripts.
    fn ended_summary(&self, key: i64) -> Result<RunSummary, HubError> {
        let mut select = self.db.prepare_cached(&SUM_COUNTS)?;
        let (steps, sums) = select.query_row([key], |row| {
            Ok((
                row.get(0)?,
                StepCounts::read(|column| {
                    Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column + 1)?.unwrap_or(0))
                })?,
            ))
        })?;
        Ok(RunSummary::of_ended(steps, &sums))
    }

    /// Returns the counts of a run's first steps.
    fn step_counts(&self, key: i64, limit: usize) -> Result<Vec<StepCounts>, HubError> {
        let mut select = self.db.prepare_cached(&SELECT_COUNTS)?;
        let counts =
            select.query_map(params![key, signed(limit as u64)], |row| StepCounts::read(|column| row.get(column)))?;
        Ok(counts.collect::<Result<_, _>>()?)
    }

    fn step_views(&mut self, key: i64, limit: usize) -> Result<Vec<StepView>, HubError> {
        let (run, counts) = (self.run(key)?, self.step_counts(key, limit)?);
        let mut usage = self.step_usage(key, limit)?;
        let views = (0..).zip(counts).zip(&run.graph.steps).map(|((index, counts), step)| {
            counts.into_view(step, step_usage(&usage.remove(&index).unwrap_or_default()))
        });
        Ok(views.collect())
    }

    /// Returns what the attempts of a run's first steps used, by step.
    fn step_usage(&self, key: i64, limit: usize) -> Result<HashMap<u32, Vec<(i64, UsageCounts)>>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT step, bucket, attempts, cpu_ms, peak_memory FROM step_usage
             WHERE run = ?1 AND step < ?2 ORDER BY step, bucket",
        )?;
        let mut usage = HashMap::<u32, Vec<_>>::new();
        let mut rows = select.query(params![key, signed(limit as u64)])?;
        while let Some(row) = rows.next()? {
            let counts = UsageCounts { attempts: row.get(2)?, cpu_ms: row.get(3)?, peak_memory: row.get(4)? };
            usage.entry(row.get(0)?).or_default().push((row.get(1)?, counts));
        }
        Ok(usage)
    }

    /// Counts the jobs of open runs. Adds up the counts of their steps instead of counting rows.
    pub(in crate::sqlite) fn tally(&mut self, now: Timestamp) -> Result<Tally, HubError> {
        let open = run_state_to_code(RunState::Running);
        let mut count = self.db.prepare_cached("SELECT count(*), min(created_at) FROM run WHERE state = ?1")?;
        let (open_runs, oldest): (i64, Option<i64>) = count.query_row([open], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mut select = self.db.prepare_cached("SELECT key FROM run WHERE state = ?1 ORDER BY key DESC LIMIT ?2")?;
        let keys: Vec<i64> = select.query_map(params![open, MAX_RUNS], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut count = self.db.prepare_cached(count_delayed!("?"))?;
        let delayed = count.query_row([now.0, MAX_DELAYED], |row| row.get(0).map(unsigned))?;
        let (open_runs, oldest_run_at) = (unsigned(open_runs), oldest.map(Timestamp));
        let mut tally = Tally { open_runs, oldest_run_at, delayed, ..Tally::default() };
        for key in keys {
            let run = self.run(key)?;
            for (counts, step) in self.step_counts(key, usize::MAX)?.into_iter().zip(&run.graph.steps) {
                tally.add(&step.settings.scope, &counts.into_view(step, StepUsage::default()));
            }
            for moved in self.moved_jobs(&run)? {
                if let Some(step) = run.graph.steps.get(moved.step.get()) {
                    tally.move_jobs(&step.settings.scope, &moved);
                }
            }
        }
        Ok(tally)
    }

    /// Counts the jobs of a run that are in other scopes than those of their steps.
    fn moved_jobs(&self, run: &Run) -> Result<Vec<MovedJobs>, HubError> {
        let mut select = self.db.prepare_cached(select_moved!("?", "moved = 1"))?;
        let rows = select.query_map([run.key, MAX_GROUPS], |row| {
            Ok(MovedJobs::new(run, NodeId(row.get(0)?), row.get(1)?, row.get(2)?, row.get(3)?))
        });
        rows?.filter_map(Result::transpose).map(|moved| Ok(moved?)).collect()
    }
}

/// Reads a run's key, and its view without the steps.
fn read_run(row: &Row<'_>) -> rusqlite::Result<(i64, RunView)> {
    let view = RunView {
        id: run_id(row.get(1)?),
        name: row.get(2)?,
        state: run_state(row.get(3)?)?,
        created_at: Timestamp(row.get(4)?),
        finished_at: row.get::<_, Option<i64>>(5)?.map(Timestamp),
        version: unsigned(row.get(6)?),
        counts: JobCounts::default(),
        step_count: 0,
        steps: Vec::new(),
        now: Timestamp(0),
        eta: None,
        unserved: Vec::new(),
        rerun_of: row.get::<_, Option<[u8; 16]>>(7)?.map(run_id),
        pipeline: row.get::<_, Option<String>>(8)?.zip(row.get::<_, Option<i64>>(9)?).map(run_pipeline),
    };
    Ok((row.get(0)?, view))
}
