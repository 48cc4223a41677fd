//! One SQL step, as it is passed to its thread.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Instant;

use bue_model::{Bundle, SqlTable};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::step::limits::Limits;
use crate::step::task::{Items, Placeholders};

/// One SQL step.
pub(super) struct SqlStep {
    pub(super) bundle: Arc<Bundle>,
    pub(super) table: SqlTable,
    pub(super) placeholders: Placeholders,
    pub(super) inputs: Vec<Bytes>,
    pub(super) limits: Limits,
    pub(super) deadline: Option<Instant>,
    /// Set when the future that waits for it is dropped.
    pub(super) is_cancelled: Arc<AtomicBool>,
    /// Receives the rows, if a loop runs over them.
    pub(super) items: Option<mpsc::Sender<Items>>,
}

impl SqlStep {
    /// Must it stop, because it was cancelled or its time is over?
    pub(super) fn must_stop(&self) -> bool {
        must_stop(&self.is_cancelled, self.deadline)
    }
}

pub(super) fn must_stop(is_cancelled: &AtomicBool, deadline: Option<Instant>) -> bool {
    is_cancelled.load(Ordering::Relaxed) || deadline.is_some_and(|deadline| Instant::now() >= deadline)
}
