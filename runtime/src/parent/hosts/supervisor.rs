//! Keeps the hosts alive: reads what children send, replaces those that die or do not answer, and renews them now and then.

use core::pin::pin;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::config::HostsConfig;
use super::host_connection::{HostConnection, Turn};
use super::pool::HostPool;
use super::setup::setup;
use super::watchdog::Watchdog;
use crate::error::RuntimeError;
use crate::parent::child::Child;
use crate::protocol::{FromHost, ToHost};
use crate::step::task::Event;

/// Shortest pause before a child is replaced.
const MIN_RESTART_BACKOFF: Duration = Duration::from_millis(50);
/// Longest pause before a child is replaced that keeps dying early.
const MAX_RESTART_BACKOFF: Duration = Duration::from_secs(5);
/// A child that lived this long started successfully, so its end resets the backoff.
const MIN_UPTIME: Duration = Duration::from_secs(10);

/// Keeps a host alive until the pool is closed. Its children take turns in the host's slots: one gets the new steps, those before it
/// finish what they have.
pub(crate) async fn supervise(pool: Arc<HostPool>, host: usize, config: Arc<HostsConfig>, first: Child) {
    let mut closed = pool.closed();
    let free = pool.slots_of(host).rev().collect();
    let mut supervisor = Supervisor { pool, config, free, serving: JoinSet::new(), backoff: MIN_RESTART_BACKOFF };
    let Some(mut current) = supervisor.serve(first) else { return };
    loop {
        tokio::select! {
            biased;
            () = wait_until_closed(&mut closed) => break,
            Some(ended) = supervisor.serving.join_next() => {
                let Ok((slot, outcome)) = ended else { break };
                supervisor.free.push(slot);
                if slot == current.slot {
                    log_death(slot, outcome, "is restarted");
                    let Some(next) = supervisor.replace(&current).await else { break };
                    current = next;
                } else if outcome.is_err() {
                    log_death(slot, outcome, "had a successor");
                }
            }
            () = current.worn.notified() => {
                if let Some(next) = supervisor.renew().await {
                    supervisor.pool.drain(current.slot);
                    current = next;
                }
            }
        }
    }
    // their slots are emptied, so they end
    while supervisor.serving.join_next().await.is_some() {}
}

/// Returns when the pool is closed, or gone.
async fn wait_until_closed(closed: &mut watch::Receiver<bool>) {
    // the reference to the value must not be kept
    let _ = closed.wait_for(|closed| *closed).await.is_ok();
}

fn log_death(slot: usize, outcome: Result<(), RuntimeError>, and: &str) {
    let reason = outcome.err().map_or_else(|| "it ended".to_owned(), |error| error.to_string());
    tracing::warn!(slot, reason, "a sandbox host ended and {and}; its steps are released");
}

/// The child that gets new steps.
struct Current {
    slot: usize,
    started: Instant,
    /// It has had as many steps as one child may have.
    worn: Arc<Notify>,
}

/// The children of one host.
struct Supervisor {
    pool: Arc<HostPool>,
    config: Arc<HostsConfig>,
    /// Slots without a child.
    free: Vec<usize>,
    /// The children that are alive: each returns its slot.
    serving: JoinSet<(usize, Result<(), RuntimeError>)>,
    backoff: Duration,
}

impl Supervisor {
    /// Serves a child in a free slot. `None` if there is none.
    fn serve(&mut self, child: Child) -> Option<Current> {
        let slot = self.free.pop()?;
        let worn = Arc::new(Notify::new());
        let (pool, config, signal) = (Arc::clone(&self.pool), Arc::clone(&self.config), Arc::clone(&worn));
        self.serving.spawn(async move { (slot, serve(&pool, slot, child, &config, signal).await) });
        Some(Current { slot, started: Instant::now(), worn })
    }

