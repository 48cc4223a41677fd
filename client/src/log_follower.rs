//! [`LogFollower`]: what steps print while they run, as the hub streams it.

use std::collections::HashMap;

use bue_model::JobId;
use bue_model::log::LogView;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::download::Download;
use crate::error::ClientError;

/// The size in bytes of the largest event.
const MAX_EVENT: usize = 1024 * 1024;

/// The jobs whose positions are remembered.
const MAX_JOBS: usize = 1_000_000;

/// An event of a followed log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogEvent {
    /// A step has printed something.
    Lines {
        /// What, and which job.
        log: LogView,
        /// The bytes of the attempt's log before it that did not arrive.
        missed: u64,
    },
    /// Lines did not arrive, because they were printed faster than they were read.
    Lagged,
    /// Nothing follows: the job or the run has ended, in this state.
    End {
        /// Such as `completed`.
        state: String,
    },
}

/// A stream of events from the hub. Its text has been printed by steps, and may contain anything.
#[derive(Debug)]
pub struct LogFollower {
    download: Download,
    /// Bytes that are not a whole event yet.
    received: Vec<u8>,
    positions: Positions,
}

impl LogFollower {
    pub(crate) fn new(download: Download) -> Self {
        Self { download, received: Vec::new(), positions: Positions::default() }
    }

    /// Continues an earlier stream of the same selection: what has arrived there does not come again.
    #[must_use]
    pub fn after(self, earlier: Self) -> Self {
        Self { positions: earlier.positions, ..self }
    }

    /// Returns the next event. `None` if the hub ended the stream because it shuts down.
    ///
    /// # Errors
    /// The connection broke, or the server is no hub.
    pub async fn next(&mut self) -> Result<Option<LogEvent>, ClientError> {
        loop {
            let Some(event) = self.next_text().await? else { return Ok(None) };
            match field(&event, "event").unwrap_or_default() {
                "lines" => {
                    if let Some(event) = self.positions.new_lines(self.data(&event)?) {
                        return Ok(Some(event));
                    }
                }
                "end" => {
                    let End { state } = self.data(&event)?;
                    return Ok(Some(LogEvent::End { state }));
                }
                "lagged" => return Ok(Some(LogEvent::Lagged)),
                // a comment, or an event of a later release
                _ => {}
            }
        }
    }

    fn data<T: DeserializeOwned>(&self, event: &str) -> Result<T, ClientError> {
        let data = field(event, "data").unwrap_or_default();
        serde_json::from_str(data).map_err(|error| self.download.endpoint().unexpected_server(error.to_string()))
    }

    /// Returns the lines of the next event.
    async fn next_text(&mut self) -> Result<Option<String>, ClientError> {
        loop {
            if let Some(end) = self.received.windows(2).position(|bytes| bytes == b"\n\n") {
                let event: Vec<u8> = self.received.drain(..end + 2).collect();
                return Ok(Some(String::from_utf8_lossy(&event).into_owned()));
            }
            if self.received.len() > MAX_EVENT {
                return Err(ClientError::TooLarge { what: "an event", limit: MAX_EVENT });
            }
            match self.download.next().await? {
                Some(bytes) => self.received.extend_from_slice(&bytes),
                None => return Ok(None),
            }
        }
    }
}

#[derive(Deserialize)]
struct End {
    state: String,
}

/// How much of each job's log has arrived.
#[derive(Debug, Default)]
struct Positions(HashMap<JobId, Position>);

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    attempt: u64,
    /// Bytes of the attempt's log that have arrived.
    bytes: u64,
}

impl Positions {
    /// Removes from lines what has arrived before. `None` if nothing remains.
    fn new_lines(&mut self, mut log: LogView) -> Option<LogEvent> {
        let seen = match self.0.get(&log.job) {
            Some(seen) if log.attempt < seen.attempt => return None,
            Some(seen) if log.attempt == seen.attempt => seen.bytes,
            // sent to an earlier reader; a new one gets the log from its beginning
            _ if log.position > 0 => return None,
            _ => 0,
        };
        let end = log.position.saturating_add(log.lines.len() as u64);
        if end <= seen {
            return None;
        }
        if self.0.len() >= MAX_JOBS {
            self.0.clear();
        }
        self.0.insert(log.job, Position { attempt: log.attempt, bytes: end });
        let known = usize::try_from(seen.saturating_sub(log.position)).ok()?;
        log.lines = log.lines.get(known..)?.to_owned();
        let missed = log.position.saturating_sub(seen);
        log.position = log.position.max(seen);
        Some(LogEvent::Lines { log, missed })
    }
}

/// Returns the value of an event's field.
fn field<'a>(event: &'a str, name: &str) -> Option<&'a str> {
    event.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(attempt: u64, position: u64, lines: &str) -> LogView {
        LogView { job: JobId(7), step: "work".to_owned(), attempt, position, lines: lines.to_owned() }
    }

    fn new_lines(positions: &mut Positions, log: LogView) -> Option<(String, u64)> {
        match positions.new_lines(log)? {
            LogEvent::Lines { log, missed } => Some((log.lines, missed)),
            LogEvent::Lagged | LogEvent::End { .. } => None,
        }
    }

    #[test]
    fn lines_that_come_twice_are_returned_once() {
        let mut positions = Positions::default();
        assert_eq!(new_lines(&mut positions, log(1, 2, "b\n")), None, "the beginning is yet to come");
        assert_eq!(new_lines(&mut positions, log(1, 0, "a\nb\n")), Some(("a\nb\n".to_owned(), 0)));
        assert_eq!(new_lines(&mut positions, log(1, 0, "a\n")), None);
        assert_eq!(new_lines(&mut positions, log(1, 2, "b\nc\n")), Some(("c\n".to_owned(), 0)));
        assert_eq!(new_lines(&mut positions, log(1, 10, "d\n")), Some(("d\n".to_owned(), 4)));
        // a later attempt begins again, and nothing comes of an earlier one
        assert_eq!(new_lines(&mut positions, log(2, 0, "a\n")), Some(("a\n".to_owned(), 0)));
        assert_eq!(new_lines(&mut positions, log(1, 12, "e\n")), None);
    }

    #[test]
    fn fields_of_an_event_are_found() {
        let event = "event: end\ndata: {\"state\":\"completed\"}\n\n";
        assert_eq!((field(event, "event"), field(event, "data")), (Some("end"), Some("{\"state\":\"completed\"}")));
        assert_eq!(field(": still here\n\n", "event"), None);
    }
}
