//! A step's log: what it prints, line by line, each line with its time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::step::limits::{Limits, bytes_text};
use crate::step::timestamp::{now, timestamp};

/// Bytes of standard error that are remembered for the message of a guest that aborts.
const TAIL: usize = 4096;

/// A stream of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Out,
    Err,
}

/// The log of a running step, shared by its output streams.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<Inner>>);

struct Inner {
    /// Finished lines and the current one.
    text: Vec<u8>,
    /// Whose line is unfinished.
    open: Option<Channel>,
    /// Bytes of `text` at most.
    kept: u64,
    /// Bytes printed at most.
    allowed: u64,
    /// Bytes printed.
    printed: u64,
    /// Bytes not kept.
    cut: u64,
    /// The end of standard error.
    tail: Vec<u8>,
}

/// More was printed than a step may.
#[derive(Debug, thiserror::Error)]
#[error("the step printed more than its output limit of {}; print less, or write the data to the result", bytes_text(*.0))]
pub(crate) struct TooMuchOutput(u64);

impl Log {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            text: Vec::new(),
            open: None,
            kept: limits.log_bytes,
            allowed: limits.output_bytes,
            printed: 0,
            cut: 0,
            tail: Vec::new(),
        })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the guest printed.
    ///
    /// # Errors
    /// The step has printed more than it may and must be stopped.
    pub(crate) fn print(&self, channel: Channel, bytes: &[u8]) -> Result<(), TooMuchOutput> {
        let mut inner = self.inner();
        inner.printed = inner.printed.saturating_add(bytes.len() as u64);
        if inner.printed > inner.allowed {
            return Err(TooMuchOutput(inner.allowed));
        }
        if channel == Channel::Err {
            inner.remember(bytes);
        }
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            inner.add(channel, line);
        }
        Ok(())
    }

    /// Was more printed than allowed?
    pub(crate) fn exceeded(&self) -> Option<TooMuchOutput> {
        let inner = self.inner();
        (inner.printed > inner.allowed).then_some(TooMuchOutput(inner.allowed))
    }

    /// The end of what was printed to standard error.
    pub(crate) fn tail(&self) -> String {
        String::from_utf8_lossy(&self.inner().tail).trim().to_owned()
    }

    /// The log as it is stored.
    pub(crate) fn finish(&self) -> Bytes {
        let mut inner = self.inner();
        let text = core::mem::take(&mut inner.text);
        if text.is_empty() && inner.cut == 0 {
            return Bytes::new();
        }
        // Bytes below space are gone already; here go the other control characters, and half characters.
        let mut text: String =
            String::from_utf8_lossy(&text).chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect();
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if inner.cut > 0 {
            let kept = bytes_text(inner.kept);
            let line = format!("… {} more bytes were printed; a step's log keeps {kept}\n", inner.cut);
            text.push_str(&line);
        }
        Bytes::from(text)
    }
}

impl Inner {
    /// A line or a part of one.
    fn add(&mut self, channel: Channel, line: &[u8]) {
        let room = usize::try_from(self.kept.saturating_sub(self.text.len() as u64)).unwrap_or(usize::MAX);
        if room == 0 {
            self.cut = self.cut.saturating_add(line.len() as u64);
            return;
        }
        if self.open.is_some_and(|open| open != channel) {
            self.text.push(b'\n');
            self.open = None;
        }
        if self.open.is_none() {
            self.text.extend_from_slice(timestamp(now()).as_bytes());
            self.text.push(b' ');
        }
        let (kept, cut) = line.split_at(line.len().min(room));
        self.text.extend(kept.iter().copied().filter(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~' | 0x80..)));
        self.cut = self.cut.saturating_add(cut.len() as u64);
        self.open = (!line.ends_with(b"\n")).then_some(channel);
    }

    fn remember(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes.get(bytes.len().saturating_sub(TAIL)..).unwrap_or(bytes));
        let excess = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..excess);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(kept: u64, printed: &[(Channel, &str)]) -> String {
        let log = Log::new(&Limits { log_bytes: kept, ..Limits::default() });
        for (channel, text) in printed {
            log.print(*channel, text.as_bytes()).expect("below the limit");
        }
        String::from_utf8(log.finish().to_vec()).expect("UTF-8")
    }

    /// The lines without their times.
    fn lines(log: &str) -> Vec<&str> {
        log.lines().map(|line| line.get(25..).unwrap_or(line)).collect()
    }

    #[test]
    fn every_line_has_its_time() {
        let log = log(1000, &[(Channel::Out, "a\nb"), (Channel::Out, "c\n")]);
        assert_eq!(lines(&log), ["a", "bc"]);
        assert!(log.lines().all(|line| line.len() > 25 && line.as_bytes()[23] == b'Z'), "{log}");
    }

    #[test]
    fn streams_do_not_share_a_line() {
        let log = log(1000, &[(Channel::Out, "out"), (Channel::Err, "err\n"), (Channel::Out, "more")]);
        assert_eq!(lines(&log), ["out", "err", "more"]);
    }

    #[test]
    fn control_characters_are_stripped() {
        let log = log(1000, &[(Channel::Out, "a\x1b[31m\x07\r\u{9b}é\tz\x7f\n")]);
        assert_eq!(lines(&log), ["a[31mé\tz"]);
    }

    #[test]
    fn what_is_cut_is_counted() {
        let log = log(60, &[(Channel::Out, &"x".repeat(100)), (Channel::Out, "\nyy\n")]);
        assert!(log.ends_with("more bytes were printed; a step's log keeps 60 bytes\n"), "{log}");
        let cut: usize =
            log.split('…').nth(1).and_then(|rest| rest.split(' ').nth(1)).expect("a count").parse().expect("digits");
        let kept = log.matches('x').count();
        assert_eq!(kept + cut, 100 + 4, "{log}");
    }

    #[test]
    fn printing_without_end_is_stopped() {
        let log = Log::new(&Limits { output_bytes: 10, ..Limits::default() });
        assert!(log.print(Channel::Out, b"0123456789").is_ok());
        assert!(log.print(Channel::Err, b"x").is_err());
        assert!(log.exceeded().is_some());
    }

    #[test]
    fn nothing_printed_is_an_empty_log() {
        assert!(log(10, &[]).is_empty());
    }

    #[test]
    fn the_tail_is_the_end_of_standard_error() {
        let log = Log::new(&Limits::default());
        log.print(Channel::Err, &[b'a'; 10_000]).expect("below the limit");
        log.print(Channel::Err, b"panicked at x").expect("below the limit");
        assert!(log.tail().ends_with("panicked at x") && log.tail().len() == TAIL);
    }
}
