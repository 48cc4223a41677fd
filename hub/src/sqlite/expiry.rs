//! How leases are extended, and what becomes of leases and jobs that expire.

use bue_model::Timestamp;
use bue_model::wire::{Heartbeat, HeartbeatAnswer};
use rusqlite::{OptionalExtension, params};

use super::write_tx::WriteTx;
use crate::error::HubError;
use crate::jobs::columns::{job_id, row_id, signed};
use crate::jobs::leasing::expiry::{MAX_REAPED, select_expiring};
use crate::jobs::state::state_code;
use crate::lease_key::LeaseKey;
use crate::store::{ExpiredJobs, ReapedJobs};

impl WriteTx<'_> {
    /// Returns the secret that seals leases.
    pub(super) fn lease_key(&self) -> Result<LeaseKey, HubError> {
        Ok(self.db.query_row("SELECT key FROM lease_key", [], |row| row.get(0))?)
    }

    /// Extends leases in memory. They are written when they are about to expire in the database.
    pub(super) fn heartbeat(&mut self, heartbeat: &Heartbeat, lease_ms: u64) -> Result<HeartbeatAnswer, HubError> {
        let mut select = self.db.prepare_cached(concat!(
            "SELECT 1 FROM job WHERE id = ?1 AND token = ?2 AND state = ",
            state_code!(Running)
        ))?;
        let end = self.now.saturating_add(signed(lease_ms));
        let mut lost = Vec::new();
        for (job, token) in &heartbeat.leases {
            let (id, token) = (row_id(*job), signed(token.number));
            if select.exists(params![id, token])? {
                self.state.extensions.extend(id, token, end);
            } else {
                lost.push(*job);
            }
        }
        Ok(HeartbeatAnswer { lost, log_watches: Vec::new() })
    }

    /// Releases jobs whose leases have expired, or writes how long heartbeats extended them.
    pub(super) fn reap(&mut self) -> Result<ReapedJobs, HubError> {
        let mut select = self.db.prepare_cached(concat!(
            "SELECT id FROM job WHERE state = ",
            state_code!(Running),
            " AND lease_end <= ?1 ORDER BY lease_end LIMIT ?2"
        ))?;
        let expired: Vec<i64> =
            select.query_map(params![self.now, MAX_REAPED], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut lost = Vec::new();
        for id in expired {
            if !self.write_extension(id)? {
                lost.push(id);
            }
        }
        let jobs = self.change_jobs(&lost, |changes| changes.reap(&lost))?;
        self.state.extensions.forget_expired(self.now);
        Ok(ReapedJobs { jobs: jobs.into_iter().map(job_id).collect(), next_at: self.next_lease_end()? })
    }

    /// Fails available jobs that have not started in time.
    pub(super) fn expire(&mut self) -> Result<ExpiredJobs, HubError> {
        let due = select_expiring!("id", " AND expires_at <= ?1 ORDER BY expires_at LIMIT ?2");
        let mut select = self.db.prepare_cached(due)?;
        let ids: Vec<i64> =
            select.query_map(params![self.now, MAX_REAPED], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let jobs = self.change_jobs(&ids, |changes| changes.expire(&ids))?;
        let mut select = self.db.prepare_cached(select_expiring!("expires_at", " ORDER BY expires_at LIMIT 1"))?;
        let next_at: Option<i64> = select.query_row([], |row| row.get(0)).optional()?;
        Ok(ExpiredJobs { jobs: jobs.into_iter().map(job_id).collect(), next_at: next_at.map(Timestamp) })
    }

    /// Returns whether a heartbeat extended the row's lease in time.
    fn write_extension(&mut self, id: i64) -> Result<bool, HubError> {
        let Some((token, end)) = self.state.extensions.live(id, self.now) else { return Ok(false) };
        let mut update = self.db.prepare_cached(concat!(
            "UPDATE job SET lease_end = ?3 WHERE id = ?1 AND token = ?2 AND state = ",
            state_code!(Running)
        ))?;
        Ok(update.execute(params![id, token, end])? == 1)
    }

    fn next_lease_end(&self) -> Result<Option<Timestamp>, HubError> {
        let mut select = self.db.prepare_cached(concat!(
            "SELECT lease_end FROM job WHERE state = ",
            state_code!(Running),
            " ORDER BY lease_end LIMIT 1"
        ))?;
        Ok(select.query_row([], |row| row.get(0)).optional()?.map(Timestamp))
    }
}
