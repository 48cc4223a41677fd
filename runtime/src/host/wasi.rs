//! The WASI contexts of guests: coarse clocks, random bytes, two streams into the log, and nothing else.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{WasiCtxBuilder, WasiView};

use crate::host::captured_output::{CapturedOutput, MAX_WRITE};
use crate::host::clock::{CoarseMonotonicClock, CoarseWallClock};
use crate::packages::mount::Mount;
use crate::step::log::{Channel, Log};

/// Random bytes that a guest can read in one call.
const MAX_RANDOM: u64 = 64 * 1024;

/// Maximum number of entries in a guest's handle table: one per file, two per item of a poll, and its three streams. Open
/// files are descriptors of the host process, whose number is limited for all its steps together.
pub(crate) const MAX_HANDLES: usize = 128;

/// A context without arguments, environment, network and input, whose only files are those of its packages.
pub(crate) fn context(log: &Log, packages: Option<&Mount>) -> WasiP1Ctx {
    let mut wasi = builder(log);
    wasi.stdout(LogStream { log: log.clone(), channel: Channel::Out });
    let mut wasi = wasi.build_p1();
    let view = wasi.ctx();
    view.table.set_max_capacity(MAX_HANDLES);
    if let Some(packages) = packages {
        *view.ctx.filesystem() = packages.files();
    }
    wasi
}

/// The same without files, with an input and a captured output.
pub(crate) fn filter_context(log: &Log, input: Bytes, output: CapturedOutput) -> WasiP1Ctx {
    let mut wasi = builder(log);
    wasi.stdin(MemoryInputPipe::new(input)).stdout(output);
    let mut wasi = wasi.build_p1();
    wasi.ctx().table.set_max_capacity(MAX_HANDLES);
    wasi
}

fn builder(log: &Log) -> WasiCtxBuilder {
    let mut wasi = WasiCtxBuilder::new();
    wasi.stderr(LogStream { log: log.clone(), channel: Channel::Err });
    wasi.wall_clock(CoarseWallClock).monotonic_clock(CoarseMonotonicClock);
    wasi.max_random_size(MAX_RANDOM).allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    wasi
}

#[derive(Clone)]
struct LogStream {
    log: Log,
    channel: Channel,
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.print(self.channel, &bytes).map_err(|error| StreamError::Trap(error.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_WRITE)
    }
}

impl AsyncWrite for LogStream {
    fn poll_write(self: Pin<&mut Self>, _cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.log.print(self.channel, bytes).map(|()| bytes.len()).map_err(io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
