//! How many more jobs this worker takes now. Memory and cores are counted apart: a step that waits costs memory alone, so
//! thousands of them are held at once; one that runs costs a core, so not many more of those are taken than can begin soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bue_runtime::Hosts;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// Jobs asked for at once. More would make one answer large without making it cheaper.
const MOST_AT_ONCE: usize = 1_000;

/// What a step is taken to need before it has shown it. A Python step that waits for an answer has written to about as much.
const STEP_BYTES: u64 = 1 << 20;

/// Between two looks at the memory while there is none to give: steps give it back without a word.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Decides what there is room for.
#[derive(Debug)]
pub(crate) struct Admission {
    hosts: Arc<Hosts>,
    slots: Arc<Semaphore>,
    memory_bytes: u64,
    arriving: Arc<Arriving>,
}

/// Jobs that were taken and are not in a sandbox host, or never will be.
#[derive(Debug, Default)]
struct Arriving {
    jobs: AtomicUsize,
    changed: Notify,
}

/// Room for a job: its slot until the hub has its report, and its share of a core until a sandbox host counts it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) slot: OwnedSemaphorePermit,
    pub(crate) arrival: Arrival,
}

/// A job that no sandbox host counts yet. Dropped when one does.
#[derive(Debug)]
pub(crate) struct Arrival(Arc<Arriving>);

impl Drop for Arrival {
    fn drop(&mut self) {
        self.0.jobs.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_waiters();
    }
}

impl Admission {
    /// For at most `slots` jobs at once, and for new ones while the hosts have less than this memory.
    pub(crate) fn new(hosts: Arc<Hosts>, slots: usize, memory_bytes: u64) -> Self {
        Self { hosts, slots: Arc::new(Semaphore::new(slots)), memory_bytes, arriving: Arc::default() }
    }

    /// Waits until there is room, and gives all there is. `None` where the worker has ended.
    pub(crate) async fn room(&self) -> Option<Vec<Place>> {
        let first = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        let most = self.free().await.min(MOST_AT_ONCE);
        let mut places = vec![self.place(first)];
        while places.len() < most
            && let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned()
        {
            places.push(self.place(slot));
        }
        Some(places)
    }

    /// Waits until cores and memory have room for a job.
    async fn free(&self) -> usize {
        loop {
            // before the look, so that nothing is missed between it and the wait
            let (eased, changed) = (self.hosts.capacity_changed(), self.arriving.changed.notified());
            // asking for the memory reads files, which every step that ends must not lead to
            let free = match self.cores() {
                0 => 0,
                cores => cores.min(self.memory().await),
            };
            if free > 0 {
                return free;
            }
            tokio::select! {
                () = eased => {}
                () = changed => {}
                () = sleep(LOOK_AGAIN) => {}
            }
        }
    }

    fn cores(&self) -> usize {
        self.hosts.free_capacity().saturating_sub(self.arriving.jobs.load(Ordering::Relaxed))
    }

    /// A worker that holds nothing takes a job whatever its memory says: waiting would change nothing.
    async fn memory(&self) -> usize {
        let Some(used) = self.hosts.memory_bytes().await else { return usize::MAX };
        let holds_none = self.hosts.steps() == 0 && self.arriving.jobs.load(Ordering::Relaxed) == 0;
        let free = self.memory_bytes.saturating_sub(used) / STEP_BYTES;
        usize::try_from(free).unwrap_or(usize::MAX).max(usize::from(holds_none))
    }

    fn place(&self, slot: OwnedSemaphorePermit) -> Place {
        self.arriving.jobs.fetch_add(1, Ordering::Relaxed);
        Place { slot, arrival: Arrival(Arc::clone(&self.arriving)) }
    }
}
