//! [`LeasedJobs`]: where the jobs are that this hub leased, so that their reports need no lookup. Losing it costs time and
//! nothing else.

use std::collections::HashMap;

use crate::jobs::instance::Location;

/// Jobs in the index, some 60 bytes each.
const MAX_JOBS: usize = 200_000;

/// Where a job's row is, and the key of its run. It never changes.
#[derive(Clone, Copy, Debug)]
pub(in crate::postgres) struct LeasedJob {
    pub(in crate::postgres) location: Location,
    pub(in crate::postgres) run: i64,
}

/// Leased jobs by id.
#[derive(Debug, Default)]
pub(in crate::postgres) struct LeasedJobs(HashMap<i64, LeasedJob>);

impl LeasedJobs {
    /// Adds a job.
    pub(in crate::postgres) fn insert(&mut self, job: LeasedJob) {
        if self.0.len() >= MAX_JOBS {
            self.0.clear();
        }
        self.0.insert(job.location.id, job);
    }

    /// Returns a job.
    pub(in crate::postgres) fn get(&self, id: i64) -> Option<LeasedJob> {
        self.0.get(&id).copied()
    }

    /// Removes a job whose report came.
    pub(in crate::postgres) fn remove(&mut self, id: i64) {
        self.0.remove(&id);
    }
}
