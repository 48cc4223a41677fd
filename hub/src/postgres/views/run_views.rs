//! Views of runs, and the jobs of all open runs for metrics.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use bue_model::attempt::StepUsage;
use bue_model::wire::{JobCounts, MAX_STEP_VIEWS, RunView, StepView};
use bue_model::{RunId, RunState, Timestamp};
use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::error::HubError;
use crate::jobs::columns::{signed, unsigned};
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
use crate::postgres::connection::retry::retry_transient;
use crate::postgres::query::{node, query, rows_of, run_state, state};
use crate::postgres::state::PostgresState;

/// Columns of `run`, in the order of [`PostgresState::try_run_views`].
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

impl PostgresState {
    /// Returns the view of a run.
    pub(in crate::postgres) async fn run_view(&self, id: RunId) -> Result<Option<RunView>, HubError> {
        Ok(retry_transient!(self.try_run_views(select_runs!("WHERE run.id = $1"), &[&id.0], MAX_STEP_VIEWS))?.pop())
    }

    /// Returns a page of runs.
    pub(in crate::postgres) async fn run_page(&self, request: RunQuery) -> Result<RunList, HubError> {
        retry_transient!(self.try_run_page(&request))
    }

    async fn try_run_page(&self, request: &RunQuery) -> Result<RunList, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let mut scans = scans(request, '$');
        for scan in &mut scans {
            while let Some(rows) = scan.next_query() {
                let found = run_rows(&tx, &rows).await?;
                scan.add(rows.limit, &found);
            }
        }
        let (positions, next) = finish(scans, request.limit);
        let keys: Vec<i64> = positions.iter().map(|position| position.key).collect();
        let views = self.views_in(&tx, select_runs!("WHERE run.key = ANY($1)"), &[&keys], 0).await?;
        let mut views: HashMap<i64, RunView> = views.into_iter().collect();
        let runs = positions.into_iter().filter_map(|position| {
            // one that was deleted meanwhile is left out
            views.remove(&position.key).map(|run| ListedRun { position, run })
        });
        Ok(RunList { runs: runs.collect(), next })
    }

    /// Returns the views of the runs whose ids are in a range, in the order of their ids.
    pub(in crate::postgres) async fn runs_in(
        &self,
        ids: RangeInclusive<RunId>,
        limit: u32,
    ) -> Result<Vec<RunView>, HubError> {
        let sql = select_runs!("WHERE run.id >= $1 AND run.id <= $2 ORDER BY run.id LIMIT $3");
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
        let views = self.views_in(&tx, sql, params, max_steps).await?;
        Ok(views.into_iter().map(|(_, view)| view).collect())
    }

    /// Returns the keys of runs, and views with at most this many steps.
    async fn views_in(
        &self,
        tx: &Transaction<'_>,
        sql: &str,
        params: &[&(dyn ToSql + Sync)],
        max_steps: usize,
    ) -> Result<Vec<(i64, RunView)>, HubError> {
        let rows = query(tx, sql, params).await?;
        let mut ended = Vec::new();
        for row in &rows {
            let (key, code): (i64, i64) = (row.try_get(0)?, row.try_get(3)?);
            if run_state(key, code)? != RunState::Running {
                ended.push(key);
            }
        }
        let ended = ended_summaries(tx, &ended).await?;
        let mut views = Vec::new();
        for row in rows {
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
                steps: self.step_views(tx, key, max_steps).await?,
                now: Timestamp(0),
                eta: None,
                unserved: Vec::new(),
                rerun_of: row.try_get::<_, Option<Uuid>>(7)?.map(RunId),
                pipeline: row.try_get::<_, Option<String>>(8)?.zip(row.try_get(9)?).map(run_pipeline),
            };
            let view = match ended.get(&key) {
                Some(summary) => summary.add_to(view),
                None => self.summarized(tx, key, view).await?,
            };
            views.push((key, view));
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
        let mut usage = usage_by_step(tx, key, limit).await?;
        let views = (0..).zip(counts).zip(&run.graph.steps).map(|((index, counts), step)| {
            counts.into_view(step, step_usage(&usage.remove(&index).unwrap_or_default()))
        });
        Ok(views.collect())
    }

    /// Counts the jobs of open runs, whichever hub accepted them. Adds up the counts of their steps instead of counting rows.
    pub(in crate::postgres) async fn tally(&self, now: Timestamp) -> Result<Tally, HubError> {
        retry_transient!(self.try_tally(now))
    }

    async fn try_tally(&self, now: Timestamp) -> Result<Tally, HubError> {
        let open = run_state_to_code(RunState::Running);
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let delayed = query(&tx, count_delayed!("$"), &[&now.0, &MAX_DELAYED]).await?;
        let delayed = unsigned(delayed.first().map_or(Ok(0), |row| row.try_get(0))?);
        let mut tally = Tally { delayed, ..Tally::default() };
        let count = query(&tx, "SELECT count(*), min(created_at) FROM run WHERE state = $1", &[&open]).await?;
        if let Some(row) = count.first() {
            tally.open_runs = unsigned(row.try_get(0)?);
            tally.oldest_run_at = row.try_get::<_, Option<i64>>(1)?.map(Timestamp);
        }
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
            tally.add(&step.settings.scope, &counts.into_view(step, StepUsage::default()));
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

/// Returns the time and the key of each run, and whether it matches.
async fn run_rows(tx: &Transaction<'_>, request: &RowQuery) -> Result<Vec<(Position, bool)>, HubError> {
    let rows = rows_of(tx, request).await?;
    let position = |row: &Row| Ok((Position { at: row.try_get(0)?, key: row.try_get(1)? }, row.try_get(2)?));
    rows.iter().map(position).collect()
}

/// Sums up the counts of runs that have ended. Needs no plan, so that a list of them is not slow because of their scripts.
async fn ended_summaries(tx: &Transaction<'_>, keys: &[i64]) -> Result<HashMap<i64, RunSummary>, HubError> {
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let sums: Vec<_> = StepCounts::COLUMNS.iter().map(|column| format!("sum({column})::int8")).collect();
    let sums = sums.join(", ");
    let sql = format!("SELECT run, count(*), {sums} FROM step_count WHERE run = ANY($1) GROUP BY run");
    let rows = query(tx, &sql, &[&keys]).await?;
    let summary = |row: &Row| {
        let sums = StepCounts::read(|column| row.try_get(column + 2))?;
        Ok((row.try_get(0)?, RunSummary::of_ended(row.try_get(1)?, &sums)))
    };
    rows.iter().map(summary).collect()
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

/// Returns what the attempts of a run's first steps used, by step.
async fn usage_by_step(
    tx: &Transaction<'_>,
    key: i64,
    limit: usize,
) -> Result<HashMap<i64, Vec<(i64, UsageCounts)>>, HubError> {
    let sql = "SELECT step, bucket, attempts, cpu_ms, peak_memory FROM step_usage
         WHERE run = $1 AND step < $2 ORDER BY step, bucket";
    let mut usage = HashMap::<i64, Vec<_>>::new();
    for row in query(tx, sql, &[&key, &signed(limit as u64)]).await? {
        let counts = UsageCounts { attempts: row.try_get(2)?, cpu_ms: row.try_get(3)?, peak_memory: row.try_get(4)? };
        usage.entry(row.try_get(0)?).or_default().push((row.try_get(1)?, counts));
    }
    Ok(usage)
}
