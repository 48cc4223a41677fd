//! Memory and processor time of processes, as the kernel counts them.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// A field in KiB of a process's status, such as `RssAnon:`; 0 where the process is gone.
#[must_use]
pub fn status_kib(process: u32, field: &str) -> u64 {
    field_kib(&fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default(), field)
}

/// Memory of a process in KiB, what it shares divided by those who share it; 0 where the process is gone.
#[must_use]
pub fn pss_kib(process: u32) -> u64 {
    field_kib(&fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default(), "Pss:")
}

fn field_kib(text: &str, field: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Processor time of a process, in the kernel's ticks of 10 ms.
#[must_use]
pub fn cpu(process: u32) -> Duration {
    ticks(process, 2)
}

/// Processor time of a process and of all its children, those that are gone too.
#[must_use]
pub fn family_cpu(process: u32) -> Duration {
    children_of(process).into_iter().map(cpu).sum::<Duration>() + ticks(process, 4)
}

/// User and system time are the eleventh and twelfth field behind the name; then come those of children that are gone.
fn ticks(process: u32, fields: usize) -> Duration {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let counts = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(11).take(fields);
    Duration::from_millis(counts.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * 10)
}

/// Time this thread was on a processor: the first number of the kernel's accounts of it, in nanoseconds.
///
/// # Errors
/// The kernel keeps no such accounts.
pub fn thread_time() -> Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").context("no account of this thread's time")?;
    let nanoseconds = text.split_whitespace().next().context("an account without numbers")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

/// Children of a process's first thread.
#[must_use]
pub(crate) fn children_of(process: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}
