//! What a step may cost.

use core::time::Duration;

pub(crate) use bue_model::words::{bytes_text, time_text};
use bue_sql::result::RowLimits;
use serde::{Deserialize, Serialize};

/// The limits of one step. Going over one ends the step with [`FailureKind::Limit`](bue_model::FailureKind::Limit) and a
/// message that names the limit and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory, including some 40 MB of the interpreter itself. Default 256 MiB: a step must have room to work with
    /// values of [`result_bytes`](Self::result_bytes).
    pub memory_bytes: u64,
    /// Time from start to end, including waiting: `!timeout`. Default 20 minutes. The step is stopped within 100 ms of it.
    pub time: Duration,
    /// Time from start until `bue.TimeoutSoon` is raised in a Python step: `!timeout … soft …`. Default none. Steps in other languages
    /// are not notified.
    pub soft_time: Option<Duration>,
    /// Processor time, counted in epochs of [`EPOCH_INTERVAL`](crate::engine::EPOCH_INTERVAL). Default 20 minutes, as for `time`: steps that compute
    /// share the core anyway, so a lower limit only matters where processor time is billed.
    pub cpu: Duration,
    /// Total bytes of all inputs. Default 128 MiB; they are held in memory while they are passed to the step.
    pub input_bytes: u64,
    /// Bytes of the result, and of one batch of a streamed result. Default 64 MiB: it is held in memory in transit.
    pub result_bytes: u64,
    /// Total bytes of the elements of a streamed result. Default 16 GiB: it is never held in memory, but it is stored.
    pub stream_bytes: u64,
    /// Elements of one batch of a streamed result, from 1 to 1,000. Default 1,000. While nobody takes them, a step is suspended when it is at
    /// most three batches ahead.
    pub batch_items: u32,
    /// Bytes of the log that are kept; of the remainder, only the length is recorded. Default 1 MiB.
    pub log_bytes: u64,
    /// Bytes that a step may print before it fails. Default 64 MiB: a step that prints more is in an endless loop.
    pub output_bytes: u64,
    /// Requests to servers in flight, from their start to the end of the response's body, and open TCP connections. Default 512; each may take a
    /// connection and a few dozen kilobytes in the worker.
    pub net_exchanges: u32,
    /// Headers of one request or one response. Default 100, as in Python's `http.client`.
    pub net_headers: u32,
    /// Bytes of the headers of one request or one response. Default 32 KiB; a response with more than 256 KiB is refused
    /// whatever this limit is.
    pub net_header_bytes: u64,
    /// Total bytes of all request bodies and of what is written to TCP connections. Default 16 GiB: they are never held in memory as a whole.
    pub net_up_bytes: u64,
    /// Total bytes of all response bodies and of what is read from TCP connections. Default 16 GiB, likewise.
    pub net_down_bytes: u64,
    /// Bytes of bodies that were sent or requested and have not arrived yet, in transit between step and network. Default
    /// 64 MiB.
    pub net_buffered_bytes: u64,
    /// Number of Python packages. Default 200.
    pub packages: u32,
    /// Total bytes of the packed wheels. Default 128 MiB; the worker holds them in memory while it unpacks them.
    pub packages_packed_bytes: u64,
    /// Total bytes of the unpacked files. Default 512 MiB, on the worker's disk.
    pub packages_bytes: u64,
    /// Number of unpacked files and folders. Default 30,000.
    pub packages_files: u32,
}

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

impl Limits {
    /// Those of the rows of a SQL step.
    pub(crate) const fn rows(&self) -> RowLimits {
        RowLimits { result_bytes: self.result_bytes, stream_bytes: self.stream_bytes }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 * MIB,
            time: Duration::from_secs(1200),
            soft_time: None,
            cpu: Duration::from_secs(1200),
            input_bytes: 128 * MIB,
            result_bytes: 64 * MIB,
            stream_bytes: 16 * GIB,
            batch_items: 1_000,
            log_bytes: MIB,
            output_bytes: 64 * MIB,
            net_exchanges: 512,
            net_headers: 100,
            net_header_bytes: 32 * KIB,
            net_up_bytes: 16 * GIB,
            net_down_bytes: 16 * GIB,
            net_buffered_bytes: 64 * MIB,
            packages: 200,
            packages_packed_bytes: 128 * MIB,
            packages_bytes: 512 * MIB,
            packages_files: 30_000,
        }
    }
}
