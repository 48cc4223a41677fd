//! [`NotifyQueue`]: what is to be announced to other hubs, gathered until the next message.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use bue_model::RunId;
use tokio::sync::Notify;

use crate::jobs::changes::pending_notifications::PendingNotifications;

/// Runs in one message, which can have 8,000 bytes.
const RUNS_PER_MESSAGE: usize = 150;

/// Announcements that wait to be sent, and the wake-ups of the tasks that handle them.
#[derive(Debug, Default)]
pub(super) struct NotifyQueue {
    pending: Mutex<PendingNotifications>,
    /// Wakes the task that sends announcements.
    pub(super) has_messages: Notify,
    /// Wakes the task that instantiates rounds.
    pub(super) has_growing: Notify,
}

impl NotifyQueue {
    /// Adds what a transaction did.
    pub(super) fn add(&self, pending_notifications: PendingNotifications) {
        if !pending_notifications.growing.is_empty() {
            self.has_growing.notify_one();
        }
        self.pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .merge(PendingNotifications { growing: BTreeSet::new(), ..pending_notifications });
        self.has_messages.notify_one();
    }

    /// Takes everything out, as payloads of messages.
    pub(super) fn take_messages(&self) -> Vec<String> {
        let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        let mut messages = Vec::new();
        if pending.work {
            messages.push("work".to_owned());
        }
        if pending.leases {
            messages.push("leases".to_owned());
        }
        let runs: Vec<String> = pending.runs.iter().map(RunId::to_string).collect();
        messages.extend(runs.chunks(RUNS_PER_MESSAGE).map(|runs| runs.join(" ")));
        messages
    }
}
