//! Views of jobs: their state, their log, what they wait for, and what a worker would be sent about them.

use std::collections::BTreeSet;

use bue_model::wire::{JobView, LeaseBatch, ParentView, WhyView};
use bue_model::{JobId, Timestamp, ValueRef};
use deadpool_postgres::Transaction;
use tokio_postgres::{IsolationLevel, Row};

use crate::error::HubError;
use crate::jobs::columns::{from_postcard, job_id, row_id, small};
use crate::jobs::instance::{Location, Run, instance_of, location_in, node_of};
use crate::jobs::leasing::lease_batch::detached_lease;
use crate::jobs::leasing::pick::running_under_rate;
use crate::jobs::state::{State, state_code};
use crate::jobs::views::job_list::MAX_PAGE;
use crate::jobs::views::job_views::{JobColumns, JobLocation, at_most_view, parent_view, why_view};
use crate::postgres::connection::retry::retry_transient;
use crate::postgres::leasing::values::Values;
use crate::postgres::query::{node, query, state};
use crate::postgres::read::last_attempt;
use crate::postgres::state::PostgresState;
use crate::store::{JobResult, MAX_PARENTS};

impl PostgresState {
    /// Returns the view of a job.
    pub(in crate::postgres) async fn job_view(&self, id: JobId) -> Result<Option<JobView>, HubError> {
        retry_transient!(self.try_job_view(id))
    }

    async fn try_job_view(&self, id: JobId) -> Result<Option<JobView>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        Ok(self.job_views(&tx, &[row_id(id)]).await?.pop())
    }

    /// Returns jobs that workers hold.
    pub(in crate::postgres) async fn running_jobs(&self, limit: u32) -> Result<Vec<JobView>, HubError> {
        retry_transient!(self.try_running_jobs(i64::from(limit.clamp(1, MAX_PAGE))))
    }

    async fn try_running_jobs(&self, limit: i64) -> Result<Vec<JobView>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let sql =
            concat!("SELECT id FROM job WHERE state = ", state_code!(Running), " ORDER BY lease_end DESC LIMIT $1");
        let rows = query(&tx, sql, &[&limit]).await?;
        let ids: Vec<i64> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        self.listed_jobs(&tx, &ids).await
    }

    /// Returns a job with its result.
    pub(in crate::postgres) async fn job_result(&self, id: JobId) -> Result<Option<JobResult>, HubError> {
        retry_transient!(self.try_job_result(id))
    }

    async fn try_job_result(&self, id: JobId) -> Result<Option<JobResult>, HubError> {
        let mut client = self.client().await?;
        // one snapshot, because the job may end between the two reads
        let tx =
            client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start().await?;
        let Some(job) = self.job_views(&tx, &[row_id(id)]).await?.pop() else { return Ok(None) };
        Ok(Some(JobResult { job, value: Values::default().value(&tx, row_id(id)).await? }))
    }

    /// Returns the views of those of these rows that are jobs, in the order of their ids.
    async fn job_views(&self, tx: &Transaction<'_>, ids: &[i64]) -> Result<Vec<JobView>, HubError> {
        let sql =
            "SELECT id, node, fanout, run, state, available_at, attempts, waiting_for, worker, failure, blocked_by, token,
                 earlier, started_at, NULL::int8, NULL::int8, NULL::int8, NULL::int8
             FROM job WHERE id = ANY($1)
             UNION ALL SELECT id, node, fanout, run, state, ended_at, attempts, 0, worker, NULL, NULL, token,
                 earlier, started_at, ended_at, run_ms, cpu_ms, peak_memory FROM done
             WHERE id = ANY($1) ORDER BY id";
        let (mut views, mut values) = (Vec::with_capacity(ids.len()), Values::default());
        for row in query(tx, sql, &[&ids]).await? {
            let (id, columns) = (row.try_get(0)?, job_columns(&row)?);
            let run = self.run(tx, columns.run).await?;
            let rounds = values.rounds_of(tx, &run, columns.location(id)).await?;
            views.extend(columns.into_view(job_id(id), &run, rounds)?);
        }
        Ok(views)
    }

    /// Returns the views of those of these rows that are jobs for a list, in the order of their ids.
    pub(super) async fn listed_jobs(&self, tx: &Transaction<'_>, ids: &[i64]) -> Result<Vec<JobView>, HubError> {
        let views = self.job_views(tx, ids).await?.into_iter();
        Ok(views.map(|view| JobView { last_attempts: Vec::new(), ..view }).collect())
    }

    /// Returns the scopes of the steps of a job's run.
    pub(in crate::postgres) async fn script_scopes(&self, id: JobId) -> Result<Option<BTreeSet<String>>, HubError> {
        retry_transient!(self.try_script_scopes(id))
    }

    async fn try_script_scopes(&self, id: JobId) -> Result<Option<BTreeSet<String>>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let Some(row) = job_location(&tx, id).await? else { return Ok(None) };
        Ok(Some(self.run(&tx, row.run).await?.graph.scopes()))
    }

    /// Returns a job's last log; the outer `None` if there is no such job.
    pub(in crate::postgres) async fn log(&self, id: JobId) -> Result<Option<Option<ValueRef>>, HubError> {
        retry_transient!(self.try_log(id))
    }

    async fn try_log(&self, id: JobId) -> Result<Option<Option<ValueRef>>, HubError> {
        let client = self.client().await?;
        let sql = "SELECT log FROM job WHERE id = $1 UNION ALL SELECT log FROM done WHERE id = $1";
        let rows = client.query(&client.prepare_cached(sql).await?, &[&row_id(id)]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(row.try_get::<_, Option<&[u8]>>(0)?.map(from_postcard).transpose()?))
    }

    /// Returns what a job waits for.
    pub(in crate::postgres) async fn why(&self, id: JobId) -> Result<Option<WhyView>, HubError> {
        retry_transient!(self.try_why(id))
    }

    async fn try_why(&self, id: JobId) -> Result<Option<WhyView>, HubError> {
        let Some(job) = self.job_view(id).await? else { return Ok(None) };
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let Some(row) = job_location(&tx, id).await? else { return Ok(None) };
        let run = self.run(&tx, row.run).await?;
        let mut view = why_view(job, missing_parents(&tx, &run, row.location).await?);
        let sql = concat!(
            "SELECT job.scope, job.pendings, job.releases, job.lease_end, rate.open_at, job.expires_at,
                 coalesce(rate.at_most, 0), ",
            running_under_rate!(),
            " FROM job LEFT JOIN rate ON rate.id = job.rate WHERE job.id = $1"
        );
        if let Some(row) = query(&tx, sql, &[&row_id(id)]).await?.first() {
            view.scope = row.try_get(0)?;
            view.pendings = small(row.try_get(1)?);
            view.releases = small(row.try_get(2)?);
            view.lease_ends_at = row.try_get::<_, Option<i64>>(3)?.map(Timestamp);
            view.rate_opens_at = row.try_get::<_, Option<i64>>(4)?.map(Timestamp);
            view.expires_at = row.try_get::<_, Option<i64>>(5)?.map(Timestamp);
            view.at_most = at_most_view(row.try_get(6)?, row.try_get(7)?);
        }
        view.lease_ends_at = self.extensions().latest_end(row_id(id), view.lease_ends_at);
        Ok(Some(view))
    }

    /// Returns what a worker would be sent about a job.
    pub(in crate::postgres) async fn task(&self, id: JobId) -> Result<Option<LeaseBatch>, HubError> {
        retry_transient!(self.try_task(id))
    }

    async fn try_task(&self, id: JobId) -> Result<Option<LeaseBatch>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let Some(row) = job_location(&tx, id).await? else { return Ok(None) };
        let run = self.run(&tx, row.run).await?;
        let Some(job) = run.graph.job(row.location.node) else { return Ok(None) };
        let waits_for = missing_parents(&tx, &run, row.location).await?.len();
        if waits_for > 0 {
            return Err(HubError::JobNotReady { job: id, waits_for });
        }
        let instance = instance_of(&run, row.location)?;
        let arguments = Values::default().arguments(&tx, &run, instance, job).await?;
        let arguments = arguments.map_err(|failure| HubError::BadRequest(failure.message))?;
        detached_lease(&run, job, id, row.attempts, arguments, row.env).map(Some)
    }
}

