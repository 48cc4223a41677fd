//! What a job waits for, and what a worker would be told of it.

use bue_model::wire::{LeaseBatch, ParentView, WhyView};
use bue_model::{JobId, NodeId, Timestamp};
use deadpool_postgres::Transaction;

use super::Inner;
use super::read::{ask, state};
use super::values::Values;
use super::verbs::patiently;
use crate::error::HubError;
use crate::jobs::columns::{job_id, row_id, unsigned};
use crate::jobs::instance::{Run, Slot, instance_of, node_of, slot_in};
use crate::jobs::lease_batch::beside_its_run;
use crate::jobs::state::State;
use crate::store::MAX_PARENTS;

/// What both questions need of a row.
struct Place {
    slot: Slot,
    run: i64,
    attempts: u32,
    env: Option<Vec<u8>>,
}

fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl Inner {
    pub(super) async fn why(&self, id: JobId) -> Result<Option<WhyView>, HubError> {
        patiently!(self.try_why(id))
    }

    async fn try_why(&self, id: JobId) -> Result<Option<WhyView>, HubError> {
        let Some(job) = self.job_view(id).await? else { return Ok(None) };
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let Some(place) = place(&tx, id).await? else { return Ok(None) };
        let run = self.run(&tx, place.run).await?;
        let mut view = WhyView {
            job,
            now: Timestamp(0),
            scope: String::new(),
            parents: waits_for(&tx, &run, place.slot).await?,
            pendings: 0,
            releases: 0,
            lease_ends_at: None,
            rate_opens_at: None,
            served_by: Vec::new(),
        };
        let sql = "SELECT job.scope, job.pendings, job.releases, job.lease_end, rate.open_at
             FROM job LEFT JOIN rate ON rate.id = job.rate WHERE job.id = $1";
        if let Some(row) = ask(&tx, sql, &[&row_id(id)]).await?.first() {
            view.scope = row.try_get(0)?;
            view.pendings = small(row.try_get(1)?);
            view.releases = small(row.try_get(2)?);
            view.lease_ends_at = row.try_get::<_, Option<i64>>(3)?.map(Timestamp);
            view.rate_opens_at = row.try_get::<_, Option<i64>>(4)?.map(Timestamp);
        }
        // what heartbeats extended is not all in the database
        if let (Some(end), Some((_, extended))) = (view.lease_ends_at, self.extended().get(&row_id(id))) {
            view.lease_ends_at = Some(end.max(Timestamp(*extended)));
        }
        Ok(Some(view))
    }

    pub(super) async fn task(&self, id: JobId) -> Result<Option<LeaseBatch>, HubError> {
        patiently!(self.try_task(id))
    }

    async fn try_task(&self, id: JobId) -> Result<Option<LeaseBatch>, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let Some(place) = place(&tx, id).await? else { return Ok(None) };
        let run = self.run(&tx, place.run).await?;
        let Some(job) = run.graph.job(place.slot.node) else { return Ok(None) };
        let waits_for = waits_for(&tx, &run, place.slot).await?.len();
        if waits_for > 0 {
            return Err(HubError::JobNotReady { job: id, waits_for });
        }
        let inputs = Values::default().inputs(&tx, &run, instance_of(&run, place.slot)?, job).await?;
        let inputs = inputs.map_err(|failure| HubError::BadRequest(failure.message))?;
        beside_its_run(&run, job, (id, place.attempts), inputs.inputs, place.env).map(Some)
    }
}

/// Where a row stands, open or over.
async fn place(tx: &Transaction<'_>, id: JobId) -> Result<Option<Place>, HubError> {
    let sql = "SELECT node, fanout, run, attempts, env FROM job WHERE id = $1
         UNION ALL SELECT node, fanout, run, attempts, NULL FROM done WHERE id = $1";
    let rows = ask(tx, sql, &[&row_id(id)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let slot = Slot { id: row_id(id), node: NodeId(small(row.try_get(0)?)), fanout: row.try_get(1)? };
    Ok(Some(Place { slot, run: row.try_get(2)?, attempts: small(row.try_get(3)?), env: row.try_get(4)? }))
}

/// The parents that have not completed, the first of them.
async fn waits_for(tx: &Transaction<'_>, run: &Run, slot: Slot) -> Result<Vec<ParentView>, HubError> {
    let instance = instance_of(run, slot)?;
    let (mut values, mut parents) = (Values::default(), Vec::new());
    for parent in &node_of(run, slot.node)?.parents {
        let around = values.climb(tx, run, instance, node_of(run, *parent)?.block).await?;
        let id = slot_in(run, around, *parent)?.id;
        let sql = "SELECT state FROM job WHERE id = $1 UNION ALL SELECT state FROM done WHERE id = $1";
        let rows = ask(tx, sql, &[&id]).await?;
        let state = rows.first().map_or(Ok(State::Blocked), |row| state(row.try_get(0)?))?;
        if state == State::Completed {
            continue;
        }
        let fan_out = values.fan_out(tx, id).await?;
        parents.push(ParentView {
            job: job_id(id),
            name: run.graph.name_of(*parent).to_owned(),
            state: state.shown(),
            rounds: fan_out.map(|fan_out| (unsigned(fan_out.settled), unsigned(fan_out.count))),
        });
        if parents.len() == MAX_PARENTS {
            break;
        }
    }
    Ok(parents)
}
