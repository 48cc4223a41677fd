//! Keeps the slots occupied: reads what children send, and replaces those that die.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use super::config::HostsConfig;
use super::host_connection::HostConnection;
use super::pool::HostPool;
use super::setup::setup;
use crate::error::RuntimeError;
use crate::parent::child::Child;
use crate::protocol::FromHost;
use crate::step::task::Event;

/// Shortest pause before a child is replaced.
const MIN_RESTART_BACKOFF: Duration = Duration::from_millis(50);
/// Longest pause before a child is replaced that keeps dying early.
const MAX_RESTART_BACKOFF: Duration = Duration::from_secs(5);
/// A child that lived this long started successfully, so its end resets the backoff.
const MIN_UPTIME: Duration = Duration::from_secs(10);

/// Keeps a child alive in a slot until the pool is closed.
pub(crate) async fn supervise(pool: Arc<HostPool>, slot: usize, config: Arc<HostsConfig>, first: Child) {
    let mut closed = pool.closed();
    let mut child = Ok(first);
    let mut backoff = MIN_RESTART_BACKOFF;
    loop {
        let started = Instant::now();
        let outcome = match child {
            Ok(child) => serve(&pool, slot, child).await,
            Err(error) => Err(error),
        };
        if pool.is_closed() {
            return;
        }
        let reason = outcome.err().map_or_else(|| "it ended".to_owned(), |error| error.to_string());
        tracing::warn!(slot, reason, "a sandbox host ended and is restarted; its steps are released");
        let lived = started.elapsed() >= MIN_UPTIME;
        backoff = if lived { MIN_RESTART_BACKOFF } else { (backoff * 2).min(MAX_RESTART_BACKOFF) };
        tokio::select! {
            () = tokio::time::sleep(backoff) => {}
            _ = closed.wait_for(|closed| *closed) => return,
        }
        child = Child::start(&config.command, setup(&config, slot)).await.map(|(child, _)| child);
    }
}

/// Serves a child until it ends.
async fn serve(pool: &HostPool, slot: usize, mut child: Child) -> Result<(), RuntimeError> {
    pool.attach(slot, HostConnection::new(child.id(), child.take_frames()));
    let outcome = read_messages(pool, slot, &mut child).await;
    pool.detach(slot);
    child.end().await;
    outcome
}

async fn read_messages(pool: &HostPool, slot: usize, child: &mut Child) -> Result<(), RuntimeError> {
    while let Some(message) = child.next().await? {
        match message {
            FromHost::Items { id, count, items } => pool.deliver(slot, id, Event::Items { count, items })?,
            FromHost::Lines { id, position, text, next } => {
                pool.deliver(slot, id, Event::Lines { position, text, next })?;
            }
            FromHost::Finished { id, finished } => pool.deliver(slot, id, Event::Finished(finished))?,
            FromHost::Net { id, request } => pool.handle_request(slot, id, request),
            FromHost::Waiting { steps } => pool.set_waiting(slot, steps),
            FromHost::Ready(_) | FromHost::Refused(_) | FromHost::Compiled(_) => {
                return Err(RuntimeError::Refused("it was set up twice".to_owned()));
            }
        }
    }
    Ok(())
}
