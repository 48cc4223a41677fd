//! Captures the standard output of a plain command, which is its result, up to the result limit.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::step::limits::bytes_text;

/// Bytes that a guest can write in one call.
pub(crate) const MAX_WRITE: usize = 64 * 1024;

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
pub(crate) struct TooMuchResult(u64);

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
    pub(crate) fn exceeded(&self) -> Option<TooMuchResult> {
        let inner = self.inner();
        inner.exceeded.then_some(TooMuchResult(inner.limit))
    }

    fn add(&self, bytes: &[u8]) -> Result<(), TooMuchResult> {
        let mut inner = self.inner();
        if (inner.bytes.len() as u64).saturating_add(bytes.len() as u64) > inner.limit {
            inner.exceeded = true;
            return Err(TooMuchResult(inner.limit));
        }
        inner.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl IsTerminal for CapturedOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for CapturedOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for CapturedOutput {
    async fn ready(&mut self) {}
}

impl OutputStream for CapturedOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.add(&bytes).map_err(|error| StreamError::Trap(error.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_WRITE)
    }
}

impl AsyncWrite for CapturedOutput {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.add(bytes).map(|()| bytes.len()).map_err(io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
