//! [`LeaseBuilder`]: the answer to a request for leases, and the limits of such a request. Pure.

use std::collections::HashMap;

use bue_model::text::truncate_bytes;
use bue_model::wire::{Lease, LeaseBatch, LeaseRequest, LeasedStep};
use bue_model::{Failure, FailureKind, JobId, NodeId, StepIndex, Token};
use bytes::Bytes;

use crate::error::HubError;
use crate::jobs::columns::{job_id, unsigned};
use crate::jobs::counts::step_counts::CountChanges;
use crate::jobs::graph::GraphJob;
use crate::jobs::instance::Run;
use crate::jobs::leasing::arguments::Arguments;
use crate::jobs::leasing::pick::ReadyJob;
use crate::jobs::state::State;

/// Jobs in one answer, whatever the worker asks for.
const MAX_LEASES: u32 = 4_096;
/// Scopes that a worker may name.
const MAX_SCOPES: usize = 256;
/// Bytes of arguments after which an answer takes no further job. One job alone may have more.
const BATCH_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of a worker's name that are stored.
const MAX_WORKER: usize = 256;
/// Parked jobs that one transaction makes ready; the caller comes back for the others at once.
pub(crate) const MAX_DUE_JOBS: i64 = 10_000;

/// Cuts a request to what one answer may contain.
pub(crate) fn clamp_request(request: &mut LeaseRequest) -> Result<(), HubError> {
    truncate_bytes(&mut request.worker, MAX_WORKER);
    request.count = request.count.min(MAX_LEASES);
    if request.scopes.len() > MAX_SCOPES {
        return Err(HubError::BadRequest(format!("a worker may name up to {MAX_SCOPES} scopes")));
    }
    Ok(())
}

/// A leased job whose arguments cannot be sent to any worker, and the failure to record for it.
pub(crate) struct UndeliverableJob {
    pub(crate) id: i64,
    pub(crate) token: i64,
    pub(crate) failure: Failure,
}

/// The answer while it grows.
#[derive(Default)]
pub(crate) struct LeaseBuilder {
    steps: Vec<LeasedStep>,
    /// The position of a step of a run, with what needs its result as a list.
    positions: HashMap<(i64, StepIndex, Option<NodeId>), u32>,
    leases: Vec<Lease>,
    bytes: usize,
    /// Jobs that are leased and cannot be sent.
    pub(crate) undeliverable: Vec<UndeliverableJob>,
}

