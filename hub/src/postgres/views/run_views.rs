//! Views of runs, and the jobs of all open runs for metrics.

use std::ops::RangeInclusive;

use bue_model::wire::{JobCounts, MAX_STEP_VIEWS, RunView, StepView};
use bue_model::{RunId, RunState, Timestamp};
use deadpool_postgres::Transaction;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::error::HubError;
use crate::jobs::columns::{signed, unsigned};
use crate::jobs::counts::moved_jobs::{MAX_GROUPS, MovedJobs, select_moved};
use crate::jobs::counts::step_counts::StepCounts;
use crate::jobs::counts::tally::{MAX_RUNS, Tally};
use crate::jobs::instance::Run;
use crate::jobs::state::run_state_to_code;
use crate::jobs::views::run_summary::RunSummary;
use crate::postgres::connection::retry::retry_transient;
use crate::postgres::query::{node, query, run_state, state};
use crate::postgres::state::PostgresState;

/// Columns of `run`, in the order of [`PostgresState::try_run_views`].
macro_rules! select_runs {
    ($rest:literal) => {
        concat!(
            "SELECT key, id, name, state, created_at, finished_at, version,
                 (SELECT original FROM rerun WHERE rerun.run = run.key) FROM run ",
            $rest
        )
    };
}

impl PostgresState {
    /// Returns the view of a run.
    pub(in crate::postgres) async fn run_view(&self, id: RunId) -> Result<Option<RunView>, HubError> {
        Ok(retry_transient!(self.try_run_views(select_runs!("WHERE id = $1"), &[&id.0], MAX_STEP_VIEWS))?.pop())
    }

    /// Returns the views of the latest runs, newest first.
    pub(in crate::postgres) async fn run_views(&self, limit: u32) -> Result<Vec<RunView>, HubError> {
        let sql = select_runs!("ORDER BY key DESC LIMIT $1");
        retry_transient!(self.try_run_views(sql, &[&i64::from(limit)], 0))
    }

    /// Returns the views of the runs whose ids are in a range, in the order of their ids.
    pub(in crate::postgres) async fn runs_in(
        &self,
        ids: RangeInclusive<RunId>,
        limit: u32,
    ) -> Result<Vec<RunView>, HubError> {
        let sql = select_runs!("WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT $3");
        retry_transient!(self.try_run_views(sql, &[&ids.start().0, &ids.end().0, &i64::from(limit)], 0))
    }

    /// Returns views with at most this many steps.
    async fn try_run_views(
        &self,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
        max_steps: usize,
    ) -> Result<Vec<RunView>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let mut views = Vec::new();
        for row in query(&tx, sql, params).await? {
            let key: i64 = row.try_get(0)?;
            let view = RunView {
                id: RunId(row.try_get(1)?),
                name: row.try_get(2)?,
                state: run_state(key, row.try_get(3)?)?,
                created_at: Timestamp(row.try_get(4)?),
                finished_at: row.try_get::<_, Option<i64>>(5)?.map(Timestamp),
                version: unsigned(row.try_get(6)?),
                counts: JobCounts::default(),
                step_count: 0,
                steps: self.step_views(&tx, key, max_steps).await?,
                now: Timestamp(0),
                eta: None,
                unserved: Vec::new(),
                rerun_of: row.try_get::<_, Option<Uuid>>(7)?.map(RunId),
            };
            views.push(self.summarized(&tx, key, view).await?);
        }
        Ok(views)
    }

    /// Adds the sums over a run's steps. They are read after the version, so they may be those of a later one, whose sums are then
    /// read again.
    async fn summarized(&self, tx: &Transaction<'_>, key: i64, view: RunView) -> Result<RunView, HubError> {
        let version = signed(view.version);
        if let Some(summary) = self.runs().summary(key, version) {
            return Ok(summary.add_to(view));
        }
        let (run, counts) = (self.run(tx, key).await?, step_counts(tx, key, usize::MAX).await?);
        let moved = moved_jobs(tx, &run).await?;
        let summary = RunSummary::new(counts.into_iter().zip(&run.graph.steps), &moved);
        let view = summary.add_to(view);
        self.runs().insert_summary(key, version, summary);
        Ok(view)
    }

    async fn step_views(&self, tx: &Transaction<'_>, key: i64, limit: usize) -> Result<Vec<StepView>, HubError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let (run, counts) = (self.run(tx, key).await?, step_counts(tx, key, limit).await?);
        Ok(counts.into_iter().zip(&run.graph.steps).map(|(counts, step)| counts.into_view(step)).collect())
    }

    /// Counts the jobs of open runs, whichever hub accepted them. Adds up the counts of their steps instead of counting rows.
    pub(in crate::postgres) async fn tally(&self) -> Result<Tally, HubError> {
        retry_transient!(self.try_tally())
    }

    async fn try_tally(&self) -> Result<Tally, HubError> {
        let open = run_state_to_code(RunState::Running);
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let count = query(&tx, "SELECT count(*) FROM run WHERE state = $1", &[&open]).await?;
        let open_runs = count.first().map_or(Ok(0), |row| row.try_get(0))?;
        let mut tally = Tally { open_runs: unsigned(open_runs), ..Tally::default() };
        let sql = format!(
            "SELECT run, step, {} FROM step_count
             WHERE run IN (SELECT key FROM run WHERE state = $1 ORDER BY key DESC LIMIT $2)",
            StepCounts::COLUMNS.join(", ")
        );
        for row in query(&tx, &sql, &[&open, &MAX_RUNS]).await? {
            let (key, step): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            let run = self.run(&tx, key).await?;
            let step = usize::try_from(step).ok().and_then(|step| run.graph.steps.get(step));
            let step = step.ok_or_else(|| HubError::damaged(format!("run {key} counts a step that it lacks")))?;
            let counts = StepCounts::read(|column| row.try_get(column + 2))?;
            tally.add(&step.settings.scope, &counts.into_view(step));
        }
        let sql = "SELECT DISTINCT run FROM job WHERE moved AND run IN
             (SELECT key FROM run WHERE state = $1 ORDER BY key DESC LIMIT $2)";
        for row in query(&tx, sql, &[&open, &MAX_RUNS]).await? {
            let run = self.run(&tx, row.try_get(0)?).await?;
            for moved in moved_jobs(&tx, &run).await? {
                if let Some(step) = run.graph.steps.get(moved.step.get()) {
                    tally.move_jobs(&step.settings.scope, &moved);
                }
            }
        }
        Ok(tally)
    }
}

/// Counts the jobs of a run that are in other scopes than those of their steps.
async fn moved_jobs(tx: &Transaction<'_>, run: &Run) -> Result<Vec<MovedJobs>, HubError> {
    let rows = query(tx, select_moved!("$", "moved"), &[&run.key, &MAX_GROUPS]).await?;
    let moved = rows.iter().map(|row| {
        let (node, state) = (node(row.try_get(0)?), state(row.try_get(2)?)?);
        Ok(MovedJobs::new(run, node, row.try_get(1)?, state, row.try_get(3)?))
    });
    moved.filter_map(Result::transpose).collect()
}

/// Returns the counts of a run's first steps.
async fn step_counts(tx: &Transaction<'_>, key: i64, limit: usize) -> Result<Vec<StepCounts>, HubError> {
    let columns = StepCounts::COLUMNS.join(", ");
    let sql = format!("SELECT {columns} FROM step_count WHERE run = $1 ORDER BY step LIMIT $2");
    let rows = query(tx, &sql, &[&key, &signed(limit as u64)]).await?;
    rows.iter().map(|row| StepCounts::read(|column| row.try_get(column)).map_err(HubError::from)).collect()
}
