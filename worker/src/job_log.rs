//! [`JobLog`]: sends the log of one attempt to the hub while somebody follows it.

use std::future::pending;

use bue_model::log::{LogEntry, LogWatch};
use bue_model::wire::{Lease, LeasedStep};
use bue_model::{JobId, RunId, Token};
use tokio::sync::watch;

use crate::live_log::LiveLogs;

/// Requests for lines that may be open at the same time: one that waits for lines, and one for a new reader.
const MAX_OPEN_REQUESTS: u32 = 2;

/// Bytes of the parts in which the rest of a log is sent.
const PART_BYTES: usize = 8 * 1024;

/// The log of a running attempt.
#[derive(Debug)]
pub(crate) struct JobLog {
    live_logs: LiveLogs,
    watches: watch::Receiver<Vec<LogWatch>>,
    run: RunId,
    step: String,
    job: JobId,
    token: Token,
    /// The ids of those who follow this job, as they were when the last lines were requested.
    readers: Vec<u64>,
    /// Requests to the sandbox host that it has not answered.
    open_requests: u32,
    /// The position of the next lines in the sandbox host's log.
    next: u64,
    /// The bytes of the log that have been sent.
    sent: usize,
}

impl JobLog {
    /// Creates the log of a lease. Nothing is sent unless somebody follows it.
    pub(crate) fn new(live_logs: &LiveLogs, lease: &Lease, step: &LeasedStep) -> Self {
        Self {
            live_logs: live_logs.clone(),
            watches: live_logs.watches(),
            run: lease.run,
            step: step.name.clone(),
            job: lease.job,
            token: lease.token,
            readers: Vec::new(),
            open_requests: 0,
            next: 0,
            sent: 0,
        }
    }

    /// Waits until lines are to be requested: somebody follows this job, and no request is open, or the log is to be sent to a new
    /// reader from its beginning. Returns the position, and counts the request as open. Cancel safe.
    pub(crate) async fn request(&mut self) -> u64 {
        loop {
            let max_open = if self.has_new_reader() { MAX_OPEN_REQUESTS } else { 1 };
            if self.open_requests < max_open && self.is_followed() {
                self.open_requests += 1;
                return self.next;
            }
            if self.watches.changed().await.is_err() {
                // the worker ends
                pending::<()>().await;
            }
        }
    }

    /// Sends lines that were requested.
    pub(crate) async fn send(&mut self, position: u64, lines: String, next: u64) {
        self.open_requests = self.open_requests.saturating_sub(1);
        let is_answer = position == self.next;
        // a new reader gets the log from its beginning, which includes these lines
        if !is_answer || (position > 0 && self.has_new_reader()) {
            return;
        }
        self.next = next;
        self.send_part(lines).await;
    }

    /// Sends what remains of the whole log when the attempt has ended.
    pub(crate) async fn finish(mut self, log: &[u8]) {
        let log = String::from_utf8_lossy(log);
        while self.is_followed()
            && let Some(rest) = log.get(self.sent..).filter(|rest| !rest.is_empty())
        {
            self.send_part(part(rest).to_owned()).await;
        }
    }

    async fn send_part(&mut self, lines: String) {
        let position = self.sent as u64;
        self.sent += lines.len();
        if !lines.is_empty() {
            self.live_logs.send(LogEntry { job: self.job, token: self.token, position, lines }).await;
        }
    }

    /// Whether somebody follows this job. If a reader is new, the log begins again.
    fn is_followed(&mut self) -> bool {
        if self.has_new_reader() {
            self.restart();
        }
        self.readers = self.current_readers();
        !self.readers.is_empty()
    }

    fn has_new_reader(&self) -> bool {
        self.current_readers().iter().any(|reader| !self.readers.contains(reader))
    }

    fn current_readers(&self) -> Vec<u64> {
        let watches = self.watches.borrow();
        let follows = |watch: &&LogWatch| watch.selection.contains(self.job, self.run, &self.step);
        watches.iter().filter(follows).map(|watch| watch.id).collect()
    }

    fn restart(&mut self) {
        (self.next, self.sent) = (0, 0);
    }
}

/// Returns the first lines of a text, or the beginning of the first line if that is long.
fn part(text: &str) -> &str {
    if text.len() <= PART_BYTES {
        return text;
    }
    let window = text.get(..text.floor_char_boundary(PART_BYTES)).unwrap_or(text);
    let end = window.rfind('\n').map_or(window.len(), |newline| newline + 1);
    window.get(..end).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_whole_lines_if_they_fit() {
        assert_eq!(part("a\nb"), "a\nb");
        let lines = format!("{}\n{}\n", "x".repeat(PART_BYTES - 1), "y".repeat(PART_BYTES));
        assert_eq!(part(&lines).len(), PART_BYTES);
        let long = "é".repeat(PART_BYTES);
        assert_eq!(part(&long).len(), PART_BYTES);
        assert_eq!(part(&"€".repeat(PART_BYTES)).len() % 3, 0);
    }
}
