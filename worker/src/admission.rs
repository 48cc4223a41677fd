//! Decides how many jobs the worker leases. A job that waits for an answer costs memory only, so a worker holds thousands of them; one
//! that runs costs a core, so the worker leases few more of those than can start soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bue_runtime::Hosts;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

/// The largest number of jobs in a request. More would make its answer large without making it cheaper.
const MAX_BATCH: usize = 1_000;

/// The memory in bytes that a step is assumed to need before it has used any. A Python step that waits for an answer has written to
/// about as much.
const ASSUMED_STEP_BYTES: u64 = 1 << 20;

/// The time between two checks of the memory while there is too little of it: steps free memory without a notification.
const MEMORY_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Admits jobs up to the limits of slots, cores and memory.
#[derive(Debug)]
pub(crate) struct Admission {
    hosts: Arc<Hosts>,
    slots: Arc<Semaphore>,
    memory_limit: u64,
    pending_starts: Arc<PendingStarts>,
}

/// Jobs that wait for the compiler and take no capacity. More would be more than the worker should hold while others are idle.
const MAX_WAITING_FOR_COMPILER: usize = 1_000;

/// The jobs that were admitted and that no sandbox host counts yet.
#[derive(Debug, Default)]
struct PendingStarts {
    jobs: AtomicUsize,
    /// Those of them that wait for the compiler.
    waiting_for_compiler: AtomicUsize,
    changed: Notify,
}

impl PendingStarts {
    /// Counts one more job.
    fn count(self: Arc<Self>) -> Arc<Self> {
        self.jobs.fetch_add(1, Ordering::Relaxed);
        self
    }

    /// Returns how many of the jobs may start at any moment.
    fn about_to_start(&self) -> usize {
        let waiting = self.waiting_for_compiler.load(Ordering::Relaxed).min(MAX_WAITING_FOR_COMPILER);
        self.jobs.load(Ordering::Relaxed).saturating_sub(waiting)
    }
}

/// The permission to lease one job.
#[derive(Debug)]
pub(crate) struct Permit {
    /// Held until the hub has the job's report.
    pub(crate) slot: OwnedSemaphorePermit,
    /// Held until a sandbox host counts the job.
    pub(crate) pending_start: PendingStart,
}

/// A job that no sandbox host counts yet. Dropped when one does.
#[derive(Debug)]
pub(crate) struct PendingStart(Arc<PendingStarts>);

impl Drop for PendingStart {
    fn drop(&mut self) {
        self.0.jobs.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_waiters();
    }
}

/// A job that waits until its code is compiled, which may take minutes.
#[derive(Debug)]
pub(crate) struct WaitingForCompiler(PendingStart);

impl PendingStart {
    /// The job waits: others may start before it.
    pub(crate) fn wait_for_compiler(self) -> WaitingForCompiler {
        self.0.waiting_for_compiler.fetch_add(1, Ordering::Relaxed);
        self.0.changed.notify_waiters();
        WaitingForCompiler(self)
    }
}

impl WaitingForCompiler {
    /// The job is about to start.
    pub(crate) fn end(self) -> PendingStart {
        PendingStart(Arc::clone(&self.0.0).count())
    }
}

