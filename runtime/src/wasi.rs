//! What a guest sees of the world through WASI: nothing but coarse clocks, random bytes and two streams into its log.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::captured::Captured;
use crate::clock::{CoarseMonotonicClock, CoarseWallClock};
use crate::log::{Channel, Log};

/// Bytes a guest can print in one call.
pub(crate) const CHUNK: usize = 64 * 1024;
/// Random bytes a guest can ask for in one call.
const RANDOM: u64 = 64 * 1024;

/// No arguments, no environment, no files, no network, no input; random bytes of its own.
pub(crate) fn context(log: &Log) -> WasiP1Ctx {
    let mut wasi = builder(log);
    wasi.stdout(LogStream { log: log.clone(), channel: Channel::Out });
    wasi.build_p1()
}

/// The same, with an input and an output.
pub(crate) fn filter_context(log: &Log, input: Bytes, output: Captured) -> WasiP1Ctx {
    let mut wasi = builder(log);
    wasi.stdin(MemoryInputPipe::new(input)).stdout(output);
    wasi.build_p1()
}

fn builder(log: &Log) -> WasiCtxBuilder {
    let mut wasi = WasiCtxBuilder::new();
    wasi.stderr(LogStream { log: log.clone(), channel: Channel::Err });
    wasi.wall_clock(CoarseWallClock).monotonic_clock(CoarseMonotonicClock);
    wasi.max_random_size(RANDOM).allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
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
        Ok(CHUNK)
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
