//! Rows of `job`, `done` and `chunk` as a change set holds them. What must be true of a row after an event is a method here.

use std::sync::Arc;

use bue_model::NodeId;
use bue_model::attempt::{AttemptUsage, AttemptVerdict};

use crate::error::HubError;
use crate::jobs::attempts::{EndedAttempt, LastAttempt, with_attempt};
use crate::jobs::initial_state::{Hint, overrides};
use crate::jobs::instance::{Location, Run};
use crate::jobs::outcome_rules::home_scope;
use crate::jobs::state::State;
use crate::store::SUSPECT_RELEASES;

/// How an attempt ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndingAttempt {
    pub(crate) verdict: AttemptVerdict,
    /// `None` if the worker did not report.
    pub(crate) usage: Option<AttemptUsage>,
    /// 1 for the first one.
    pub(crate) number: u32,
}

/// A job or fan-out that has not ended.
#[derive(Clone, Debug)]
pub(crate) struct JobRow {
    pub(crate) location: Location,
    pub(crate) run: i64,
    pub(crate) state: State,
    /// Parents that are not completed.
    pub(crate) waiting_for: i64,
    /// Where it waits now. Empty for a fan-out.
    pub(crate) scope: Arc<str>,
    /// The scope that it inherited, in which every attempt of it starts. `None`: that of its step.
    pub(crate) scope_hint: Option<Arc<str>>,
    /// Node whose result gave the inherited scope.
    pub(crate) scope_from: Option<NodeId>,
    pub(crate) priority: i64,
    /// Its row of `rate`, for `!rate` and `!at_most`; 0 where there is none, or the key of its start is not known yet.
    pub(crate) rate: i64,
    /// Node whose result gave the priority.
    pub(crate) hinted: Option<NodeId>,
    pub(crate) env: Option<Vec<u8>>,
    /// Node whose result gave the env.
    pub(crate) env_from: Option<NodeId>,
    pub(crate) available_at: i64,
    pub(crate) lease_end: Option<i64>,
    pub(crate) token: i64,
    /// Token of the last report that was accepted.
    pub(crate) reported: i64,
    pub(crate) worker: Option<Arc<str>>,
    /// When the running attempt started.
    pub(crate) started_at: Option<i64>,
    /// The attempts that have ended, see [`attempts`](crate::jobs::attempts).
    pub(crate) earlier: Option<Vec<u8>>,
    /// How its running attempt ends, and what that used. Never stored here.
    pub(crate) ending: Option<EndingAttempt>,
    /// Failed attempts.
    pub(crate) attempts: u32,
    /// Answers `pending` since the last failed attempt.
    pub(crate) pendings: u32,
    /// When the first of those came.
    pub(crate) pending_since: Option<i64>,
    /// Releases in a row.
    pub(crate) releases: u32,
    /// Whether it was the only job of its worker when it was leased last, and the worker got no other one since.
    pub(crate) isolated: bool,
    /// When it fails unless an attempt has started. `None` once one has, and for steps without `!expires`.
    pub(crate) expires_at: Option<i64>,
    /// Of its call; counted at the call's first job.
    pub(crate) resets: u32,
    /// The failed job behind which it is stuck.
    pub(crate) blocked_by: Option<i64>,
    /// A new failure. The stored one is never read here.
    pub(crate) failure: Option<Vec<u8>>,
    /// A new log, or that there is none any more. The stored one is never read here.
    pub(crate) log: Option<Option<Vec<u8>>>,
}

impl JobRow {
    /// Returns the number of its attempt: 1 for the first one.
    pub(crate) fn attempt_number(&self) -> u32 {
        self.ending.map_or_else(|| self.attempts.saturating_add(1), |ending| ending.number)
    }

    /// Its attempt has ended, and the job has not. An attempt without a report or another reason has failed. Returns the attempt, if
    /// there was one.
    pub(crate) fn end_attempt(&mut self, now: i64) -> Result<Option<EndedAttempt>, HubError> {
        let failed = EndingAttempt { verdict: AttemptVerdict::Failed, usage: None, number: self.attempt_number() };
        let EndingAttempt { verdict, usage, .. } = self.ending.take().unwrap_or(failed);
        let Some(started_at) = self.started_at.take() else { return Ok(None) };
        let worker = self.worker.as_deref().map(str::to_owned);
        let attempt = EndedAttempt { started_at, ended_at: now, worker, verdict, usage };
        self.earlier = Some(with_attempt(self.earlier.as_deref(), attempt.clone())?);
        Ok(Some(attempt))
    }

