//! Views of jobs: their state, their log, what they wait for, and what a worker would be sent about them.

use std::collections::BTreeSet;

use bue_model::wire::{JobView, LeaseBatch, ParentView, WhyView};
use bue_model::{JobId, NodeId, Round, Timestamp, ValueRef};
use rusqlite::OptionalExtension;

use crate::error::HubError;
use crate::jobs::columns::{from_postcard, job_id, row_id};
use crate::jobs::instance::{Location, Run, instance_of, location_in, node_of};
use crate::jobs::leasing::lease_batch::detached_lease;
use crate::jobs::leasing::pick::running_under_rate;
use crate::jobs::state::{State, state_code};
use crate::jobs::views::job_list::MAX_PAGE;
use crate::jobs::views::job_views::{JobColumns, JobLocation, at_most_view, digest_of, parent_view, why_view};
use crate::jobs::views::round_path::RoundPath;
use crate::sqlite::leasing::arguments::LastRead;
use crate::sqlite::read::last_attempt;
use crate::sqlite::read_tx::ReadTx;
use crate::sqlite::write_tx::WriteTx;
use crate::store::{JobResult, MAX_PARENTS};

impl ReadTx<'_> {
    /// Returns jobs that workers hold.
    pub(in crate::sqlite) fn running_jobs(&mut self, limit: u32) -> Result<Vec<JobView>, HubError> {
        let ids: Vec<i64> = {
            let mut select = self.db.prepare_cached(concat!(
                "SELECT id FROM job WHERE state = ",
                state_code!(Running),
                " ORDER BY lease_end DESC LIMIT ?1"
            ))?;
            let rows = select.query_map([limit.clamp(1, MAX_PAGE)], |row| row.get(0))?;
            rows.collect::<Result<_, _>>()?
        };
        let mut views = Vec::with_capacity(ids.len());
        for id in ids {
            views.extend(self.listed_job(job_id(id))?);
        }
        views.sort_by_key(|view| view.id);
        Ok(views)
    }

    /// Returns the view of a job for a list.
    pub(in crate::sqlite) fn listed_job(&mut self, id: JobId) -> Result<Option<JobView>, HubError> {
        Ok(self.job_view(id)?.map(|view| JobView { last_attempts: Vec::new(), ..view }))
    }

    /// Returns the view of a job.
    pub(in crate::sqlite) fn job_view(&mut self, id: JobId) -> Result<Option<JobView>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT node, fanout, run, state, available_at, attempts, waiting_for, worker, failure, blocked_by, token, earlier,
                 started_at, NULL, NULL, NULL, NULL
             FROM job WHERE id = ?1
             UNION ALL SELECT node, fanout, run, state, ended_at, attempts, 0, worker, NULL, NULL, token, earlier,
                 started_at, ended_at, run_ms, cpu_ms, peak_memory FROM done WHERE id = ?1",
        )?;
        let row = select.query_row([row_id(id)], |row| {
            Ok(JobColumns {
                node: NodeId(row.get(0)?),
                fanout: row.get(1)?,
                run: row.get(2)?,
                state: row.get(3)?,
                available_at: row.get(4)?,
                attempts: row.get(5)?,
                waiting_for: row.get(6)?,
                worker: row.get(7)?,
                failure: row.get(8)?,
                blocked_by: row.get(9)?,
                token: row.get(10)?,
                earlier: row.get(11)?,
                last: last_attempt(row, 12)?,
            })
        });
        let Some(row) = row.optional()? else { return Ok(None) };
        let run = self.run(row.run)?;
        let rounds = self.rounds_of(&run, row.location(row_id(id)))?;
        row.into_view(id, &run, rounds)
    }

    /// Returns a job with its result.
    pub(in crate::sqlite) fn job_result(&mut self, id: JobId) -> Result<Option<JobResult>, HubError> {
        let Some(job) = self.job_view(id)? else { return Ok(None) };
        Ok(Some(JobResult { job, value: self.value(row_id(id))? }))
    }

    /// Returns the hash of a job's result as it is stored; `None` if it has none.
    pub(super) fn digest(&self, id: JobId) -> Result<Option<String>, HubError> {
        let mut select = self.db.prepare_cached("SELECT value FROM done WHERE id = ?1")?;
        let value: Option<Option<Vec<u8>>> = select.query_row([row_id(id)], |row| row.get(0)).optional()?;
        Ok(value.flatten().map(|value| digest_of(&value)))
    }

    /// Returns a job's rounds of the loops around it, outermost first.
    pub(super) fn rounds_of(&self, run: &Run, job: Location) -> Result<Vec<Round>, HubError> {
        let mut path = RoundPath::new(run, job)?;
        while let Some(id) = path.needs() {
            path.add(&self.require_fan_out(id)?)?;
        }
        Ok(path.finish())
    }

    /// Returns a job's last log; the outer `None` if there is no such job.
    pub(in crate::sqlite) fn log(&self, id: JobId) -> Result<Option<Option<ValueRef>>, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT log FROM job WHERE id = ?1 UNION ALL SELECT log FROM done WHERE id = ?1")?;
        let log: Option<Option<Vec<u8>>> = select.query_row([row_id(id)], |row| row.get(0)).optional()?;
        log.map(|log| log.as_deref().map(from_postcard).transpose()).transpose()
    }

    /// Returns what a worker would be sent about a job.
    pub(in crate::sqlite) fn task(&mut self, id: JobId) -> Result<Option<LeaseBatch>, HubError> {
        let Some(row) = self.job_location(id)? else { return Ok(None) };
        let run = self.run(row.run)?;
        let Some(job) = run.graph.job(row.location.node) else { return Ok(None) };
        let waits_for = self.missing_parents(&run, row.location)?.len();
        if waits_for > 0 {
            return Err(HubError::JobNotReady { job: id, waits_for });
        }
        let instance = instance_of(&run, row.location)?;
        let arguments = self.arguments(&run, instance, job, &mut LastRead::default())?;
        let arguments = arguments.map_err(|failure| HubError::BadRequest(failure.message))?;
        detached_lease(&run, job, id, row.attempts, arguments, row.env).map(Some)
    }

    /// Returns the scopes of the steps of a job's run.
    pub(in crate::sqlite) fn script_scopes(&mut self, id: JobId) -> Result<Option<BTreeSet<String>>, HubError> {
        let Some(row) = self.job_location(id)? else { return Ok(None) };
        Ok(Some(self.run(row.run)?.graph.scopes()))
    }

    /// Returns where a job's row is, whichever table has it.
    fn job_location(&self, id: JobId) -> Result<Option<JobLocation>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT node, fanout, run, attempts, env FROM job WHERE id = ?1
             UNION ALL SELECT node, fanout, run, attempts, NULL FROM done WHERE id = ?1",
        )?;
        let row = select.query_row([row_id(id)], |row| {
            let location = Location { id: row_id(id), node: NodeId(row.get(0)?), fanout: row.get(1)? };
            Ok(JobLocation { location, run: row.get(2)?, attempts: row.get(3)?, env: row.get(4)? })
        });
        Ok(row.optional()?)
    }

    /// Returns the parents that have not completed, the first of them.
    fn missing_parents(&self, run: &Run, location: Location) -> Result<Vec<ParentView>, HubError> {
        let instance = instance_of(run, location)?;
        let mut select = self
            .db
            .prepare_cached("SELECT state FROM job WHERE id = ?1 UNION ALL SELECT state FROM done WHERE id = ?1")?;
        let mut parents = Vec::new();
        for parent in &node_of(run, location.node)?.parents {
            let enclosing = self.enclosing(run, instance, node_of(run, *parent)?.block)?;
            let parent = location_in(run, enclosing, *parent)?;
            let state: Option<State> = select.query_row([parent.id], |row| row.get(0)).optional()?;
            if state == Some(State::Completed) {
                continue;
            }
            parents.push(parent_view(run, parent, state, self.fan_out(parent.id)?));
            if parents.len() == MAX_PARENTS {
                break;
            }
        }
        Ok(parents)
    }
}

