//! Leases that end without an outcome: the worker died, gave the job up, or cannot get it.
//!
//! A worker that dies stops sending heartbeats, so its leases expire, and the hub's reaper requeues their jobs. What the old
//! worker may report later is under a stale token and changes nothing.
//!
//! A worker holds many jobs, and one of them may have killed it. So releases count against a job up to a point only, after which
//! it is leased alone (`jobs/leasing/isolation.rs`).

use bue_model::Failure;
use bue_model::attempt::AttemptVerdict;

use super::change_set::{ChangeResult, ChangeSet};
use super::rows::{EndingAttempt, JobRow};
use crate::jobs::instance::Run;
use crate::jobs::outcome_rules::{lease_expired, released_too_often};
use crate::jobs::state::State;
use crate::store::MAX_RELEASES;

/// How a lease ended without an outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct Release<'a> {
    pub(super) reason: &'a str,
    /// Whether no other job can be the cause.
    pub(super) alone: bool,
}

impl ChangeSet<'_> {
    /// Releases the jobs whose leases have expired. Returns their ids.
    pub(crate) fn reap(&mut self, ids: &[i64]) -> ChangeResult<Vec<i64>> {
        let mut reaped = Vec::new();
        for id in ids {
            let Some(mut row) = self.job(*id)? else { continue };
            // another hub may have reaped it, or a heartbeat extended it
            if row.state != State::Running || row.lease_end.is_none_or(|end| end > self.now) {
                continue;
            }
            let run = self.run(row.run)?;
            row.ending =
                Some(EndingAttempt { verdict: AttemptVerdict::Lost, usage: None, number: row.attempt_number() });
            let reason = lease_expired(row.worker.as_deref());
            self.release(&run, row, Release { reason: &reason, alone: false })?;
            reaped.push(*id);
        }
        Ok(reaped)
    }

    /// Requeues a leased job without counting an attempt. Fails it once this has happened too often to be chance.
    pub(super) fn release(&mut self, run: &Run, mut row: JobRow, release: Release<'_>) -> ChangeResult<()> {
        // a job under a rate or a limit of running jobs is never leased alone, so it would be released for ever
        let counts = release.alone || row.isolated || row.rate != 0;
        row.after_release(counts);
        if row.releases >= MAX_RELEASES {
            let failure = released_too_often(row.releases, release.reason);
            return self.fail(run, row, &failure.into());
        }
        self.requeue(run, row, self.now)
    }

    /// Fails a job that was just leased, because its arguments cannot be sent to any worker.
    pub(crate) fn fail_undeliverable(&mut self, id: i64, token: i64, failure: Failure) -> ChangeResult<()> {
        let row = self.job(id)?.filter(|row| row.state == State::Running && row.token == token);
        let Some(row) = row else { return Ok(()) };
        let run = self.run(row.run)?;
        self.fail(&run, row, &failure.into())
    }
}
