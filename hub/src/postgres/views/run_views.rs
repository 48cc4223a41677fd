//! Views of runs, and the jobs of all open runs for metrics.

use std::ops::RangeInclusive;

use bue_model::wire::{RunView, StepView};
use bue_model::{RunId, RunState, Timestamp};
use deadpool_postgres::Transaction;
use tokio_postgres::types::ToSql;

use crate::error::HubError;
use crate::jobs::columns::unsigned;
use crate::jobs::counts::step_counts::StepCounts;
use crate::jobs::counts::tally::{MAX_RUNS, Tally};
use crate::jobs::state::run_state_to_code;
use crate::postgres::connection::retry::retry_transient;
use crate::postgres::query::{query, run_state};
use crate::postgres::state::PostgresState;

/// Columns of `run`, in the order of [`PostgresState::try_run_views`].
macro_rules! select_runs {
    ($rest:literal) => {
        concat!("SELECT key, id, name, state, created_at, finished_at, version FROM run ", $rest)
    };
}

impl PostgresState {
    /// Returns the view of a run.
    pub(in crate::postgres) async fn run_view(&self, id: RunId) -> Result<Option<RunView>, HubError> {
        Ok(retry_transient!(self.try_run_views(select_runs!("WHERE id = $1"), &[&id.0]))?.pop())
    }

    /// Returns the views of the latest runs, newest first.
    pub(in crate::postgres) async fn run_views(&self, limit: u32) -> Result<Vec<RunView>, HubError> {
        let sql = select_runs!("ORDER BY key DESC LIMIT $1");
        retry_transient!(self.try_run_views(sql, &[&i64::from(limit)]))
    }

    /// Returns the views of the runs whose ids are in a range, in the order of their ids.
    pub(in crate::postgres) async fn runs_in(
        &self,
        ids: RangeInclusive<RunId>,
        limit: u32,
    ) -> Result<Vec<RunView>, HubError> {
        let sql = select_runs!("WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT $3");
        retry_transient!(self.try_run_views(sql, &[&ids.start().0, &ids.end().0, &i64::from(limit)]))
    }

    async fn try_run_views(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<RunView>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let mut views = Vec::new();
        for row in query(&tx, sql, params).await? {
            let key: i64 = row.try_get(0)?;
            views.push(RunView {
                id: RunId(row.try_get(1)?),
                name: row.try_get(2)?,
                state: run_state(key, row.try_get(3)?)?,
                created_at: Timestamp(row.try_get(4)?),
                finished_at: row.try_get::<_, Option<i64>>(5)?.map(Timestamp),
                version: unsigned(row.try_get(6)?),
                steps: self.step_views(&tx, key).await?,
                now: Timestamp(0),
                eta: None,
                unserved: Vec::new(),
            });
        }
        Ok(views)
    }

    async fn step_views(&self, tx: &Transaction<'_>, key: i64) -> Result<Vec<StepView>, HubError> {
        let run = self.run(tx, key).await?;
        let sql = format!("SELECT {} FROM step_count WHERE run = $1 ORDER BY step", StepCounts::COLUMNS.join(", "));
        let mut views = Vec::new();
        for (row, step) in query(tx, &sql, &[&key]).await?.iter().zip(&run.graph.steps) {
            let counts = StepCounts::read(|column| row.try_get(column))?;
            views.push(counts.into_view(step));
        }
        Ok(views)
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
        Ok(tally)
    }
}
