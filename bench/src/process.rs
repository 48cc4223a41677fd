//! Memory and processor time of processes, from `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// Returns a field of a process's status, such as `RssAnon:`, in KiB; 0 if the process has ended.
#[must_use]
pub fn status_kib(process: u32, field: &str) -> u64 {
    field_kib(&fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default(), field)
}

/// Returns the proportional set size of a process in KiB; 0 if the process has ended.
#[must_use]
pub fn pss_kib(process: u32) -> u64 {
    field_kib(&fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default(), "Pss:")
}

fn field_kib(text: &str, field: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Returns the processor time of a process, in the kernel's ticks of 10 ms.
#[must_use]
pub fn cpu(process: u32) -> Duration {
    ticks(process, 11, 2)
}

/// Returns the part of it that was spent in the kernel.
#[must_use]
pub(crate) fn system_cpu(process: u32) -> Duration {
    ticks(process, 12, 1)
}

/// Returns the processor time of a process and of all its children, including those that have ended.
#[must_use]
pub fn family_cpu(process: u32) -> Duration {
    children_of(process).into_iter().map(cpu).sum::<Duration>() + ticks(process, 11, 4)
}

/// Returns the minor page faults of a process.
#[must_use]
pub(crate) fn faults(process: u32) -> u64 {
    stat_fields(process, 7, 1)
}

/// After the name, fields 12 and 13 are user and system time, 14 and 15 those of children that have ended.
fn ticks(process: u32, first: usize, count: usize) -> Duration {
    Duration::from_millis(stat_fields(process, first, count) * 10)
}

/// The sum of some fields after the name in a process's `stat`, counted from 0; 0 if the process has ended.
fn stat_fields(process: u32, first: usize, count: usize) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    fields.skip(first).take(count).filter_map(|field| field.parse::<u64>().ok()).sum()
}

/// Returns the processor time of this thread: the first number of its `schedstat`, in nanoseconds.
///
/// # Errors
/// The kernel has no scheduler statistics.
pub fn thread_time() -> Result<Duration> {
    let text = fs::read_to_string("/proc/thread-self/schedstat").context("no scheduler statistics of this thread")?;
    let nanoseconds = text.split_whitespace().next().context("a statistic without numbers")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

/// Returns the minor page faults of this thread so far.
///
/// # Errors
/// `/proc` cannot be read.
pub fn thread_faults() -> Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/stat").context("no statistics of this thread")?;
    // the eighth field after the name
    let count = text.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(7));
    Ok(count.context("a statistic without numbers")?.parse()?)
}

/// Returns the children of a process's main thread.
#[must_use]
pub(crate) fn children_of(process: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}