    /// Starts a child in place of one that died, and tries again until it succeeds. `None` when the pool is closed.
    async fn replace(&mut self, dead: &Current) -> Option<Current> {
        let mut closed = self.pool.closed();
        if dead.started.elapsed() >= MIN_UPTIME {
            self.backoff = MIN_RESTART_BACKOFF;
        }
        loop {
            tokio::select! {
                biased;
                () = wait_until_closed(&mut closed) => return None,
                () = tokio::time::sleep(self.backoff) => {}
            }
            self.backoff = (self.backoff * 2).min(MAX_RESTART_BACKOFF);
            match self.start().await {
                Ok(child) => return self.serve(child),
                Err(error) => tracing::warn!(%error, "a sandbox host does not start; trying again"),
            }
        }
    }

    /// Starts a child that takes over from one that has had its steps. `None` if that one must go on: too many before it still have
    /// steps, or none can be started.
    async fn renew(&mut self) -> Option<Current> {
        if self.free.is_empty() {
            return None;
        }
        match self.start().await {
            Ok(child) => self.serve(child),
            Err(error) => {
                tracing::warn!(%error, "a sandbox host cannot be renewed now; the old one goes on");
                None
            }
        }
    }

    /// Starts a child for the free slot that is taken next: the slot decides as which user it runs.
    fn start(&self) -> impl Future<Output = Result<Child, RuntimeError>> + use<> {
        let (config, slot) = (Arc::clone(&self.config), self.free.last().copied().unwrap_or_default());
        async move { Child::start(&config.command, setup(&config, slot)).await.map(|(child, _)| child) }
    }
}

/// Serves a child until it ends, or has no more steps after the pool drains its slot.
async fn serve(
    pool: &HostPool,
    slot: usize,
    mut child: Child,
    config: &HostsConfig,
    worn: Arc<Notify>,
) -> Result<(), RuntimeError> {
    let drained = Arc::new(Notify::new());
    let turn = Turn { steps: config.lifecycle.steps, worn, drained: Arc::clone(&drained) };
    pool.attach(slot, HostConnection::new(child.id(), child.take_frames(), turn));
    let mut watchdog = Watchdog::new(&config.lifecycle);
    let outcome = loop {
        match next_message(pool, slot, &mut child, &mut watchdog, &drained).await {
            Ok(Some(message)) => {
                if let Err(error) = handle(pool, slot, &mut watchdog, message) {
                    break Err(error);
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    pool.detach(slot);
    child.end().await;
    outcome
}

/// Returns the next message of a child, and meanwhile asks it whether it is alive. `None` when it has ended, or may.
async fn next_message(
    pool: &HostPool,
    slot: usize,
    child: &mut Child,
    watchdog: &mut Watchdog,
    drained: &Notify,
) -> Result<Option<FromHost>, RuntimeError> {
    // one future across all pings, because a message that was read in part must not be lost
    let mut next = pin!(child.next());
    loop {
        tokio::select! {
            biased;
            message = &mut next => return message,
            () = drained.notified() => return Ok(None),
            () = watchdog.tick() => {
                if let Some(number) = watchdog.check()? {
                    pool.send(slot, &ToHost::Ping { number });
                }
            }
        }
    }
}

fn handle(pool: &HostPool, slot: usize, watchdog: &mut Watchdog, message: FromHost) -> Result<(), RuntimeError> {
    match message {
        FromHost::Items { id, count, items, early } => pool.deliver(slot, id, Event::Items { count, items, early })?,
        FromHost::Lines { id, position, text, next } => {
            pool.deliver(slot, id, Event::Lines { position, text, next })?;
        }
        FromHost::Finished { id, finished } => pool.deliver(slot, id, Event::Finished(finished))?,
        FromHost::Net { id, request } => pool.handle_request(slot, id, request),
        FromHost::Load { waiting, image_bytes } => pool.set_load(slot, waiting, image_bytes),
        FromHost::Pong { number } => watchdog.answered(number),
        FromHost::Ready(_) | FromHost::Refused(_) | FromHost::Compiled(_) | FromHost::CompilerFailed(_) => {
            return Err(RuntimeError::Refused("it was set up twice".to_owned()));
        }
    }
    Ok(())
}
