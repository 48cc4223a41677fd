//! The WASI contexts of guests: coarse clocks, random bytes, two streams into the log, and nothing else.

use bytes::Bytes;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::{WasiCtxBuilder, WasiView};

use crate::host::captured_output::CapturedOutput;
use crate::host::clock::{CoarseMonotonicClock, CoarseWallClock};
use crate::host::output_stream::{Sink, SinkStream};
use crate::packages::mount::Mount;
use crate::step::log::{Channel, Log, OutputLimitExceeded};

/// Random bytes that a guest can read in one call.
const MAX_RANDOM: u64 = 64 * 1024;

/// Maximum number of entries in a guest's handle table: one per file, two per item of a poll, and its three streams. Open
/// files are descriptors of the host process, whose number is limited for all its steps together.
pub(crate) const MAX_HANDLES: usize = 128;

/// A context without arguments, environment, network and input, whose only files are those of its packages.
pub(crate) fn context(log: &Log, packages: Option<&Mount>) -> WasiP1Ctx {
    let mut wasi = builder(log);
    wasi.stdout(log_stream(log, Channel::Out));
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
    wasi.stdin(MemoryInputPipe::new(input)).stdout(SinkStream(output));
    let mut wasi = wasi.build_p1();
    wasi.ctx().table.set_max_capacity(MAX_HANDLES);
    wasi
}

fn builder(log: &Log) -> WasiCtxBuilder {
    let mut wasi = WasiCtxBuilder::new();
    wasi.stderr(log_stream(log, Channel::Err));
    wasi.wall_clock(CoarseWallClock).monotonic_clock(CoarseMonotonicClock);
    wasi.max_random_size(MAX_RANDOM).allow_tcp(false).allow_udp(false).allow_ip_name_lookup(false);
    wasi
}

fn log_stream(log: &Log, channel: Channel) -> SinkStream<LogChannel> {
    SinkStream(LogChannel { log: log.clone(), channel })
}

/// One of the two channels of a step's log.
#[derive(Clone)]
struct LogChannel {
    log: Log,
    channel: Channel,
}

impl Sink for LogChannel {
    type Error = OutputLimitExceeded;

    fn write(&self, bytes: &[u8]) -> Result<(), OutputLimitExceeded> {
        self.log.print(self.channel, bytes)
    }
}
