//! `!expires`: jobs that have not started in time.
//!
//! A job fails when it is available and its time has passed: when a worker asks for jobs, when a background task of the hub finds
//! it, or when its last parent completes after that time. A blocked job does not fail before that, because its reset would
//! start it without its arguments.

use super::change_set::{ChangeResult, ChangeSet, MissingRows};
use super::rows::JobRow;
use crate::jobs::instance::Run;
use crate::jobs::outcome_rules::{expired, step_settings};
use crate::jobs::state::State;

impl ChangeSet<'_> {
    /// Fails these jobs as far as they are available and have expired. Returns those that did.
    pub(crate) fn expire(&mut self, ids: &[i64]) -> ChangeResult<Vec<i64>> {
        let (mut expired, mut missing) = (Vec::new(), MissingRows::default());
        for id in ids {
            let is_failed = self.expire_job(*id);
            expired.extend(missing.allow(is_failed)?.unwrap_or_default().then_some(*id));
        }
        missing.check()?;
        Ok(expired)
    }

    fn expire_job(&mut self, id: i64) -> ChangeResult<bool> {
        let row = self.job(id)?.filter(|row| matches!(row.state, State::Ready | State::Parked));
        // another hub may have leased it, or failed it
        let Some(row) = row.filter(|row| row.is_expired(self.now)) else { return Ok(false) };
        let run = self.run(row.run)?;
        self.fail_expired(&run, row)?;
        Ok(true)
    }

    /// Fails a job that has not started in time.
    pub(super) fn fail_expired(&mut self, run: &Run, row: JobRow) -> ChangeResult<()> {
        let (_, settings) = step_settings(run, row.location.node).ok_or_else(|| row.without_step())?;
        self.fail(run, row, &expired(settings.expires_ms.unwrap_or(0)).into())
    }
}
