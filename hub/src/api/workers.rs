//! [`Workers`]: who was heard of lately, and for which scopes. In memory, of one hub, and only to explain why jobs wait.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bue_model::wire::LeaseRequest;
use tokio::time::Instant;

/// A worker that is there asks, or sends a heartbeat, more often.
const LATELY: Duration = Duration::from_secs(60);
/// Workers that are remembered.
const MAX_WORKERS: usize = 4_096;
/// Workers that are named.
const MAX_NAMED: usize = 10;

/// Workers by their names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workers(Arc<Mutex<HashMap<String, Seen>>>);

#[derive(Debug)]
struct Seen {
    scopes: Vec<String>,
    at: Instant,
}

impl Workers {
    /// A worker asked for jobs.
    pub(crate) fn asked(&self, request: &LeaseRequest) {
        let mut workers = self.lock();
        if workers.len() >= MAX_WORKERS && !workers.contains_key(&request.worker) {
            workers.retain(|_, seen| seen.at.elapsed() < LATELY);
        }
        if workers.len() < MAX_WORKERS || workers.contains_key(&request.worker) {
            let seen = Seen { scopes: request.scopes.clone(), at: Instant::now() };
            workers.insert(request.worker.clone(), seen);
        }
    }

    /// A worker said that it lives.
    pub(crate) fn lives(&self, worker: &str) {
        if let Some(seen) = self.lock().get_mut(worker) {
            seen.at = Instant::now();
        }
    }

    /// Names of those who serve a scope, in order.
    pub(crate) fn serving(&self, scope: &str) -> Vec<String> {
        let workers = self.lock();
        let serves = |seen: &Seen| seen.at.elapsed() < LATELY && seen.scopes.iter().any(|served| served == scope);
        let mut names: Vec<_> = workers.iter().filter(|(_, seen)| serves(seen)).map(|(name, _)| name.clone()).collect();
        names.sort();
        names.truncate(MAX_NAMED);
        names
    }

    /// How many were heard of lately.
    pub(crate) fn known(&self) -> usize {
        self.lock().values().filter(|seen| seen.at.elapsed() < LATELY).count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
