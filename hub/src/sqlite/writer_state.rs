//! [`WriterState`]: what the writer keeps in memory beside the database. Losing it costs time and nothing else.

use std::collections::BTreeSet;

use crate::jobs::leasing::expiry::LeaseExtensions;

/// Soft state.
#[derive(Debug, Default)]
pub(super) struct WriterState {
    /// Extended leases that are not written.
    pub(super) extensions: LeaseExtensions,
    /// Leases granted so far to workers that ask for a share of the last jobs; decides which ones go to the jobs that would be served last.
    pub(super) granted: u64,
    /// Fan-outs with fewer live rounds than they may have. They grow between the requests.
    pub(super) growing: BTreeSet<i64>,
    /// The latest time that a request came with.
    pub(super) now: i64,
}
