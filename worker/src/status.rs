//! [`StatusSource`]: what the worker says of itself in its requests, for people who ask the hub.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bue_model::wire::WorkerStatus;
use bue_runtime::Hosts;
use tokio::time::{Instant, sleep};

use crate::config::WorkerConfig;
use crate::held_leases::HeldLeases;

/// Between two measurements of the memory: it is read from a file of each sandbox host.
const MEMORY_INTERVAL: Duration = Duration::from_secs(10);
/// The memory is not known.
const UNKNOWN: u64 = u64::MAX;
/// Where Linux tells the machine's name.
const HOST_NAME: &str = "/proc/sys/kernel/hostname";

/// Makes the worker's status. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct StatusSource {
    host: String,
    started_at: Instant,
    memory_limit: u64,
    cores: u32,
    held_leases: Arc<HeldLeases>,
    /// Weak, so that the worker's main task is the last owner and can shut them down.
    hosts: Weak<Hosts>,
    memory_used: Arc<AtomicU64>,
}

impl StatusSource {
    /// The status of a worker that starts now.
    pub(crate) fn new(config: &WorkerConfig, held_leases: &Arc<HeldLeases>, hosts: &Arc<Hosts>) -> Self {
        Self {
            host: fs::read_to_string(HOST_NAME).unwrap_or_default().trim().to_owned(),
            started_at: Instant::now(),
            memory_limit: config.memory_bytes,
            cores: u32::try_from(config.hosts).unwrap_or(u32::MAX),
            held_leases: Arc::clone(held_leases),
            hosts: Arc::downgrade(hosts),
            memory_used: Arc::new(AtomicU64::new(UNKNOWN)),
        }
    }

    /// Measures the memory from time to time, forever.
    pub(crate) async fn run(self) {
        while let Some(hosts) = self.hosts.upgrade() {
            let used = hosts.memory_bytes().await.unwrap_or(UNKNOWN);
            drop(hosts);
            self.memory_used.store(used, Ordering::Relaxed);
            sleep(MEMORY_INTERVAL).await;
        }
    }

    /// Returns the status. Costs no system call, so that it delays no heartbeat.
    pub(crate) fn status(&self) -> WorkerStatus {
        let memory_used = self.memory_used.load(Ordering::Relaxed);
        WorkerStatus {
            host: self.host.clone(),
            up_ms: u64::try_from(self.started_at.elapsed().as_millis()).unwrap_or(u64::MAX),
            jobs_held: self.held_leases.count() as u64,
            jobs_running: self.hosts.upgrade().map_or(0, |hosts| hosts.steps()) as u64,
            memory_used: Some(memory_used).filter(|used| *used != UNKNOWN),
            memory_limit: self.memory_limit,
            cores: self.cores,
        }
    }
}