impl LeaseBuilder {
    /// Returns whether the answer takes no further job.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes > BATCH_BYTES
    }

    /// Adds a job with its arguments, under the next token.
    ///
    /// # Errors
    /// Only those that concern the whole answer: one job whose rows are damaged must not keep all others from being leased.
    pub(crate) fn add(
        &mut self,
        run: &Run,
        job: &GraphJob,
        ready: ReadyJob,
        arguments: Result<Result<Arguments, Failure>, HubError>,
    ) -> Result<(), HubError> {
        let (id, token) = (ready.location.id, ready.token.saturating_add(1));
        let arguments = match arguments {
            Ok(Ok(arguments)) => arguments,
            Ok(Err(failure)) => {
                self.undeliverable.push(UndeliverableJob { id, token, failure });
                return Ok(());
            }
            Err(HubError::Damaged(reason)) => {
                let failure = Failure::new(FailureKind::Internal, format!("the hub's database is damaged: {reason}"));
                self.undeliverable.push(UndeliverableJob { id, token, failure });
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.bytes = self.bytes.saturating_add(arguments.bytes);
        let lease = Lease {
            job: job_id(id),
            run: run.id,
            token: Token::unsealed(unsigned(token)),
            attempt: ready.attempts.saturating_add(1),
            step: self.step(run, job)?,
            inputs: arguments.inputs,
            env: ready.env.map(Bytes::from),
            count_by: missing_key_field(run, job, ready.rate),
            trace: run.traced().attempt_span(job_id(id), unsigned(token)),
            recorded: arguments.recorded,
        };
        self.leases.push(lease);
        Ok(())
    }

    /// Returns the position of the job's step among the steps of the answer.
    fn step(&mut self, run: &Run, job: &GraphJob) -> Result<u32, HubError> {
        let key = (run.key, job.step, job.looped_by.or(job.listed_by));
        if let Some(position) = self.positions.get(&key) {
            return Ok(*position);
        }
        let position = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        self.steps.push(leased_step(run, job).ok_or_else(|| HubError::damaged("a job without a step"))?);
        self.positions.insert(key, position);
        Ok(position)
    }

    /// Returns the answer.
    pub(crate) fn finish(self, lease_ms: u64) -> LeaseBatch {
        LeaseBatch { lease_ms, steps: self.steps, leases: self.leases, log_watches: Vec::new() }
    }
}

/// Counts that a ready job is leased. It starts an attempt, unless it only tells the hub the key of its rate.
pub(crate) fn count_lease(counts: &mut CountChanges, run: &Run, job: &GraphJob, ready: &ReadyJob) {
    counts.transition(run.key, job.step, State::Ready, State::Running);
    counts.step(run.key, job.step).attempts += i64::from(starts_attempt(run, job, ready));
}

/// Returns whether a lease of a job starts an attempt: it may only be for the key of its rate.
pub(crate) fn starts_attempt(run: &Run, job: &GraphJob, ready: &ReadyJob) -> bool {
    missing_key_field(run, job, ready.rate).is_none()
}

/// Returns what a worker would be sent of one job, to run it outside its run. It is no lease, so its token is 0.
pub(crate) fn detached_lease(
    run: &Run,
    job: &GraphJob,
    id: JobId,
    attempts: u32,
    arguments: Arguments,
    env: Option<Vec<u8>>,
) -> Result<LeaseBatch, HubError> {
    let mut builder = LeaseBuilder::default();
    let lease = Lease {
        job: id,
        run: run.id,
        token: Token::unsealed(0),
        attempt: attempts.saturating_add(1),
        step: builder.step(run, job)?,
        inputs: arguments.inputs,
        env: env.map(Bytes::from),
        // a start outside the run does not count towards its rate
        count_by: None,
        trace: None,
        // nothing is reported either
        recorded: Vec::new(),
    };
    builder.leases.push(lease);
    Ok(builder.finish(0))
}

/// Returns the field that a job's `!rate` and `!at_most` count by if the hub does not know its value yet.
fn missing_key_field(run: &Run, job: &GraphJob, rate: i64) -> Option<String> {
    match rate {
        0 => run.graph.step_of(job)?.settings.counted_by().cloned(),
        _ => None,
    }
}

fn leased_step(run: &Run, job: &GraphJob) -> Option<LeasedStep> {
    let step = run.graph.step_of(job)?;
    Some(LeasedStep {
        name: step.name.clone(),
        language: step.language,
        function: step.function.clone(),
        code: *run.graph.code.get(job.step.get())?,
        timeout_ms: step.settings.timeout_ms(),
        soft_timeout_ms: step.settings.soft_timeout_ms,
        scope: step.settings.scope.clone(),
        priority: step.settings.priority,
        retries: step.settings.retries,
        allow: step.settings.allow.clone(),
        keywords: step.settings.keywords.clone(),
        loop_text: run.graph.list_text(job),
        reports_pieces: job.looped_by.is_some() && run.original.is_none(),
        window: job.looped_by.and_then(|first| smallest_window(run, first)),
    })
}

/// Returns the smallest window of the loops that run over the same list as this one.
fn smallest_window(run: &Run, fan_out: NodeId) -> Option<u32> {
    let source = run.graph.fan_out(fan_out)?.over?;
    run.graph.loops_over(source).filter_map(|(_, fan_out)| fan_out.window).min()
}
