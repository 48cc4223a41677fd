//! A task in a sandbox host, as its owner can act on it.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

use super::pool::HostPool;
use crate::protocol::ToHost;

/// A task that one of the hosts has.
#[derive(Debug)]
pub(crate) struct HostTask {
    pub(crate) pool: Arc<HostPool>,
    pub(crate) slot: usize,
    pub(crate) id: u64,
    /// Set if the host dies while it has no other task.
    pub(crate) was_alone: Arc<AtomicBool>,
}

impl HostTask {
    /// Acknowledges its elements: it may send more.
    pub(crate) fn acknowledge_items(&self) {
        self.pool.send(self.slot, &ToHost::Taken { id: self.id });
    }

    /// Requests what it prints, from a position in its log on.
    pub(crate) fn request_lines(&self, position: u64) {
        self.pool.send(self.slot, &ToHost::SendLines { id: self.id, position });
    }

    /// Returns whether its host died and had no other task.
    pub(crate) fn was_alone(&self) -> bool {
        self.was_alone.load(Ordering::Relaxed)
    }

    /// Stops it.
    pub(crate) fn cancel(&self) {
        self.pool.cancel(self.slot, self.id);
    }
}
