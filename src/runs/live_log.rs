//! Follows what steps print while they run.

use std::time::{Duration, Instant};

use anyhow::Context;
use bue_client::{Backoff, ClientError, HubClient, LogEvent, LogFollower};
use bue_model::log::{LogSelection, LogView};

use crate::process::command_error::CommandError;
use crate::process::control_characters::without_control_characters;
use crate::process::output::eprint_line;

/// How long a hub may be unreachable before following ends: it may be restarting.
const HUB_RESTART_TIMEOUT: Duration = Duration::from_secs(90);

/// Characters of a line's time, `2026-09-30T12:00:00.123Z`.
const TIME_LEN: usize = 24;

/// A log that is followed, across restarts of the hub.
pub(crate) struct LiveLog<'a> {
    hub: &'a HubClient,
    selection: LogSelection,
    follower: LogFollower,
}

impl<'a> LiveLog<'a> {
    /// Begins to follow: what is printed from now on arrives, and what running jobs have printed before.
    pub(crate) async fn start(hub: &'a HubClient, selection: LogSelection) -> Result<Self, CommandError> {
        let follower = hub.follow_log(&selection).await.context("failed to follow the log")?;
        Ok(Self { hub, selection, follower })
    }

    /// Passes everything that is printed to `print`, until the job or the run has ended. Returns whether that was anything.
    pub(crate) async fn follow(
        mut self,
        mut print: impl FnMut(&LogView, u64) -> Result<(), CommandError>,
    ) -> Result<bool, CommandError> {
        let mut has_lines = false;
        loop {
            match self.follower.next().await {
                Ok(Some(LogEvent::Lines { log, missed })) => {
                    has_lines = true;
                    print(&log, missed)?;
                }
                Ok(Some(LogEvent::Lagged)) => eprint_line(
                    "bue: warning: lines are missing here, because they were printed faster than they were read; `bue logs JOB` \
                     prints the whole log of a job",
                ),
                Ok(Some(LogEvent::End { .. })) => return Ok(has_lines),
                Ok(None) => self = self.reconnect(None).await?,
                Err(error) => self = self.reconnect(Some(error)).await?,
            }
        }
    }

    async fn reconnect(self, error: Option<ClientError>) -> Result<Self, CommandError> {
        let Self { hub, selection, follower: earlier } = self;
        let (mut error, mut backoff, started_at) = (error, Backoff::default(), Instant::now());
        loop {
            if let Some(error) = error.take_if(|error| !error.is_transient()) {
                return Err(anyhow::Error::new(error).context("failed to follow the log").into());
            }
            match hub.follow_log(&selection).await {
                Ok(follower) => {
                    eprint_line(
                        "bue: warning: the connection to the hub broke and is back; what ended meanwhile is missing here, \
                         `bue logs JOB` prints it",
                    );
                    return Ok(Self { hub, selection, follower: follower.after(earlier) });
                }
                Err(new_error) if started_at.elapsed() < HUB_RESTART_TIMEOUT => error = Some(new_error),
                Err(error) => return Err(anyhow::Error::new(error).context("failed to follow the log").into()),
            }
            backoff.wait().await;
        }
    }
}

/// Formats the lines of a job, each with its step and job in front: `work[19]: hello`. With `has_time`, the time comes first.
pub(crate) fn labelled_lines(log: &LogView, missed: u64, has_time: bool) -> Vec<String> {
    let label = format!("{}[{}]", log.step, log.job);
    let gap =
        (missed > 0).then(|| format!("{label}: … {missed} bytes did not arrive; `bue logs {}` has them", log.job));
    let lines = log.lines.lines().map(|line| match split_time(line) {
        Some((time, text)) if has_time => format!("{time} {label}: {text}"),
        Some((_, text)) => format!("{label}: {text}"),
        None => format!("{label}: {line}"),
    });
    let lines = gap.into_iter().chain(lines);
    lines.map(|line| without_control_characters(&line)).collect()
}

/// Splits a line into its time and its text. `None` for the continuation of a line.
fn split_time(line: &str) -> Option<(&str, &str)> {
    let (time, text) = (line.get(..TIME_LEN)?, line.get(TIME_LEN..)?);
    let is_time = time.ends_with('Z') && time.as_bytes().get(10) == Some(&b'T');
    is_time.then(|| Some((time, text.strip_prefix(' ')?)))?
}

#[cfg(test)]
mod tests {
    use bue_model::JobId;

    use super::*;

    fn log(lines: &str) -> LogView {
        LogView { job: JobId(19), step: "work".to_owned(), attempt: 1, position: 0, lines: lines.to_owned() }
    }

    #[test]
    fn a_line_begins_with_its_step_and_job() {
        let log = log("2026-09-30T12:00:00.123Z hello\n2026-09-30T12:00:00.124Z \x1b[31mred\u{202e}\n");
        assert_eq!(labelled_lines(&log, 0, false), ["work[19]: hello", "work[19]: [31mred"]);
        assert_eq!(labelled_lines(&log, 0, true)[0], "2026-09-30T12:00:00.123Z work[19]: hello");
    }

    #[test]
    fn what_is_missing_is_said_and_a_continued_line_has_no_time() {
        let lines = labelled_lines(&log("continued\n"), 7, false);
        assert_eq!(lines, ["work[19]: … 7 bytes did not arrive; `bue logs 19` has them", "work[19]: continued"]);
    }
}
