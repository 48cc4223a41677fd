//! [`WriteTx`]: the part of a transaction that belongs to one request. The requests are in the files beside this one; here is
//! what they share.

use std::collections::BTreeSet;
use std::ops::{Deref, DerefMut};

use bue_model::{RunId, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};

use super::read_tx::ReadTx;
use super::writer_state::WriterState;
use crate::error::HubError;
use crate::jobs::changes::change_set::{ChangeResult, ChangeSet, Evaluation, ReadAhead, evaluate};
use crate::jobs::changes::pending_notifications::{MAX_ROUND_BATCHES, PendingNotifications};
use crate::jobs::changes::snapshot::{RequiredReads, Snapshot};
use crate::jobs::columns::run_id;
use crate::jobs::counts::step_counts::CountChanges;
use crate::jobs::instance::MAX_ID;
use crate::jobs::run_cache::RunCache;

/// One request at work: what it can read, the state of the writer, the time, and what is to be done before the transaction ends.
pub(super) struct WriteTx<'a> {
    read: ReadTx<'a>,
    pub(super) state: &'a mut WriterState,
    pub(super) now: i64,
    pub(super) counts: CountChanges,
    pub(super) pending_notifications: PendingNotifications,
    /// Fan-outs that have no room for more rounds, or are deleted.
    pub(super) grown: BTreeSet<i64>,
    /// Keys of runs that changed.
    pub(super) changed_runs: BTreeSet<i64>,
}

/// What becomes of a request that was carried out once its transaction is durable.
#[derive(Debug, Default)]
pub(super) struct Finished {
    pub(super) pending_notifications: PendingNotifications,
    pub(super) grown: BTreeSet<i64>,
}

impl<'a> Deref for WriteTx<'a> {
    type Target = ReadTx<'a>;

    fn deref(&self) -> &Self::Target {
        &self.read
    }
}

impl DerefMut for WriteTx<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.read
    }
}

impl<'a> WriteTx<'a> {
    /// Begins a request in an open transaction.
    pub(super) fn new(
        db: &'a Connection,
        runs: &'a mut RunCache,
        state: &'a mut WriterState,
        now: Option<Timestamp>,
    ) -> Self {
        if let Some(now) = now {
            state.now = now.0;
        }
        let now = state.now;
        Self {
            read: ReadTx { db, runs },
            state,
            now,
            counts: CountChanges::default(),
            pending_notifications: PendingNotifications::default(),
            grown: BTreeSet::new(),
            changed_runs: BTreeSet::new(),
        }
    }

    /// Runs an operation on as much of the database as it needs, and writes what it changed. There is no other writer, so what was
    /// read stays true.
    pub(super) fn change<T>(
        &mut self,
        mut snapshot: Snapshot,
        mut required: RequiredReads,
        operation: impl Fn(&mut ChangeSet<'_>) -> ChangeResult<T>,
    ) -> Result<T, HubError> {
        let mut read_ahead = ReadAhead::starting_at(1);
        loop {
            if !required.is_empty() {
                self.read(&mut snapshot, required, read_ahead.next())?;
            }
            match evaluate(&snapshot, self.now, &operation)? {
                Evaluation::Incomplete(missing) => required = missing,
                Evaluation::Complete(value, mut changes) => {
                    self.write(&changes)?;
                    self.counts.merge(std::mem::take(&mut changes.counts));
                    self.changed_runs.append(&mut changes.changed_runs);
                    self.pending_notifications.merge(std::mem::take(&mut changes.pending_notifications));
                    return Ok(value);
                }
            }
        }
    }

    /// Instantiates the next rounds of a fan-out. Changes nothing if it has no room for more.
    pub(super) fn grow(&mut self, id: i64) -> Result<(), HubError> {
        self.pending_notifications.growing.remove(&id);
        self.grown.insert(id);
        self.change(Snapshot::default(), RequiredReads::fan_out(id), |changes| changes.grow(id))
    }

    /// Carries the request to its end: rounds that have room now, counts, versions.
    pub(super) fn finish(mut self) -> Result<Finished, HubError> {
        for _ in 0..MAX_ROUND_BATCHES {
            let Some(id) = self.pending_notifications.growing.first().copied() else { break };
            self.grow(id)?;
        }
        self.write_counts()?;
        for key in std::mem::take(&mut self.changed_runs) {
            // one row by its key
            let mut update =
                self.db.prepare_cached("UPDATE run SET version = version + 1 WHERE key = ?1 RETURNING id")?;
            let id: Option<[u8; 16]> = update.query_row([key], |row| row.get(0)).optional()?;
            self.pending_notifications.runs.extend(id.map(run_id));
        }
        Ok(Finished { pending_notifications: self.pending_notifications, grown: self.grown })
    }

    /// Returns the key of a run that a user named.
    pub(super) fn expect_run(&self, run: RunId) -> Result<i64, HubError> {
        self.run_key(run)?.ok_or(HubError::RunNotFound(run))
    }

    /// Allocates the key of a run, which was never used before.
    pub(super) fn allocate_run_key(&self) -> Result<i64, HubError> {
        let mut update =
            self.db.prepare_cached("UPDATE sequence SET next_run = next_run + 1 RETURNING next_run - 1")?;
        Ok(update.query_row([], |row| row.get(0))?)
    }

    /// Allocates this many ids, which were never used before. Returns the first one. Safe because the one writer is the only
    /// user of the sequence; a rollback undoes the allocation too.
    pub(super) fn allocate_ids(&self, count: i64) -> Result<i64, HubError> {
        let mut update =
            self.db.prepare_cached("UPDATE sequence SET next = next + ?1 WHERE next + ?1 < ?2 RETURNING next")?;
        let next: Option<i64> = update.query_row(params![count, MAX_ID], |row| row.get(0)).optional()?;
        next.map(|next| next - count).ok_or_else(|| HubError::damaged("the ids are used up"))
    }
}
