//! A step's log: what it prints, line by line, each line with its time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use crate::step::limits::{Limits, bytes_text};
use crate::step::timestamp::{now, timestamp};

/// Bytes of standard error that are kept for the message of a guest that aborts.
const MAX_TAIL_BYTES: usize = 4096;

/// Bytes of the lines that [`Log::lines_from`] returns at once, about.
const MAX_LINES_BYTES: usize = 8 * 1024;

/// An output stream of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Channel {
    Out,
    Err,
}

/// The log of a running step, shared by its output streams.
#[derive(Clone)]
pub(crate) struct Log(Arc<Shared>);

struct Shared {
    inner: Mutex<Inner>,
    /// Something was printed.
    printed: Notify,
}

/// Lines of the log of a step that still runs.
pub(crate) struct Lines {
    pub(crate) text: String,
    /// Where the lines after these begin, as [`Log::lines_from`] takes it.
    pub(crate) next: u64,
}

struct Inner {
    /// Complete lines and the current one.
    text: Vec<u8>,
    /// The stream whose line is incomplete.
    open_line: Option<Channel>,
    /// Bytes of `text` at most.
    max_kept: u64,
    /// Bytes printed at most.
    max_printed: u64,
    /// Bytes printed so far.
    printed: u64,
    /// Bytes that were cut off.
    cut: u64,
    /// The end of standard error.
    tail: Vec<u8>,
}

/// A step printed more than it may.
#[derive(Debug, thiserror::Error)]
#[error("the step printed more than its output limit of {}; print less, or write the data to the result", bytes_text(*.0))]
pub(crate) struct OutputLimitExceeded(u64);

impl Log {
    pub(crate) fn new(limits: &Limits) -> Self {
        let inner = Inner {
            text: Vec::new(),
            open_line: None,
            max_kept: limits.log_bytes,
            max_printed: limits.output_bytes,
            printed: 0,
            cut: 0,
            tail: Vec::new(),
        };
        Self(Arc::new(Shared { inner: Mutex::new(inner), printed: Notify::new() }))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what the guest printed.
    ///
    /// # Errors
    /// The step has printed more than it may and must be stopped.
    pub(crate) fn print(&self, channel: Channel, bytes: &[u8]) -> Result<(), OutputLimitExceeded> {
        let mut inner = self.inner();
        inner.printed = inner.printed.saturating_add(bytes.len() as u64);
        if inner.printed > inner.max_printed {
            return Err(OutputLimitExceeded(inner.max_printed));
        }
        if channel == Channel::Err {
            inner.add_to_tail(bytes);
        }
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            inner.add(channel, line);
        }
        drop(inner);
        self.0.printed.notify_one();
        Ok(())
    }

    /// Returns the lines from a position on, 0 or a [`Lines::next`], as soon as there are some. They are whole lines, except that a
    /// line that is longer than [`MAX_LINES_BYTES`] comes in parts. All of them together are the beginning of what
    /// [`Self::finish`] returns. For one reader at a time.
    pub(crate) async fn lines_from(&self, position: u64) -> Lines {
        loop {
            if let Some(lines) = self.inner().lines_from(position) {
                return lines;
            }
            self.0.printed.notified().await;
        }
    }

    /// Was more printed than allowed?
    pub(crate) fn exceeded(&self) -> Option<OutputLimitExceeded> {
        let inner = self.inner();
        (inner.printed > inner.max_printed).then_some(OutputLimitExceeded(inner.max_printed))
    }

    /// Returns the end of what was printed to standard error.
    pub(crate) fn tail(&self) -> String {
        String::from_utf8_lossy(&self.inner().tail).trim().to_owned()
    }

    /// Returns the log as it is stored.
    pub(crate) fn finish(&self) -> Bytes {
        let mut inner = self.inner();
        let text = core::mem::take(&mut inner.text);
        if text.is_empty() && inner.cut == 0 {
            return Bytes::new();
        }
        let mut text = printable(&text);
        if !text.ends_with('\n') {
            text.push('\n');
        }
        if inner.cut > 0 {
            let kept = bytes_text(inner.max_kept);
            let line = format!("… {} more bytes were printed; a step's log keeps {kept}\n", inner.cut);
            text.push_str(&line);
        }
        Bytes::from(text)
    }
}

