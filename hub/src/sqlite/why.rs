//! What a job waits for, and what a worker would be told of it.

use bue_model::wire::{LeaseBatch, ParentView, WhyView};
use bue_model::{JobId, NodeId, Timestamp};
use rusqlite::OptionalExtension;

use super::inputs::Seen;
use super::ledger::{Ledger, Slot, instance_of, job_id, node_of, row_id, slot_in, unsigned};
use super::memory::Run;
use super::state::State;
use crate::error::HubError;
use crate::jobs::lease_batch::beside_its_run;
use crate::store::MAX_PARENTS;

/// What both questions need of a row.
struct Place {
    slot: Slot,
    run: i64,
    attempts: u32,
    env: Option<Vec<u8>>,
}

impl Ledger<'_> {
    pub(super) fn why(&mut self, id: JobId) -> Result<Option<WhyView>, HubError> {
        let (Some(place), Some(job)) = (self.place(id)?, self.job_view(id)?) else { return Ok(None) };
        let run = self.run(place.run)?;
        let mut view = WhyView {
            job,
            now: Timestamp(0),
            scope: String::new(),
            parents: self.waits_for(&run, place.slot)?,
            pendings: 0,
            releases: 0,
            lease_ends_at: None,
            rate_opens_at: None,
            served_by: Vec::new(),
        };
        let mut select = self.db.prepare_cached(
            "SELECT job.scope, job.pendings, job.releases, job.lease_end, rate.open_at
             FROM job LEFT JOIN rate ON rate.id = job.rate WHERE job.id = ?1",
        )?;
        let open = select.query_row([row_id(id)], |row| {
            view.scope = row.get(0)?;
            view.pendings = row.get(1)?;
            view.releases = row.get(2)?;
            view.lease_ends_at = row.get::<_, Option<i64>>(3)?.map(Timestamp);
            view.rate_opens_at = row.get::<_, Option<i64>>(4)?.map(Timestamp);
            Ok(())
        });
        open.optional()?;
        // what heartbeats extended is not all in the database
        if let (Some(end), Some((_, extended))) = (view.lease_ends_at, self.memory.extended.get(&row_id(id))) {
            view.lease_ends_at = Some(end.max(Timestamp(*extended)));
        }
        Ok(Some(view))
    }

    pub(super) fn task(&mut self, id: JobId) -> Result<Option<LeaseBatch>, HubError> {
        let Some(place) = self.place(id)? else { return Ok(None) };
        let run = self.run(place.run)?;
        let Some(job) = run.graph.job(place.slot.node) else { return Ok(None) };
        let waits_for = self.waits_for(&run, place.slot)?.len();
        if waits_for > 0 {
            return Err(HubError::JobNotReady { job: id, waits_for });
        }
        let inputs = self.inputs(&run, instance_of(&run, place.slot)?, job, &mut Seen::default())?;
        let inputs = inputs.map_err(|failure| HubError::BadRequest(failure.message))?;
        beside_its_run(&run, job, (id, place.attempts), inputs.inputs, place.env).map(Some)
    }

    /// Where a row stands, open or over.
    fn place(&self, id: JobId) -> Result<Option<Place>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT node, fanout, run, attempts, env FROM job WHERE id = ?1
             UNION ALL SELECT node, fanout, run, attempts, NULL FROM done WHERE id = ?1",
        )?;
        let place = select.query_row([row_id(id)], |row| {
            let slot = Slot { id: row_id(id), node: NodeId(row.get(0)?), fanout: row.get(1)? };
            Ok(Place { slot, run: row.get(2)?, attempts: row.get(3)?, env: row.get(4)? })
        });
        Ok(place.optional()?)
    }

    /// The parents that have not completed, the first of them.
    fn waits_for(&self, run: &Run, slot: Slot) -> Result<Vec<ParentView>, HubError> {
        let instance = instance_of(run, slot)?;
        let mut select = self
            .db
            .prepare_cached("SELECT state FROM job WHERE id = ?1 UNION ALL SELECT state FROM done WHERE id = ?1")?;
        let mut parents = Vec::new();
        for parent in &node_of(run, slot.node)?.parents {
            let around = self.climb(run, instance, node_of(run, *parent)?.block)?;
            let id = slot_in(run, around, *parent)?.id;
            let state: Option<State> = select.query_row([id], |row| row.get(0)).optional()?;
            if state == Some(State::Completed) {
                continue;
            }
            let fan_out = self.fan_out(id)?;
            parents.push(ParentView {
                job: job_id(id),
                name: run.graph.name_of(*parent).to_owned(),
                state: state.unwrap_or(State::Blocked).shown(),
                rounds: fan_out.map(|fan_out| (unsigned(fan_out.settled), unsigned(fan_out.count))),
            });
            if parents.len() == MAX_PARENTS {
                break;
            }
        }
        Ok(parents)
    }
}
