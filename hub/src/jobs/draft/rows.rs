//! Rows of `job`, `done` and `chunk` as a [`Draft`](super::Draft) holds them.

use std::sync::Arc;

use bue_model::NodeId;

use crate::jobs::initial_state::Hint;
use crate::jobs::instance::Slot;
use crate::jobs::state::State;

/// A job or fan-out that is not over.
#[derive(Clone, Debug)]
pub(crate) struct JobRow {
    pub(crate) slot: Slot,
    pub(crate) run: i64,
    pub(crate) state: State,
    /// Parents that are not completed.
    pub(crate) waiting_for: i64,
    pub(crate) scope: Arc<str>,
    pub(crate) priority: i64,
    /// Its row of `rate`, 0 where none, or not known yet.
    pub(crate) rate: i64,
    /// Node whose result gave the priority.
    pub(crate) hinted: Option<NodeId>,
    pub(crate) env: Option<Vec<u8>>,
    /// Node whose result gave the env.
    pub(crate) env_from: Option<NodeId>,
    pub(crate) available_at: i64,
    pub(crate) lease_end: Option<i64>,
    pub(crate) token: i64,
    /// Token of the last report that was taken.
    pub(crate) reported: i64,
    pub(crate) worker: Option<Arc<str>>,
    /// That failed.
    pub(crate) attempts: u32,
    pub(crate) pendings: u32,
    pub(crate) pending_since: Option<i64>,
    pub(crate) releases: u32,
    pub(crate) resets: u32,
    pub(crate) blocked_by: Option<i64>,
    /// A new failure. The stored one is never read here.
    pub(crate) failure: Option<Vec<u8>>,
    /// A new log, or that there is none any more. The stored one is never read here.
    pub(crate) log: Option<Option<Vec<u8>>>,
}

impl JobRow {
    /// It is to be run again at a time.
    pub(crate) fn put_back(&mut self, now: i64, available_at: i64) {
        self.state = if available_at <= now { State::Ready } else { State::Parked };
        self.available_at = available_at;
        self.lease_end = None;
    }

    /// It is to begin as if it had never run.
    pub(crate) fn forget_attempts(&mut self) {
        self.attempts = 0;
        self.pendings = 0;
        self.pending_since = None;
        self.releases = 0;
    }

    /// What it inherited, which it passes on.
    pub(crate) fn hint(&self) -> Hint {
        Hint { priority: self.hinted.map(|_| self.priority), env: self.env.clone() }
    }
}

/// A job or fan-out that is over.
#[derive(Clone, Debug)]
pub(crate) struct DoneRow {
    pub(crate) slot: Slot,
    pub(crate) run: i64,
    /// Completed or cancelled.
    pub(crate) state: State,
    pub(crate) token: i64,
    pub(crate) worker: Option<Arc<str>>,
    pub(crate) attempts: u32,
    pub(crate) resets: u32,
    pub(crate) hint: Hint,
    /// Of a row that is written. Never read here.
    pub(crate) value: Option<Vec<u8>>,
    /// A new log; `None` where the one of the row in `job` goes along.
    pub(crate) log: Option<Option<Vec<u8>>>,
}

/// A piece of a list that a fan-out runs over.
#[derive(Clone, Debug)]
pub(crate) struct ChunkRow {
    /// The job that gave the list.
    pub(crate) source: i64,
    /// Elements before it.
    pub(crate) first: i64,
    pub(crate) count: i64,
    pub(crate) value: Vec<u8>,
}
