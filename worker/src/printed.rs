//! [`PrintedOutput`]: how much the steps of a worker have printed.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of the time in front of each line of a log, with the space after it.
const TIME_BYTES: usize = 25;

/// Counts what the attempts that have ended printed.
#[derive(Debug, Default)]
pub struct PrintedOutput {
    lines: AtomicU64,
    bytes: AtomicU64,
}

impl PrintedOutput {
    /// Adds the log of an attempt.
    pub(crate) fn add(&self, log: &[u8]) {
        let lines = log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        let bytes = log.len().saturating_sub(lines * TIME_BYTES);
        self.lines.fetch_add(lines as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Returns the number of lines.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes, without the times of the lines. What a log had no room for is not counted.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_without_their_times() {
        let printed = PrintedOutput::default();
        printed.add(b"2026-09-30T12:00:00.123Z ab\n2026-09-30T12:00:00.123Z c\n");
        printed.add(b"");
        assert_eq!((printed.lines(), printed.bytes()), (2, 5));
    }
}
