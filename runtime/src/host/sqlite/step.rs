//! One SQL step, as its thread has it.

use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Instant;

use bue_model::Bundle;
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::step::limits::Limits;
use crate::step::task::{Items, Placeholders};

/// One SQL step.
pub(super) struct SqlStep {
    pub(super) bundle: Arc<Bundle>,
    pub(super) table: String,
    pub(super) placeholders: Placeholders,
    pub(super) inputs: Vec<Bytes>,
    pub(super) limits: Limits,
    pub(super) deadline: Option<Instant>,
    /// Nobody waits for it any more.
    pub(super) abandoned: Arc<AtomicBool>,
    /// Takes the rows if a loop runs over them.
    pub(super) items: Option<mpsc::Sender<Items>>,
}

impl SqlStep {
    /// Must it stop?
    pub(super) fn is_over(&self) -> bool {
        is_over(&self.abandoned, self.deadline)
    }
}

pub(super) fn is_over(abandoned: &AtomicBool, deadline: Option<Instant>) -> bool {
    abandoned.load(Ordering::Relaxed) || deadline.is_some_and(|deadline| Instant::now() >= deadline)
}