    /// It is to run again, not before `available_at`.
    pub(crate) fn requeue(&mut self, now: i64, available_at: i64) {
        self.state = if available_at <= now { State::Ready } else { State::Parked };
        self.available_at = available_at;
        self.lease_end = None;
    }

    /// Returns whether it should have started before.
    pub(crate) fn is_expired(&self, now: i64) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// Its step answered `pending`.
    pub(crate) fn after_pending(&mut self) {
        self.pendings = self.pendings.saturating_add(1);
        self.releases = 0;
    }

    /// An attempt failed.
    pub(crate) fn after_failed_attempt(&mut self) {
        self.attempts = self.attempts.saturating_add(1);
        self.pendings = 0;
        self.pending_since = None;
        self.releases = 0;
    }

    /// Its lease ended without an outcome, which is not counted as an attempt. `counts` is whether it
    /// counts although the job is a suspect already.
    pub(crate) fn after_release(&mut self, counts: bool) {
        if counts || self.releases < SUSPECT_RELEASES {
            self.releases = self.releases.saturating_add(1);
        }
    }

    /// Its worker reported what its starts count as.
    pub(crate) fn after_key(&mut self, rate: i64) {
        self.rate = rate;
        self.releases = 0;
    }

    /// Its attempts are used up.
    pub(crate) fn after_last_attempt(&mut self, failure: Vec<u8>) {
        self.state = State::Failed;
        self.lease_end = None;
        self.failure = Some(failure);
    }

    /// It starts over with fresh attempts.
    pub(crate) fn after_reset(&mut self) {
        self.attempts = 0;
        self.pendings = 0;
        self.pending_since = None;
        self.releases = 0;
    }

    /// It waits for the job before it in its call again, without what it inherited from that one's earlier result.
    pub(crate) fn block_again(&mut self, priority: i64) {
        self.priority = priority;
        (self.hinted, self.env, self.env_from) = (None, None, None);
        (self.scope_hint, self.scope_from) = (None, None);
        self.state = State::Blocked;
        self.waiting_for = 1;
        self.lease_end = None;
    }

    /// Its next attempt starts where all of its attempts start: in the scope that it inherited, or in that of its step.
    pub(crate) fn return_home(&mut self, run: &Run) {
        self.scope = home_scope(run, self.location.node, self.scope_hint.as_ref());
    }

    /// A parent completed. Returns whether that was the last one it waited for; it then gets the state `next`.
    ///
    /// Each parent completes once, and a parent that starts over is the child's only one (see `reset`), so the count reaches
    /// 0 when the last one completes and only then.
    pub(crate) fn after_parent_completed(&mut self, now: i64, next: State) -> bool {
        if self.waiting_for == 0 {
            return false;
        }
        self.waiting_for -= 1;
        let is_free = self.waiting_for == 0 && self.state == State::Blocked;
        if is_free {
            self.state = next;
            self.available_at = now;
        }
        is_free
    }

    /// It waits behind a failed job.
    pub(crate) fn blocked_by_failure(self, failed_job: i64) -> Self {
        Self { state: State::Stuck, blocked_by: Some(failed_job), ..self }
    }

    /// It is not stuck any more.
    pub(crate) fn unblocked(self, state: State) -> Self {
        Self { state, blocked_by: None, ..self }
    }

    /// Inherits from a parent, unless a node that comes later in the script left it something already.
    pub(crate) fn inherit(&mut self, from: NodeId, hint: &Hint) {
        if let Some(priority) = hint.priority
            && overrides(from, self.hinted)
        {
            self.priority = priority;
            self.hinted = Some(from);
        }
        if let Some(env) = &hint.env
            && overrides(from, self.env_from)
        {
            self.env = Some(env.clone());
            self.env_from = Some(from);
        }
        if let Some(scope) = &hint.scope
            && overrides(from, self.scope_from)
        {
            self.scope_hint = Some(scope.clone());
            self.scope_from = Some(from);
        }
    }

