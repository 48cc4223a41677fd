//! The queries for ready jobs. Each reads as many rows as it returns, however many jobs wait: the ready jobs of a scope are in
//! an index in their order.

use bue_model::NodeId;
use bue_model::wire::LeaseRequest;
use rusqlite::{Params, Row, params};

use crate::error::HubError;
use crate::jobs::columns::signed;
use crate::jobs::instance::Location;
use crate::jobs::leasing::isolation::{company_at, company_since, in_company, in_isolation};
use crate::jobs::leasing::pick::{Order, Picked, ReadyJob, anti_starvation_share, select_ready, select_ready_in_order};
use crate::jobs::state::state_code;
use crate::sqlite::write_tx::WriteTx;

/// When the suspect became ready that has waited for the longest, of those that are still to be leased alone.
const OLDEST_SUSPECT: &str =
    concat!("SELECT min(available_at) FROM job WHERE state = ", state_code!(Ready), " AND ", in_isolation!("?1"));

impl WriteTx<'_> {
    /// Returns the jobs to lease, in the order in which they are to run.
    pub(super) fn pick(&self, request: &LeaseRequest) -> Result<Vec<ReadyJob>, HubError> {
        let order = Order::from_request(request);
        let mut picked = Picked::new(request);
        for scope in order.scopes(request) {
            let room = picked.room();
            if room == 0 {
                break;
            }
            picked.add_scope(self.ready(scope, order, room)?, self.ready_under_rates(scope, order, room)?);
        }
        let share = anti_starvation_share(self.state.granted, request);
        let last = self.last(request, picked.places_for_last(share))?;
        Ok(picked.with_anti_starvation_share(last))
    }

    /// Returns the ready jobs of a scope that are under no rate.
    fn ready(&self, scope: &str, order: Order, limit: usize) -> Result<Vec<ReadyJob>, HubError> {
        let since = company_since(self.now);
        self.ready_jobs(select_ready_in_order!(order, "?"), params![scope, signed(limit as u64), since])
    }

    /// Returns the oldest jobs of the priority that would be served last, in the scope that would be served last.
    fn last(&self, request: &LeaseRequest, count: usize) -> Result<Vec<ReadyJob>, HubError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let order = Order::from_request(request).reversed();
        for scope in order.scopes(request) {
            let Some(job) = self.ready(scope, order, 1)?.pop() else { continue };
            let sql = select_ready!(
                "rate = 0 AND scope = ?1 AND priority = ?2 AND ",
                in_company!("?4"),
                " ORDER BY id LIMIT ?3"
            );
            let (limit, since) = (signed(count as u64), company_since(self.now));
            return self.ready_jobs(sql, params![scope, job.priority, limit, since]);
        }
        Ok(Vec::new())
    }

    /// Returns a suspect to lease alone, if the worker holds no job.
    pub(super) fn pick_isolated(&self, request: &LeaseRequest) -> Result<Option<ReadyJob>, HubError> {
        let suspect = match self.suspect(request)? {
            Some(suspect) if request.count > 0 => suspect,
            _ => return Ok(None),
        };
        let mut select = self.db.prepare_cached(concat!(
            "SELECT 1 FROM job WHERE state = ",
            state_code!(Running),
            " AND worker = ?1 LIMIT 1"
        ))?;
        Ok((!select.exists([&request.worker])?).then_some(suspect))
    }

    /// Returns the first job to lease alone, those that have been alone before it first.
    fn suspect(&self, request: &LeaseRequest) -> Result<Option<ReadyJob>, HubError> {
        for scope in Order::from_request(request).scopes(request) {
            let sql = select_ready!("scope = ?1 AND ", in_isolation!("?2"), " ORDER BY releases DESC, id LIMIT 1");
            let suspect = self.ready_jobs(sql, params![scope, company_since(self.now)])?.pop();
            if suspect.is_some() {
                return Ok(suspect);
            }
        }
        Ok(None)
    }

    /// Returns whether a worker holds a job that is to stay alone.
    pub(super) fn holds_isolated(&self, worker: &str) -> Result<bool, HubError> {
        let mut select = self.db.prepare_cached(concat!(
            "SELECT 1 FROM job WHERE state = ",
            state_code!(Running),
            " AND isolated = 1 AND worker = ?1 LIMIT 1"
        ))?;
        Ok(select.exists([worker])?)
    }

    /// Returns when the next suspect may be leased together with others.
    pub(super) fn next_in_company(&self) -> Result<Option<i64>, HubError> {
        let mut select = self.db.prepare_cached(OLDEST_SUSPECT)?;
        let ready_at: Option<i64> = select.query_row([company_since(self.now)], |row| row.get(0))?;
        Ok(ready_at.map(|ready_at| company_at(ready_at).0))
    }

    /// Runs a query for the columns of [`select_ready!`].
    pub(super) fn ready_jobs(&self, sql: &str, params: impl Params) -> Result<Vec<ReadyJob>, HubError> {
        let mut select = self.db.prepare_cached(sql)?;
        Ok(select.query_map(params, ready_job)?.collect::<Result<_, _>>()?)
    }
}

fn ready_job(row: &Row<'_>) -> rusqlite::Result<ReadyJob> {
    Ok(ReadyJob {
        priority: row.get(0)?,
        location: Location { id: row.get(1)?, node: NodeId(row.get(2)?), fanout: row.get(3)? },
        run: row.get(4)?,
        token: row.get(5)?,
        attempts: row.get(6)?,
        env: row.get(7)?,
        rate: row.get(8)?,
        expires_at: row.get(9)?,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::Connection;

    use super::*;
    use crate::sqlite::schema;

    /// Every lease looks for it, and there may be a million ready jobs.
    #[test]
    fn the_oldest_suspect_is_found_without_looking_at_all_ready_jobs() {
        let mut db = Connection::open_in_memory().expect("a database");
        schema::migrate(&mut db, Path::new(":memory:")).expect("tables");
        let plan: String = db
            .query_row(&format!("EXPLAIN QUERY PLAN {OLDEST_SUSPECT}"), [0], |row| row.get("detail"))
            .expect("a plan");
        assert!(plan.contains("USING INDEX job_suspect"), "{plan}");
    }
}
