//! What a plain command writes to its standard output: its result, kept as long as it is no longer than a result may be.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::step::limits::bytes_text;

/// Bytes a guest can print in one call.
pub(crate) const CHUNK: usize = 64 * 1024;

/// The output of one step. Clones are one.
#[derive(Clone)]
pub(crate) struct Captured(Arc<Mutex<Inner>>);

struct Inner {
    bytes: Vec<u8>,
    most: u64,
    exceeded: bool,
}

/// More was written than a result may have.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(
    "the step wrote more than its result limit of {} to standard output; give less, or loop over it",
    bytes_text(*.0)
)]
pub(crate) struct TooMuchResult(u64);

impl Captured {
    pub(crate) fn new(most: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner { bytes: Vec::new(), most, exceeded: false })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that was written.
    pub(crate) fn take(&self) -> Vec<u8> {
        core::mem::take(&mut self.inner().bytes)
    }

    /// Was more written than there is room for?
    pub(crate) fn exceeded(&self) -> Option<TooMuchResult> {
        let inner = self.inner();
        inner.exceeded.then_some(TooMuchResult(inner.most))
    }

    fn add(&self, bytes: &[u8]) -> Result<(), TooMuchResult> {
        let mut inner = self.inner();
        if (inner.bytes.len() as u64).saturating_add(bytes.len() as u64) > inner.most {
            inner.exceeded = true;
            return Err(TooMuchResult(inner.most));
        }
        inner.bytes.extend_from_slice(bytes);
        Ok(())
    }
}

impl IsTerminal for Captured {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Captured {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Captured {
    async fn ready(&mut self) {}
}

impl OutputStream for Captured {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.add(&bytes).map_err(|error| StreamError::Trap(error.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK)
    }
}

impl AsyncWrite for Captured {
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
