//! [`Workers`]: the workers that this hub has heard from recently, their scopes, and what they can do. Kept in memory, only to explain why jobs wait, and for metrics.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bue_model::wire::{LeaseRequest, WorkerAbilities, WorkerView};
use tokio::time::Instant;

/// After this silence a worker counts as gone. A living one sends lease requests or heartbeats more often.
const WORKER_TIMEOUT: Duration = Duration::from_secs(60);
/// Workers that are remembered.
const MAX_WORKERS: usize = 4_096;
/// Workers that [`Workers::serving`] names.
const MAX_NAMED: usize = 10;

/// The parts of a wall that are counted.
pub(super) const WALL_PARTS: [&str; 4] = ["seccomp", "landlock", "no-dumps", "own-user"];

/// Workers by name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workers(Arc<Mutex<HashMap<String, WorkerEntry>>>);

#[derive(Debug)]
struct WorkerEntry {
    scopes: Vec<String>,
    abilities: WorkerAbilities,
    last_seen: Instant,
}

impl WorkerEntry {
    fn is_alive(&self) -> bool {
        self.last_seen.elapsed() < WORKER_TIMEOUT
    }

    fn serves(&self, scope: &str) -> bool {
        self.is_alive() && self.scopes.iter().any(|served| served == scope)
    }
}

impl Workers {
    /// Records that a worker asked for leases.
    pub(super) fn record_request(&self, request: &LeaseRequest) {
        let mut workers = self.lock();
        if workers.len() >= MAX_WORKERS && !workers.contains_key(&request.worker) {
            workers.retain(|_, entry| entry.is_alive());
        }
        if workers.len() < MAX_WORKERS || workers.contains_key(&request.worker) {
            let (scopes, abilities) = (request.scopes.clone(), request.abilities.clone());
            let entry = WorkerEntry { scopes, abilities, last_seen: Instant::now() };
            workers.insert(request.worker.clone(), entry);
        }
    }

    /// Records that a worker sent a heartbeat.
    pub(super) fn record_heartbeat(&self, worker: &str) {
        if let Some(entry) = self.lock().get_mut(worker) {
            entry.last_seen = Instant::now();
        }
    }

    /// Returns the names of workers that serve a scope, sorted.
    pub(super) fn serving(&self, scope: &str) -> Vec<String> {
        let workers = self.lock();
        let mut names: Vec<_> =
            workers.iter().filter(|(_, entry)| entry.serves(scope)).map(|(name, _)| name.clone()).collect();
        names.sort();
        names.truncate(MAX_NAMED);
        names
    }

    /// Returns whether a worker serves a scope.
    pub(super) fn is_served(&self, scope: &str) -> bool {
        self.lock().values().any(|entry| entry.serves(scope))
    }

    /// Returns all workers that are alive, by name.
    pub(super) fn views(&self) -> Vec<WorkerView> {
        let workers = self.lock();
        let view = |(name, entry): (&String, &WorkerEntry)| WorkerView {
            name: name.clone(),
            scopes: entry.scopes.clone(),
            silent_ms: u64::try_from(entry.last_seen.elapsed().as_millis()).unwrap_or(u64::MAX),
            abilities: entry.abilities.clone(),
        };
        let mut views: Vec<_> = workers.iter().filter(|(_, entry)| entry.is_alive()).map(view).collect();
        views.sort_by(|left, right| left.name.cmp(&right.name));
        views
    }

    /// Returns the number of workers that are alive.
    pub(super) fn count_alive(&self) -> usize {
        self.lock().values().filter(|entry| entry.is_alive()).count()
    }

    /// Returns the number of living workers that have this part of the wall.
    pub(super) fn count_with_wall(&self, part: &str) -> usize {
        let has_part = |entry: &&WorkerEntry| entry.abilities.wall.iter().any(|known| known == part);
        self.lock().values().filter(|entry| entry.is_alive()).filter(has_part).count()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, WorkerEntry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
