//! The queries for ready jobs. Each reads as many rows as it returns, however many jobs wait: the ready jobs of a scope are in
//! an index in their order.

use bue_model::NodeId;
use bue_model::wire::LeaseRequest;
use rusqlite::{Params, Row, params};

use crate::error::HubError;
use crate::jobs::columns::signed;
use crate::jobs::instance::Location;
use crate::jobs::leasing::pick::{Order, Picked, ReadyJob, anti_starvation_share, select_ready, select_ready_in_order};
use crate::sqlite::write_tx::WriteTx;

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
        let share = anti_starvation_share(self.state.granted, request.count);
        let last = self.last(request, picked.places_for_last(share))?;
        Ok(picked.with_anti_starvation_share(last))
    }

    /// Returns the ready jobs of a scope that are under no rate.
    fn ready(&self, scope: &str, order: Order, limit: usize) -> Result<Vec<ReadyJob>, HubError> {
        self.ready_jobs(select_ready_in_order!(order, "?"), params![scope, signed(limit as u64)])
    }

    /// Returns the oldest jobs of the priority that would be served last, in the scope that would be served last.
    fn last(&self, request: &LeaseRequest, count: usize) -> Result<Vec<ReadyJob>, HubError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let order = Order::from_request(request).reversed();
        for scope in order.scopes(request) {
            let Some(job) = self.ready(scope, order, 1)?.pop() else { continue };
            let sql = select_ready!("rate = 0 AND scope = ?1 AND priority = ?2 ORDER BY id LIMIT ?3");
            return self.ready_jobs(sql, params![scope, job.priority, signed(count as u64)]);
        }
        Ok(Vec::new())
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
    })
}