    /// Returns what it inherited and passes on.
    pub(crate) fn hint(&self) -> Hint {
        Hint { priority: self.hinted.map(|_| self.priority), env: self.env.clone(), scope: self.scope_hint.clone() }
    }

    /// Returns the row of `done` that takes its place. The token moves along, so that a report that comes twice is
    /// recognised; only a completed row's token counts.
    pub(crate) fn into_done(self, state: State, hint: Hint, value: Option<Vec<u8>>) -> DoneRow {
        DoneRow {
            location: self.location,
            run: self.run,
            state,
            token: self.token,
            worker: self.worker,
            last: LastAttempt {
                started_at: self.started_at,
                ended_at: None,
                usage: self.ending.and_then(|ending| ending.usage),
            },
            earlier: self.earlier,
            attempts: self.attempts,
            resets: self.resets,
            hint,
            value,
            copied: None,
            same: false,
            log: self.log,
        }
    }

    /// The error for a job whose node has no step.
    pub(crate) fn without_step(&self) -> HubError {
        HubError::damaged(format!("job {} has no step", self.location.id))
    }
}

/// A job or fan-out that has ended.
#[derive(Clone, Debug)]
pub(crate) struct DoneRow {
    pub(crate) location: Location,
    pub(crate) run: i64,
    /// Completed or cancelled.
    pub(crate) state: State,
    pub(crate) token: i64,
    pub(crate) worker: Option<Arc<str>>,
    /// Its last attempt, which ended when the job did.
    pub(crate) last: LastAttempt,
    /// The attempts before that one.
    pub(crate) earlier: Option<Vec<u8>>,
    pub(crate) attempts: u32,
    pub(crate) resets: u32,
    pub(crate) hint: Hint,
    /// Of a row that is to be written. Never read here.
    pub(crate) value: Option<Vec<u8>>,
    /// The row of which a row that is to be written gets the value. Never read here.
    pub(crate) copied: Option<i64>,
    /// Whether the result, and what dependants inherit, is that of its counterpart in the run that this one repeats.
    pub(crate) same: bool,
    /// A new log; `None` where the one of the row in `job` moves along.
    pub(crate) log: Option<Option<Vec<u8>>>,
}

impl DoneRow {
    /// Returns all of its attempts as the column `earlier` of a row that is not final any more.
    pub(crate) fn all_attempts(&self, now: i64) -> Result<Option<Vec<u8>>, HubError> {
        let Some(started_at) = self.last.started_at else { return Ok(self.earlier.clone()) };
        let verdict = match self.state {
            State::Completed => AttemptVerdict::Completed,
            _ => AttemptVerdict::Cancelled,
        };
        let (ended_at, worker) = (self.last.ended_at.unwrap_or(now), self.worker.as_deref().map(str::to_owned));
        let attempt = EndedAttempt { started_at, ended_at, worker, verdict, usage: self.last.usage };
        with_attempt(self.earlier.as_deref(), attempt).map(Some)
    }

    /// A row that is cancelled as soon as it is instantiated.
    pub(crate) fn never_run(location: Location, run: i64) -> Self {
        Self {
            location,
            run,
            state: State::Cancelled,
            token: 0,
            worker: None,
            last: LastAttempt::default(),
            earlier: None,
            attempts: 0,
            resets: 0,
            hint: Hint::default(),
            value: None,
            copied: None,
            same: false,
            log: None,
        }
    }
}

/// The list of a job that gets that of its counterpart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CopiedList {
    /// The job whose list it is.
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// Rounds of a fan-out in a rerun, and their counterparts in the run that it repeats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CounterpartRow {
    pub(crate) fan_out: i64,
    /// The first of these rounds.
    pub(crate) first: i64,
    pub(crate) count: i64,
    /// Id of the first node of the counterpart of the first round.
    pub(crate) original: i64,
}

/// A piece of a list that a fan-out runs over.
#[derive(Clone, Debug)]
pub(crate) struct ChunkRow {
    /// The job that returned the list.
    pub(crate) source: i64,
    /// Elements before it.
    pub(crate) first: i64,
    pub(crate) count: i64,
    pub(crate) value: Vec<u8>,
}