impl Drop for WaitingForCompiler {
    fn drop(&mut self) {
        self.0.0.waiting_for_compiler.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The memory of a worker's steps.
#[derive(Clone, Copy, Debug)]
struct MemoryLoad {
    used: u64,
    limit: u64,
    /// Whether no step runs and none is about to.
    is_idle: bool,
}

impl Admission {
    /// Admits at most `slots` jobs at once, and new ones only while the sandbox hosts use less than `memory_limit` bytes.
    pub(crate) fn new(hosts: Arc<Hosts>, slots: usize, memory_limit: u64) -> Self {
        Self { hosts, slots: Arc::new(Semaphore::new(slots)), memory_limit, pending_starts: Arc::default() }
    }

    /// Waits until at least one job can be admitted, and returns a permit for each that can. `None` if the worker has ended.
    pub(crate) async fn acquire(&self) -> Option<Vec<Permit>> {
        let first = Arc::clone(&self.slots).acquire_owned().await.ok()?;
        let max = self.wait_for_capacity().await.min(MAX_BATCH);
        let mut permits = vec![self.permit(first)];
        while permits.len() < max
            && let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned()
        {
            permits.push(self.permit(slot));
        }
        Some(permits)
    }

    /// Waits until cores and memory allow at least one job, and returns how many they allow.
    async fn wait_for_capacity(&self) -> usize {
        loop {
            // subscribed before the check, so that no change between it and the wait is missed
            let (hosts_changed, starts_changed) =
                (self.hosts.capacity_changed(), self.pending_starts.changed.notified());
            // the memory is read from files, which is too expensive for every step that ends while all cores are busy
            let capacity = match self.core_capacity() {
                0 => 0,
                cores => cores.min(self.memory_capacity().await),
            };
            if capacity > 0 {
                return capacity;
            }
            tokio::select! {
                () = hosts_changed => {}
                () = starts_changed => {}
                () = sleep(MEMORY_POLL_INTERVAL) => {}
            }
        }
    }

    fn core_capacity(&self) -> usize {
        self.hosts.free_capacity().saturating_sub(self.pending_starts.about_to_start())
    }

    async fn memory_capacity(&self) -> usize {
        let Some(used) = self.hosts.memory_bytes().await else { return usize::MAX };
        let is_idle = self.hosts.steps() == 0 && self.pending_starts.jobs.load(Ordering::Relaxed) == 0;
        memory_capacity(MemoryLoad { used, limit: self.memory_limit, is_idle })
    }

    fn permit(&self, slot: OwnedSemaphorePermit) -> Permit {
        Permit { slot, pending_start: PendingStart(Arc::clone(&self.pending_starts).count()) }
    }
}

/// Returns how many jobs the memory allows. An idle worker admits one in any case, because waiting would free no memory.
fn memory_capacity(load: MemoryLoad) -> usize {
    let free = load.limit.saturating_sub(load.used) / ASSUMED_STEP_BYTES;
    usize::try_from(free).unwrap_or(usize::MAX).max(usize::from(load.is_idle))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(used_steps: u64, is_idle: bool) -> usize {
        memory_capacity(MemoryLoad { used: used_steps * ASSUMED_STEP_BYTES, limit: 10 * ASSUMED_STEP_BYTES, is_idle })
    }

    #[test]
    fn free_memory_allows_a_job_for_each_assumed_step() {
        assert_eq!(capacity(0, false), 10);
        assert_eq!(capacity(7, false), 3);
    }

    #[test]
    fn a_busy_worker_without_memory_admits_nothing() {
        assert_eq!(capacity(10, false), 0);
        assert_eq!(capacity(11, false), 0);
    }

    #[test]
    fn an_idle_worker_without_memory_admits_one_job() {
        assert_eq!(capacity(11, true), 1);
        assert_eq!(capacity(0, true), 10);
    }

    #[test]
    fn a_job_counts_as_starting_until_its_pending_start_is_dropped() {
        let pending_starts = Arc::new(PendingStarts::default());
        let pending_start = PendingStart(Arc::clone(&pending_starts).count());
        assert_eq!(pending_starts.about_to_start(), 1);
        drop(pending_start);
        assert_eq!(pending_starts.about_to_start(), 0);
    }

    #[test]
    fn jobs_that_wait_for_the_compiler_leave_their_capacity_to_others() {
        let pending_starts = Arc::new(PendingStarts::default());
        let start = || PendingStart(Arc::clone(&pending_starts).count());
        let mut waiting: Vec<_> = (0..40).map(|_| start().wait_for_compiler()).collect();
        let other = start();
        assert_eq!(pending_starts.about_to_start(), 1);
        let compiled = waiting.pop().expect("one").end();
        assert_eq!(pending_starts.about_to_start(), 2);
        drop((waiting, other, compiled));
        assert_eq!(
            (pending_starts.about_to_start(), pending_starts.waiting_for_compiler.load(Ordering::Relaxed)),
            (0, 0)
        );
        let waiting: Vec<_> = (0..MAX_WAITING_FOR_COMPILER + 3).map(|_| start().wait_for_compiler()).collect();
        assert_eq!(pending_starts.about_to_start(), 3, "a worker does not hold any number of them");
        drop(waiting);
    }
}
