//! What the writer keeps beside the database: all of it can be lost at any moment.

use std::collections::{BTreeSet, HashMap};

pub(super) use crate::jobs::instance::Run;
use crate::jobs::run_cache::RunCache;

/// Caches and soft state.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Cleared after a rollback, because a key may come to stand for another run.
    pub(super) runs: RunCache,
    /// Leases extended by heartbeats, not yet written: token and end.
    pub(super) extended: HashMap<i64, (i64, i64)>,
    /// Leases given so far; decides whose turn the last one's share is.
    pub(super) granted: u64,
    /// Fan-outs with fewer rounds alive than they may have. They grow between the requests.
    pub(super) growing: BTreeSet<i64>,
    /// The latest time anybody handed in.
    pub(super) now: i64,
}
