//! [`NetBudget`]: the exchanges and connections of all steps of a worker together.
//!
//! The limits of a step bound what one step has in flight. A worker has thousands of steps, and files and memory for fewer exchanges
//! than all of them may begin; without files it could not reach its hub either.

use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use rustix::process::{Resource, getrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::parent::fair_places::{FairPlaces, Group, Place};

/// The assumed limit of open files if there is none.
const UNLIMITED_FILES: u64 = 1 << 20;

/// The places of a worker. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct NetBudget {
    exchanges: FairPlaces,
    connections: Arc<OnceLock<Arc<Semaphore>>>,
    steps: Arc<AtomicU64>,
}

/// One step's share of the exchanges.
#[derive(Debug)]
pub(crate) struct StepBudget {
    exchanges: FairPlaces,
    step: Group,
}

impl NetBudget {
    /// With this many places for exchanges, and as many for connections; without a number, half of the files that this process may
    /// open when the first step needs one. By then it has raised its limit.
    pub(crate) fn new(configured: Option<usize>) -> Self {
        let exchanges =
            FairPlaces::new(move || configured.unwrap_or_else(half_of_files).clamp(1, Semaphore::MAX_PERMITS));
        Self { exchanges, connections: Arc::default(), steps: Arc::default() }
    }

    /// Returns the share of a new step.
    pub(crate) fn step(&self) -> StepBudget {
        let step = Group::from(self.steps.fetch_add(1, Ordering::Relaxed));
        StepBudget { exchanges: self.exchanges.clone(), step }
    }

    /// Waits for a place for a connection. Each exchange has at most one, so those that are kept for later make room within a few
    /// seconds, when they have been idle for too long.
    pub(crate) async fn connection(&self) -> Option<OwnedSemaphorePermit> {
        let connections = self.connections.get_or_init(|| Arc::new(Semaphore::new(self.exchanges.max())));
        // never closed
        Arc::clone(connections).acquire_owned().await.ok()
    }
}

fn half_of_files() -> usize {
    let files = getrlimit(Resource::Nofile).current.unwrap_or(UNLIMITED_FILES);
    usize::try_from(files / 2).unwrap_or(usize::MAX)
}

impl StepBudget {
    /// Waits for a place for an exchange. Cancel safe.
    pub(crate) async fn place(&self) -> Option<Place> {
        self.exchanges.take(self.step).await
    }
}
