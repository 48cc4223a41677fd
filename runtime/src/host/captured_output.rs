//! Captures the standard output of a plain command, which is its result, up to the result limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::host::output_stream::Sink;
use crate::step::limits::bytes_text;

/// The output of one step. Clones share it.
#[derive(Clone)]
pub(crate) struct CapturedOutput(Arc<Mutex<Inner>>);

struct Inner {
    bytes: Vec<u8>,
    limit: u64,
    exceeded: bool,
}

/// The step wrote more than its result limit.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "the step wrote more than its result limit of {} to standard output; give less, or loop over it",
    bytes_text(*.0)
)]
pub(crate) struct ResultLimitExceeded(u64);

impl CapturedOutput {
    pub(crate) fn new(limit: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner { bytes: Vec::new(), limit, exceeded: false })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all that was written.
    pub(crate) fn take(&self) -> Vec<u8> {
        core::mem::take(&mut self.inner().bytes)
    }

    /// The error of a write that exceeded the limit, if there was one.
    pub(crate) fn exceeded(&self) -> Option<ResultLimitExceeded> {
        let inner = self.inner();
        inner.exceeded.then_some(ResultLimitExceeded(inner.limit))
    }
}

impl Sink for CapturedOutput {
    type Error = ResultLimitExceeded;

    fn write(&self, bytes: &[u8]) -> Result<(), ResultLimitExceeded> {
        let mut inner = self.inner();
        if (inner.bytes.len() as u64).saturating_add(bytes.len() as u64) > inner.limit {
            inner.exceeded = true;
            return Err(ResultLimitExceeded(inner.limit));
        }
        inner.bytes.extend_from_slice(bytes);
        Ok(())
    }
}
