//! [`JobRow`]: a row of `job` with what its owner may change of it.

use bue_model::NodeId;
use rusqlite::{OptionalExtension, params};

use super::ledger::{Ledger, Slot};
use super::state::State;
use crate::error::HubError;

/// A job that is not over.
#[derive(Clone, Debug)]
pub(super) struct JobRow {
    pub(super) slot: Slot,
    pub(super) run: i64,
    pub(super) state: State,
    pub(super) waiting_for: i64,
    /// Its row of `rate`, 0 where none, or not known yet.
    pub(super) rate: i64,
    pub(super) available_at: i64,
    pub(super) lease_end: Option<i64>,
    pub(super) token: i64,
    /// Token of the last report that was taken.
    pub(super) reported: i64,
    pub(super) worker: Option<String>,
    /// That failed.
    pub(super) attempts: u32,
    pub(super) pendings: u32,
    pub(super) pending_since: Option<i64>,
    pub(super) releases: u32,
    pub(super) resets: u32,
    pub(super) blocked_by: Option<i64>,
    pub(super) failure: Option<Vec<u8>>,
    pub(super) log: Option<Vec<u8>>,
}

impl JobRow {
    /// It is to be run again at a time.
    pub(super) fn put_back(&mut self, now: i64, available_at: i64) {
        self.state = if available_at <= now { State::Ready } else { State::Parked };
        self.available_at = available_at;
        self.lease_end = None;
    }

    /// It is to begin as if it had never run.
    pub(super) fn forget_attempts(&mut self) {
        self.attempts = 0;
        self.pendings = 0;
        self.pending_since = None;
        self.releases = 0;
    }
}

impl Ledger<'_> {
    /// A job or fan-out that is not over.
    pub(super) fn job_row(&self, id: i64) -> Result<Option<JobRow>, HubError> {
        let mut select = self.db.prepare_cached(
            "SELECT node, fanout, run, state, waiting_for, available_at, lease_end, token, reported, worker, attempts,
                 pendings, pending_since, releases, resets, blocked_by, failure, log, rate
             FROM job WHERE id = ?1",
        )?;
        let row = select.query_row([id], |row| {
            Ok(JobRow {
                slot: Slot { id, node: NodeId(row.get(0)?), fanout: row.get(1)? },
                run: row.get(2)?,
                state: row.get(3)?,
                waiting_for: row.get(4)?,
                available_at: row.get(5)?,
                lease_end: row.get(6)?,
                token: row.get(7)?,
                reported: row.get(8)?,
                worker: row.get(9)?,
                attempts: row.get(10)?,
                pendings: row.get(11)?,
                pending_since: row.get(12)?,
                releases: row.get(13)?,
                resets: row.get(14)?,
                blocked_by: row.get(15)?,
                failure: row.get(16)?,
                log: row.get(17)?,
                rate: row.get(18)?,
            })
        });
        Ok(row.optional()?)
    }

    /// Writes what may change. Safe because the row was read in this same transaction, and there is one writer.
    pub(super) fn save(&self, row: &JobRow) -> Result<(), HubError> {
        let mut update = self.db.prepare_cached(
            "UPDATE job SET state = ?2, waiting_for = ?3, available_at = ?4, lease_end = ?5, reported = ?6, attempts = ?7,
                 pendings = ?8, pending_since = ?9, releases = ?10, resets = ?11, blocked_by = ?12, failure = ?13,
                 log = ?14, rate = ?15
             WHERE id = ?1",
        )?;
        update.execute(params![
            row.slot.id,
            row.state,
            row.waiting_for,
            row.available_at,
            row.lease_end,
            row.reported,
            row.attempts,
            row.pendings,
            row.pending_since,
            row.releases,
            row.resets,
            row.blocked_by,
            row.failure,
            row.log,
            row.rate,
        ])?;
        Ok(())
    }
}
