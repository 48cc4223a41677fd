//! Views of one job, built from rows of either database. Pure.

use bue_model::wire::{AtMostView, JobView, ParentView, WhyView};
use bue_model::{JobId, NodeId, Round, Timestamp};

use crate::error::HubError;
use crate::jobs::attempts::{LastAttempt, attempt_views};
use crate::jobs::columns::{job_id, small, unsigned};
use crate::jobs::failure_record::FailureRecord;
use crate::jobs::instance::{FanOut, Location, Run};
use crate::jobs::state::State;
use crate::jobs::views::round_path::{line_of, named};

/// Where a job's row is, and what is needed to run the job outside its run.
pub(crate) struct JobLocation {
    pub(crate) location: Location,
    pub(crate) run: i64,
    pub(crate) attempts: u32,
    pub(crate) env: Option<Vec<u8>>,
}

/// The columns that make a [`JobView`].
pub(crate) struct JobColumns {
    pub(crate) node: NodeId,
    /// The fan-out whose round it is part of, 0 at the top level.
    pub(crate) fanout: i64,
    pub(crate) run: i64,
    pub(crate) state: State,
    /// `ended_at` where the job has ended.
    pub(crate) available_at: i64,
    pub(crate) attempts: u32,
    pub(crate) waiting_for: u32,
    pub(crate) worker: Option<String>,
    pub(crate) failure: Option<Vec<u8>>,
    pub(crate) blocked_by: Option<i64>,
    pub(crate) token: i64,
    /// With `available_at` as the end.
    pub(crate) last: LastAttempt,
    pub(crate) earlier: Option<Vec<u8>>,
}

impl JobColumns {
    /// Returns where the row belongs.
    pub(crate) const fn location(&self, id: i64) -> Location {
        Location { id, node: self.node, fanout: self.fanout }
    }

    /// Returns the view of a job; `None` for a fan-out, which has an id too and is no job.
    pub(crate) fn into_view(self, id: JobId, run: &Run, rounds: Vec<Round>) -> Result<Option<JobView>, HubError> {
        let Some(step) = run.graph.job(self.node).and_then(|job| run.graph.step_of(job)) else { return Ok(None) };
        let record = self.failure.as_deref().map(FailureRecord::decode).transpose()?;
        let (failure, arguments) = record.map(|record| (record.failure, record.arguments)).unzip();
        let last_attempts = attempt_views(self.earlier.as_deref(), self.last, self.worker.as_deref(), self.state)?;
        Ok(Some(JobView {
            id,
            run: run.id,
            step: step.name.clone(),
            line: line_of(run, self.node),
            rounds,
            arguments: named(run, self.node, arguments.unwrap_or_default()),
            state: self.state.as_job_state(),
            available_at: Timestamp(self.available_at),
            attempts: self.attempts,
            started_at: last_attempts.last().map(|attempt| attempt.started_at),
            run_ms: last_attempts.last().and_then(|attempt| attempt.run_ms),
            last_attempts,
            waiting_for: self.waiting_for,
            worker: self.worker,
            failure,
            blocked_by: self.blocked_by.map(job_id),
            // only a job that was reused completes without a lease
            reused: self.state == State::Completed && self.token == 0,
            digest: None,
        }))
    }
}

/// Returns the hash of a result as it is stored.
pub(crate) fn digest_of(value: &[u8]) -> String {
    blake3::hash(value).to_hex().to_string()
}

/// Returns the explanation of a job that waits for these parents. The caller adds what the open row knows.
pub(crate) fn why_view(job: JobView, parents: Vec<ParentView>) -> WhyView {
    WhyView {
        job,
        now: Timestamp(0),
        scope: String::new(),
        parents,
        pendings: 0,
        releases: 0,
        lease_ends_at: None,
        rate_opens_at: None,
        at_most: None,
        expires_at: None,
        served_by: Vec::new(),
    }
}

/// Returns the view of an `!at_most`, given the limit, 0 for none, and the number of running jobs.
pub(crate) fn at_most_view(limit: i64, running: i64) -> Option<AtMostView> {
    (limit > 0).then(|| AtMostView { running: small(running), limit: small(limit) })
}

/// Returns the view of a parent that has not completed, given the state of its row and its fan-out, if there are any.
pub(crate) fn parent_view(run: &Run, parent: Location, state: Option<State>, fan_out: Option<FanOut>) -> ParentView {
    ParentView {
        job: job_id(parent.id),
        name: run.graph.name_of(parent.node).to_owned(),
        state: state.unwrap_or(State::Blocked).as_job_state(),
        rounds: fan_out.map(|fan_out| (unsigned(fan_out.settled), unsigned(fan_out.count))),
    }
}
