//! Heartbeats, and what happens to leases without them.

use bue_model::Timestamp;
use bue_model::wire::{Heartbeat, HeartbeatAnswer};
use rusqlite::{OptionalExtension, params};

use super::ledger::{Ledger, job_id, row_id, signed};
use crate::error::HubError;
use crate::outcome_rules::not_heard_of;
use crate::store::Reaped;

/// Leases looked at in one transaction; the next one follows at once.
const MAX_REAPED: i64 = 1_000;

impl Ledger<'_> {
    /// Writes nothing: extensions are remembered, and reach the database when a lease is about to end. Lost with a crash,
    /// they cost at most that a job is given away while its worker still runs it; its token then decides.
    pub(super) fn heartbeat(&mut self, heartbeat: &Heartbeat, lease_ms: u64) -> Result<HeartbeatAnswer, HubError> {
        let mut select = self.db.prepare_cached("SELECT 1 FROM job WHERE id = ?1 AND state = 3 AND token = ?2")?;
        let end = self.now.saturating_add(signed(lease_ms));
        let mut lost = Vec::new();
        for (job, token) in &heartbeat.leases {
            let (id, token) = (row_id(*job), signed(token.0));
            if select.exists(params![id, token])? {
                self.memory.extended.insert(id, (token, end));
            } else {
                lost.push(*job);
            }
        }
        Ok(HeartbeatAnswer { lost })
    }

    /// Puts jobs back whose leases have ended, or writes down how long they were extended.
    pub(super) fn reap(&mut self) -> Result<Reaped, HubError> {
        let mut select = self
            .db
            .prepare_cached("SELECT id FROM job WHERE state = 3 AND lease_end <= ?1 ORDER BY lease_end LIMIT ?2")?;
        let ended: Vec<i64> =
            select.query_map(params![self.now, MAX_REAPED], |row| row.get(0))?.collect::<Result<_, _>>()?;
        let mut jobs = Vec::new();
        for id in ended {
            if !self.extend(id)? {
                self.lose(id)?;
                jobs.push(job_id(id));
            }
        }
        let now = self.now;
        self.memory.extended.retain(|_, (_, end)| *end > now);
        Ok(Reaped { jobs, next_at: self.next_lease_end()? })
    }

    /// Whether a heartbeat under the row's token was there in time.
    fn extend(&mut self, id: i64) -> Result<bool, HubError> {
        let Some((token, end)) = self.memory.extended.get(&id).copied().filter(|(_, end)| *end > self.now) else {
            return Ok(false);
        };
        let mut update =
            self.db.prepare_cached("UPDATE job SET lease_end = ?3 WHERE id = ?1 AND state = 3 AND token = ?2")?;
        Ok(update.execute(params![id, token, end])? == 1)
    }

    fn lose(&mut self, id: i64) -> Result<(), HubError> {
        let Some(row) = self.job_row(id)? else { return Ok(()) };
        let run = self.run(row.run)?;
        let reason = not_heard_of(row.worker.as_deref());
        self.released(&run, row, &reason)
    }

    fn next_lease_end(&self) -> Result<Option<Timestamp>, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT lease_end FROM job WHERE state = 3 ORDER BY lease_end LIMIT 1")?;
        Ok(select.query_row([], |row| row.get(0)).optional()?.map(Timestamp))
    }
}
