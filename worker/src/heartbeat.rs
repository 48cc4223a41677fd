//! Sends heartbeats, one request for all jobs, and cancels the jobs whose leases are lost.
//!
//! On a thread of its own: whatever the steps of others send, return or print, converting it must not cost leases. If the worker's
//! main thread stands still for a minute, heartbeats end, so that its jobs run elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bue_client::HubClient;
use bue_model::wire::Heartbeat;
use tokio::time::{Instant, sleep};

use crate::held_leases::{CancelReason, HeldLeases};
use crate::live_log::LiveLogs;
use crate::status::StatusSource;

/// Heartbeats in the life of a lease: two may get lost without losing it.
const HEARTBEATS_PER_LEASE: u64 = 4;

/// Between two signs of life of the main thread.
const PULSE_INTERVAL: Duration = Duration::from_secs(1);
/// After this long without one, the main thread is taken to hang. What it does at a time takes seconds.
const PULSE_TIMEOUT: Duration = Duration::from_secs(60);

/// Signs of life of the main thread, counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// Gives signs of life forever.
    pub(crate) async fn run(self) {
        loop {
            self.0.fetch_add(1, Ordering::Relaxed);
            sleep(PULSE_INTERVAL).await;
        }
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What heartbeats are about.
pub(crate) struct Heartbeats {
    pub(crate) worker: String,
    pub(crate) hub: HubClient,
    pub(crate) held_leases: Arc<HeldLeases>,
    pub(crate) live_logs: LiveLogs,
    pub(crate) pulse: Pulse,
    pub(crate) status: StatusSource,
}

impl Heartbeats {
    /// Sends heartbeats forever.
    pub(crate) async fn run(self) {
        let mut main_thread = Watchdog::new(self.pulse.count());
        let mut was_busy = false;
        loop {
            sleep(Duration::from_millis(self.held_leases.lease_ms() / HEARTBEATS_PER_LEASE)).await;
            let leases = self.held_leases.leases();
            let is_busy = !leases.is_empty();
            // the one after the last job tells that the worker is idle; its request for jobs was sent before
            if main_thread.is_alive(self.pulse.count()) && (is_busy || was_busy) {
                self.send(leases).await;
            }
            was_busy = is_busy;
        }
    }

    async fn send(&self, leases: Vec<(bue_model::JobId, bue_model::Token)>) {
        let heartbeat = Heartbeat { worker: self.worker.clone(), leases, status: self.status.status() };
        match self.hub.heartbeat(&heartbeat).await {
            Ok(answer) => {
                answer.lost.into_iter().for_each(|job| self.held_leases.cancel(job, CancelReason::LeaseLost));
                self.live_logs.set_watches(answer.log_watches);
            }
            Err(error) => tracing::warn!(%error, "failed to send a heartbeat; trying again"),
        }
    }
}

/// Whether the main thread still gives signs of life.
struct Watchdog {
    count: u64,
    changed_at: Instant,
    is_alive: bool,
}

impl Watchdog {
    fn new(count: u64) -> Self {
        Self { count, changed_at: Instant::now(), is_alive: true }
    }

    fn is_alive(&mut self, count: u64) -> bool {
        if count != self.count {
            (self.count, self.changed_at, self.is_alive) = (count, Instant::now(), true);
        } else if self.is_alive && self.changed_at.elapsed() >= PULSE_TIMEOUT {
            self.is_alive = false;
            let seconds = PULSE_TIMEOUT.as_secs();
            tracing::error!("the worker's main thread has stood still for {seconds} s; its leases will end");
        }
        self.is_alive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn heartbeats_pause_while_the_main_thread_stands_still() {
        let pulse = Pulse::default();
        let mut main_thread = Watchdog::new(pulse.count());
        let beating = tokio::spawn(pulse.clone().run());
        for _ in 0..100 {
            sleep(Duration::from_secs(2)).await;
            assert!(main_thread.is_alive(pulse.count()));
        }
        beating.abort();
        sleep(PULSE_TIMEOUT - Duration::from_secs(1)).await;
        assert!(main_thread.is_alive(pulse.count()));
        sleep(Duration::from_secs(2)).await;
        assert!(!main_thread.is_alive(pulse.count()));
        let beating = tokio::spawn(pulse.clone().run());
        sleep(Duration::from_secs(1)).await;
        assert!(main_thread.is_alive(pulse.count()));
        beating.abort();
    }
}
