//! [`PendingNotifications`]: what others must learn of a transaction once it is durable.

use std::collections::BTreeSet;

use bue_model::RunId;

use crate::jobs::ended::Ended;

/// Batches of rounds that one transaction instantiates. The others follow in separate transactions, so that other
/// requests do not wait for a loop over a million elements that are all cancelled.
pub(crate) const MAX_ROUND_BATCHES: usize = 2;

/// What a transaction announces after its commit.
#[derive(Debug, Default)]
pub(crate) struct PendingNotifications {
    /// Jobs became ready or parked.
    pub(crate) work: bool,
    /// Leases were granted.
    pub(crate) leases: bool,
    /// Schedules changed.
    pub(crate) schedules: bool,
    /// Jobs with an expiry became available.
    pub(crate) expiries: bool,
    /// Runs that changed.
    pub(crate) runs: BTreeSet<RunId>,
    /// Fan-outs that have room for more rounds.
    pub(crate) growing: BTreeSet<i64>,
    /// Attempts and runs that have ended, for those who export them. Other hubs do not learn of them.
    pub(crate) ended: Vec<Ended>,
}

impl PendingNotifications {
    /// Adds what the same transaction did later.
    pub(crate) fn merge(&mut self, later: Self) {
        self.work |= later.work;
        self.leases |= later.leases;
        self.schedules |= later.schedules;
        self.expiries |= later.expiries;
        self.runs.extend(later.runs);
        self.growing.extend(later.growing);
        self.ended.extend(later.ended);
    }
}
