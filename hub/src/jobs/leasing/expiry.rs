//! What expires: the query for jobs, and [`LeaseExtensions`], leases that heartbeats extended, kept in memory. Losing them, or not
//! writing them, costs at most that a job is leased again while its worker still runs it; the token then decides.

use std::collections::HashMap;

use bue_model::Timestamp;

/// Expired leases, or expired jobs, that one transaction handles; the next one follows at once.
pub(crate) const MAX_REAPED: i64 = 1_000;

/// Selects columns of available jobs that may expire, from an index that has no others.
macro_rules! select_expiring {
    ($columns:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM job WHERE expires_at IS NOT NULL AND state IN (",
            $crate::jobs::state::state_code!(Parked),
            ", ",
            $crate::jobs::state::state_code!(Ready),
            ")",
            $rest
        )
    };
}
pub(crate) use select_expiring;

/// Extended leases, by the id of their job's row.
#[derive(Debug, Default)]
pub(crate) struct LeaseExtensions(HashMap<i64, Extension>);

#[derive(Clone, Copy, Debug)]
struct Extension {
    token: i64,
    end: i64,
}

impl LeaseExtensions {
    /// Extends a lease.
    pub(crate) fn extend(&mut self, id: i64, token: i64, end: i64) {
        self.0.insert(id, Extension { token, end });
    }

    /// Returns the end of a lease that was extended beyond `now`, and its token.
    pub(crate) fn live(&self, id: i64, now: i64) -> Option<(i64, i64)> {
        self.0.get(&id).filter(|extension| extension.end > now).map(|extension| (extension.token, extension.end))
    }

    /// Forgets a lease that has ended; another one of the job may be held.
    pub(crate) fn forget(&mut self, id: i64, token: i64) {
        if self.0.get(&id).is_some_and(|extension| extension.token == token) {
            self.0.remove(&id);
        }
    }

    /// Forgets leases that have expired.
    pub(crate) fn forget_expired(&mut self, now: i64) {
        self.0.retain(|_, extension| extension.end > now);
    }

    /// Returns the end of a lease, given the one that is stored.
    pub(crate) fn latest_end(&self, id: i64, stored: Option<Timestamp>) -> Option<Timestamp> {
        let stored = stored?;
        Some(self.0.get(&id).map_or(stored, |extension| stored.max(Timestamp(extension.end))))
    }
}