impl WriteTx<'_> {
    /// Returns what a job waits for. Heartbeats are in the memory of the writer.
    pub(in crate::sqlite) fn why(&mut self, id: JobId) -> Result<Option<WhyView>, HubError> {
        let (Some(row), Some(job)) = (self.job_location(id)?, self.job_view(id)?) else { return Ok(None) };
        let run = self.run(row.run)?;
        let mut view = why_view(job, self.missing_parents(&run, row.location)?);
        let mut select = self.db.prepare_cached(concat!(
            "SELECT job.scope, job.pendings, job.releases, job.lease_end, rate.open_at, job.expires_at,
                     coalesce(rate.at_most, 0), ",
            running_under_rate!(),
            " FROM job LEFT JOIN rate ON rate.id = job.rate WHERE job.id = ?1"
        ))?;
        let open = select.query_row([row_id(id)], |row| {
            view.scope = row.get(0)?;
            view.pendings = row.get(1)?;
            view.releases = row.get(2)?;
            view.lease_ends_at = row.get::<_, Option<i64>>(3)?.map(Timestamp);
            view.rate_opens_at = row.get::<_, Option<i64>>(4)?.map(Timestamp);
            view.expires_at = row.get::<_, Option<i64>>(5)?.map(Timestamp);
            view.at_most = at_most_view(row.get(6)?, row.get(7)?);
            Ok(())
        });
        open.optional()?;
        view.lease_ends_at = self.state.extensions.latest_end(row_id(id), view.lease_ends_at);
        Ok(Some(view))
    }
}
