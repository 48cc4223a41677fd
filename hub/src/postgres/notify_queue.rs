//! [`NotifyQueue`]: what is to be announced to other hubs, gathered until the next message.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use bue_model::RunId;
use bue_model::wire::WorkerView;
use tokio::sync::Notify;

use crate::jobs::changes::pending_notifications::PendingNotifications;

/// Runs in one message, which can have 8,000 bytes.
const RUNS_PER_MESSAGE: usize = 150;

/// Bytes of workers in one message.
const WORKERS_PER_MESSAGE: usize = 7_900;

/// The beginning of a message about workers; a JSON array follows.
pub(super) const WORKERS: &str = "workers ";

/// Announcements that wait to be sent, and the wake-ups of the tasks that handle them.
#[derive(Debug, Default)]
pub(super) struct NotifyQueue {
    pending: Mutex<PendingNotifications>,
    /// Messages about workers.
    workers: Mutex<Vec<String>>,
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

    /// Replaces what is to be announced about workers.
    pub(super) fn add_workers(&self, workers: &[WorkerView]) {
        let messages = worker_messages(workers);
        if !messages.is_empty() {
            *self.workers.lock().unwrap_or_else(PoisonError::into_inner) = messages;
            self.has_messages.notify_one();
        }
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
        if pending.schedules {
            messages.push("schedules".to_owned());
        }
        if pending.expiries {
            messages.push("expiries".to_owned());
        }
        let runs: Vec<String> = pending.runs.iter().map(RunId::to_string).collect();
        messages.extend(runs.chunks(RUNS_PER_MESSAGE).map(|runs| runs.join(" ")));
        messages.append(&mut self.workers.lock().unwrap_or_else(PoisonError::into_inner));
        messages
    }
}

/// Puts as many workers into one message as it has room for. One that needs more than a message is left out: then only the hub
/// that it uses knows it.
fn worker_messages(workers: &[WorkerView]) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    let views = workers.iter().filter_map(|worker| serde_json::to_string(worker).ok());
    for view in views.filter(|view| view.len() < WORKERS_PER_MESSAGE) {
        match messages.last_mut() {
            Some(last) if last.len() + view.len() < WORKERS_PER_MESSAGE => {
                last.push(',');
                last.push_str(&view);
            }
            _ => messages.push(format!("{WORKERS}[{view}")),
        }
    }
    messages.iter_mut().for_each(|message| message.push(']'));
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_spread_over_messages_that_postgresql_accepts() {
        let view = |name: String, scopes: usize| WorkerView {
            name,
            scopes: vec!["a-scope".to_owned(); scopes],
            host: "a-machine".repeat(8),
            memory_used: Some(u64::MAX),
            ..WorkerView::default()
        };
        let mut workers: Vec<_> = (0..200).map(|number| view(format!("worker-{number}"), 3)).collect();
        workers.push(view("too-long".to_owned(), 1_000));
        let messages = worker_messages(&workers);
        assert!(messages.len() > 2 && messages.iter().all(|message| message.len() < 8_000), "{}", messages.len());
        let read = messages.iter().flat_map(|message| {
            let json = message.strip_prefix(WORKERS).expect("the beginning");
            serde_json::from_str::<Vec<WorkerView>>(json).expect("JSON")
        });
        assert_eq!(read.collect::<Vec<_>>(), workers[..200]);
        assert_eq!(worker_messages(&[]), Vec::<String>::new());
    }
}
