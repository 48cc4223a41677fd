//! Simulated time, for tests of scripts: the hub advances the clock itself when everything in its runs waits for a later time.
//!
//! ```text
//! a job computes, is on its way to the worker, or its report is on its way here     time stands still
//! all running jobs sleep, and none is ready                                         time jumps to the earliest of
//!     the next parked job, the next expiry, the next sleeper
//! ```
//! One worker serves all scopes. The check is made when its request for leases has found no job: jobs that sleep report nothing, so
//! between the check and the request nothing can have become ready. Leases do not expire: the worker is in the same process.

use std::collections::BTreeSet;

use bue_model::wire::JobQuery;
use bue_model::{JobId, JobState, RunId, RunState, Timestamp};

use crate::api::hub::Hub;
use crate::clock::Simulation;
use crate::error::HubError;
use crate::jobs::views::run_list::RunQuery;

/// Runs or jobs that one query returns.
const PAGE: u32 = 200;

/// Whether all running jobs sleep.
pub(super) async fn all_sleep(hub: &Hub, simulation: &dyn Simulation) -> Result<bool, HubError> {
    let sleeping = simulation.sleeping_jobs();
    let mut query = RunQuery { states: vec![RunState::Running], limit: PAGE, ..RunQuery::default() };
    loop {
        let page = hub.store.run_page(query.clone()).await?;
        for run in page.runs {
            if !all_sleep_of(hub, run.run.id, &sleeping).await? {
                return Ok(false);
            }
        }
        query.after = page.next;
        if query.after.is_none() {
            return Ok(true);
        }
    }
}

async fn all_sleep_of(hub: &Hub, run: RunId, sleeping: &BTreeSet<JobId>) -> Result<bool, HubError> {
    let mut query = JobQuery { state: Some(JobState::Running), limit: PAGE, ..JobQuery::default() };
    while let Some(page) = hub.store.jobs(run, query.clone()).await? {
        if !page.jobs.iter().all(|job| sleeping.contains(&job.id)) {
            return Ok(false);
        }
        query.after = page.next;
        if query.after.is_none() {
            break;
        }
    }
    Ok(true)
}

/// Advances the time to the next one at which something happens. Returns whether something may be ready now. `parked` is when the next
/// parked job becomes ready.
pub(super) async fn advance(
    hub: &Hub,
    simulation: &dyn Simulation,
    parked: Option<Timestamp>,
) -> Result<bool, HubError> {
    let now = simulation.now();
    let expired = hub.store.expire(now).await?;
    if !expired.jobs.is_empty() {
        return Ok(true);
    }
    let next = [parked, expired.next_at, simulation.next_wake()].into_iter().flatten().min();
    let Some(next) = next.filter(|next| *next > now) else { return Ok(false) };
    simulation.advance_to(next);
    Ok(simulation.now() > now)
}
