//! How a command ends when it does not end well, and the exit code of each way.

use std::io;
use std::panic;
use std::process::ExitCode;

use crate::talk::say;

/// Exit code of a wrong program or a failed run.
const PROGRAM: u8 = 1;
/// Exit code of wrong usage; clap's too.
const USAGE: u8 = 2;
/// Exit code of a failure of bue or its surroundings.
const SURROUNDINGS: u8 = 3;
/// Exit code after Ctrl-C, as shells have it.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command stopped short.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The user's program is wrong or a run failed. Everything was said already.
    Program,
    /// The command line or the settings make no sense.
    Usage(String),
    /// bue or its surroundings failed: hub unreachable, disk full.
    Surroundings(anyhow::Error),
    /// Ctrl-C.
    Interrupted,
    /// Nobody reads our stdout any more (`bue result … | head`): nothing is wrong.
    NobodyListens,
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Surroundings(error)
    }
}

impl Stop {
    /// What a failed write to stdout means.
    pub(crate) fn from_stdout(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::NobodyListens,
            _ => Self::Surroundings(anyhow::Error::new(error).context("failed to write to stdout")),
        }
    }
}

/// Runs a command, says what stopped it, and gives the exit code. A panic is a bug of ours: code 3.
pub(crate) fn exit_code(command: impl FnOnce() -> Result<(), Stop> + panic::UnwindSafe) -> ExitCode {
    let Ok(ended) = panic::catch_unwind(command) else { return ExitCode::from(SURROUNDINGS) };
    match ended {
        Ok(()) | Err(Stop::NobodyListens) => ExitCode::SUCCESS,
        Err(Stop::Program) => ExitCode::from(PROGRAM),
        Err(Stop::Usage(message)) => {
            say(&format!("bue: {message}"));
            ExitCode::from(USAGE)
        }
        Err(Stop::Surroundings(error)) => {
            say(&format!("bue: {}", told(&error)));
            ExitCode::from(SURROUNDINGS)
        }
        Err(Stop::Interrupted) => {
            say("bue: interrupted");
            ExitCode::from(INTERRUPTED)
        }
    }
}

/// An error and its causes in one line. A cause that the text before it already ends with is not said again.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// A panic becomes one line that says whose fault it is, instead of Rust's own words.
pub(crate) fn report_panics() {
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(String::new, |place| format!(" at {place}"));
        let message = panic.payload_as_str().unwrap_or("no message");
        say(&format!("bue: a bug in bue itself{place}: {message}"));
    }));
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let error = anyhow!("disk full").context("cannot write: disk full").context("failed to keep the run");
        assert_eq!(told(&error), "failed to keep the run: cannot write: disk full");
    }
}