/// Reads the columns after the id.
fn job_columns(row: &Row) -> Result<JobColumns, HubError> {
    Ok(JobColumns {
        node: node(row.try_get(1)?),
        fanout: row.try_get(2)?,
        run: row.try_get(3)?,
        state: state(row.try_get(4)?)?,
        available_at: row.try_get(5)?,
        attempts: small(row.try_get(6)?),
        waiting_for: small(row.try_get(7)?),
        worker: row.try_get(8)?,
        failure: row.try_get(9)?,
        blocked_by: row.try_get(10)?,
        token: row.try_get(11)?,
        earlier: row.try_get(12)?,
        last: last_attempt(row, 13)?,
    })
}

/// Returns where a job's row is, whichever table has it.
async fn job_location(tx: &Transaction<'_>, id: JobId) -> Result<Option<JobLocation>, HubError> {
    let sql = "SELECT node, fanout, run, attempts, env FROM job WHERE id = $1
         UNION ALL SELECT node, fanout, run, attempts, NULL FROM done WHERE id = $1";
    let rows = query(tx, sql, &[&row_id(id)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let location = Location { id: row_id(id), node: node(row.try_get(0)?), fanout: row.try_get(1)? };
    Ok(Some(JobLocation { location, run: row.try_get(2)?, attempts: small(row.try_get(3)?), env: row.try_get(4)? }))
}

/// Returns the parents that have not completed, the first of them.
async fn missing_parents(tx: &Transaction<'_>, run: &Run, location: Location) -> Result<Vec<ParentView>, HubError> {
    let instance = instance_of(run, location)?;
    let (mut values, mut parents) = (Values::default(), Vec::new());
    for parent in &node_of(run, location.node)?.parents {
        let enclosing = values.enclosing(tx, run, instance, node_of(run, *parent)?.block).await?;
        let parent = location_in(run, enclosing, *parent)?;
        let sql = "SELECT state FROM job WHERE id = $1 UNION ALL SELECT state FROM done WHERE id = $1";
        let rows = query(tx, sql, &[&parent.id]).await?;
        let state = rows.first().map(|row| state(row.try_get(0)?)).transpose()?;
        if state == Some(State::Completed) {
            continue;
        }
        parents.push(parent_view(run, parent, state, values.fan_out(tx, parent.id).await?));
        if parents.len() == MAX_PARENTS {
            break;
        }
    }
    Ok(parents)
}
