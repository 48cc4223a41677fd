//! [`Batch`]: what a worker is told of the jobs it gets, and the bounds of what it may ask for. Pure.

use std::collections::HashMap;

use bue_model::wire::{JobInput, Lease, LeaseBatch, LeaseRequest, LeasedStep};
use bue_model::{JobId, NodeId, StepIndex, Token};
use bytes::Bytes;

use crate::error::HubError;
use crate::jobs::graph::GraphJob;
use crate::jobs::instance::Run;

/// Jobs in one answer, whatever the worker asks for.
const MAX_LEASES: u32 = 4_096;
/// Scopes a worker may name.
const MAX_SCOPES: usize = 256;
/// Bytes of arguments after which no further job is put into an answer. One job alone may have more.
pub(crate) const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of a worker's name that are kept.
const MAX_WORKER: usize = 256;

/// Cuts a request to what one answer may hold.
pub(crate) fn bound(request: &mut LeaseRequest) -> Result<(), HubError> {
    request.worker.truncate(request.worker.floor_char_boundary(MAX_WORKER));
    request.count = request.count.min(MAX_LEASES);
    if request.scopes.len() > MAX_SCOPES {
        return Err(HubError::BadRequest(format!("a worker may name up to {MAX_SCOPES} scopes")));
    }
    Ok(())
}

/// An answer while it grows.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) steps: Vec<LeasedStep>,
    /// Which step of which run, and the loop over it.
    positions: HashMap<(i64, StepIndex, Option<NodeId>), u32>,
    pub(crate) leases: Vec<Lease>,
    pub(crate) bytes: usize,
}

impl Batch {
    /// Position of the job's step among the steps of the answer.
    pub(crate) fn step(&mut self, run: &Run, job: &GraphJob) -> Result<u32, HubError> {
        let key = (run.key, job.step, job.looped_by);
        if let Some(position) = self.positions.get(&key) {
            return Ok(*position);
        }
        let position = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        self.steps.push(leased_step(run, job).ok_or_else(|| HubError::damaged("a job without a step"))?);
        self.positions.insert(key, position);
        Ok(position)
    }
}

/// What a worker would be told of one job, to run it beside its run: no lease, so under no token.
pub(crate) fn beside_its_run(
    run: &Run,
    job: &GraphJob,
    (id, attempts): (JobId, u32),
    inputs: Vec<JobInput>,
    env: Option<Vec<u8>>,
) -> Result<LeaseBatch, HubError> {
    let mut batch = Batch::default();
    let step = batch.step(run, job)?;
    let lease = Lease {
        job: id,
        run: run.id,
        token: Token(0),
        attempt: attempts.saturating_add(1),
        step,
        inputs,
        env: env.map(Bytes::from),
        // it is run for its own sake, whatever its rate
        count_by: None,
    };
    Ok(LeaseBatch { lease_ms: 0, steps: batch.steps, leases: vec![lease] })
}

/// The field that a job's `!rate` counts by, where it is not known yet what the job's start counts as.
pub(crate) fn count_by(run: &Run, job: &GraphJob, rate: i64) -> Option<String> {
    match rate {
        0 => run.graph.step_of(job)?.settings.rate.as_ref()?.by.clone(),
        _ => None,
    }
}

fn leased_step(run: &Run, job: &GraphJob) -> Option<LeasedStep> {
    let step = run.graph.step_of(job)?;
    let looped_by = job.looped_by.and_then(|fan_out| run.graph.fan_out(fan_out));
    Some(LeasedStep {
        name: step.name.clone(),
        language: step.language,
        function: step.function.clone(),
        code: *run.graph.code.get(job.step.get())?,
        timeout_ms: step.settings.timeout_ms(),
        scope: step.settings.scope.clone(),
        priority: step.settings.priority,
        retries: step.settings.retries,
        allow: step.settings.allow.clone(),
        loop_text: looped_by.map(|fan_out| fan_out.text.clone()),
    })
}