impl Inner {
    /// Adds a line or a part of one.
    fn add(&mut self, channel: Channel, line: &[u8]) {
        let room = usize::try_from(self.max_kept.saturating_sub(self.text.len() as u64)).unwrap_or(usize::MAX);
        if room == 0 {
            self.cut = self.cut.saturating_add(line.len() as u64);
            return;
        }
        if self.open_line.is_some_and(|open_line| open_line != channel) {
            self.text.push(b'\n');
            self.open_line = None;
        }
        if self.open_line.is_none() {
            self.text.extend_from_slice(timestamp(now()).as_bytes());
            self.text.push(b' ');
        }
        let (kept, cut) = line.split_at(line.len().min(room));
        self.text.extend(kept.iter().copied().filter(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~' | 0x80..)));
        self.cut = self.cut.saturating_add(cut.len() as u64);
        self.open_line = (!line.ends_with(b"\n")).then_some(channel);
    }

    fn lines_from(&self, position: u64) -> Option<Lines> {
        let unread = self.text.get(usize::try_from(position).ok()?..)?;
        let window = unread.get(..MAX_LINES_BYTES).unwrap_or(unread);
        let len = match window.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => newline + 1,
            None if unread.len() > MAX_LINES_BYTES => character_boundary(unread, MAX_LINES_BYTES),
            None => return None,
        };
        let text = printable(unread.get(..len)?);
        Some(Lines { text, next: position.saturating_add(len as u64) })
    }

    fn add_to_tail(&mut self, bytes: &[u8]) {
        self.tail.extend_from_slice(bytes.get(bytes.len().saturating_sub(MAX_TAIL_BYTES)..).unwrap_or(bytes));
        let excess = self.tail.len().saturating_sub(MAX_TAIL_BYTES);
        self.tail.drain(..excess);
    }
}

/// Converts stored bytes to text. ASCII control characters were removed when they were printed; this removes the others, and
/// replaces incomplete characters.
fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
}

/// Returns the last position up to `end` where no character is split.
fn character_boundary(bytes: &[u8], end: usize) -> usize {
    let continues = |at: &usize| bytes.get(*at).is_some_and(|byte| byte & 0b1100_0000 == 0b1000_0000);
    // the first byte of a character is at most three bytes before its last one; bytes that are none of a character may be split
    (end.saturating_sub(3)..=end).rev().find(|at| !continues(at)).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(max_kept: u64, printed: &[(Channel, &str)]) -> String {
        let log = Log::new(&Limits { log_bytes: max_kept, ..Limits::default() });
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
        assert!(log.tail().ends_with("panicked at x") && log.tail().len() == MAX_TAIL_BYTES);
    }

    #[tokio::test]
    async fn lines_are_read_while_the_step_runs() {
        let log = Log::new(&Limits::default());
        log.print(Channel::Out, b"first\nsec").expect("below the limit");
        let first = log.lines_from(0).await;
        assert_eq!(lines(&first.text), ["first"]);
        let reader = tokio::spawn({
            let log = log.clone();
            async move { log.lines_from(first.next).await.text }
        });
        log.print(Channel::Out, b"ond\n").expect("below the limit");
        assert_eq!(lines(&reader.await.expect("a reader")), ["second"]);
    }

    #[tokio::test]
    async fn what_was_read_is_the_beginning_of_the_log() {
        let log = Log::new(&Limits::default());
        let long = ["é€😀".repeat(5000).as_bytes(), &[0x80; 9000], b"\xe2\x82 \xc2\x9b[31m\n"].concat();
        log.print(Channel::Out, &long).expect("below the limit");
        log.print(Channel::Err, b"no newline").expect("below the limit");
        let (mut text, mut position) = (String::new(), 0);
        while position < log.inner().text.len() as u64 - 35 {
            let lines = log.lines_from(position).await;
            assert!(lines.next > position && lines.text.len() <= 3 * MAX_LINES_BYTES);
            text.push_str(&lines.text);
            position = lines.next;
        }
        let whole = String::from_utf8(log.finish().to_vec()).expect("UTF-8");
        assert!(whole.starts_with(&text) && whole.len() - text.len() == 36, "{} {}", whole.len(), text.len());
    }
}
