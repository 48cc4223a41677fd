//! How the process ends: the exit code of each outcome, and the message of an error or a panic.

use std::panic;
use std::process::ExitCode;

use crate::process::command_error::CommandError;
use crate::process::output::eprint_line;

/// Exit code of a wrong program, a failed run, or a run, job or key that does not exist.
const PROGRAM_FAILED: u8 = 1;
/// Exit code of wrong usage; clap uses the same.
const USAGE: u8 = 2;
/// Exit code of a failure of bue or its environment.
const ENVIRONMENT: u8 = 3;
/// Exit code after Ctrl-C: 128 plus the number of SIGINT, as in shells.
pub(crate) const INTERRUPTED: u8 = 130;

/// Runs a command, prints its error, and returns the exit code. A panic is a bug in bue: code 3.
pub(crate) fn exit_code(command: impl FnOnce() -> Result<(), CommandError> + panic::UnwindSafe) -> ExitCode {
    let Ok(outcome) = panic::catch_unwind(command) else { return ExitCode::from(ENVIRONMENT) };
    match outcome {
        Ok(()) | Err(CommandError::StdoutClosed) => ExitCode::SUCCESS,
        Err(CommandError::ProgramFailed) => ExitCode::from(PROGRAM_FAILED),
        Err(CommandError::Usage(message)) => {
            eprint_line(&format!("bue: {message}"));
            ExitCode::from(USAGE)
        }
        Err(CommandError::NotFound(message)) => {
            eprint_line(&format!("bue: {message}"));
            ExitCode::from(PROGRAM_FAILED)
        }
        Err(CommandError::Environment(error)) => {
            eprint_line(&format!("bue: {}", error_chain(&error)));
            ExitCode::from(ENVIRONMENT)
        }
        Err(CommandError::Interrupted) => {
            eprint_line("bue: interrupted");
            ExitCode::from(INTERRUPTED)
        }
    }
}

/// Formats an error and its causes on one line, leaving out a cause that the text before it already ends with.
fn error_chain(error: &anyhow::Error) -> String {
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

/// Replaces Rust's panic message by one line: this is a bug of bue.
pub(crate) fn install_panic_hook() {
    panic::set_hook(Box::new(|panic| {
        let location = panic.location().map_or_else(String::new, |location| format!(" at {location}"));
        let message = panic.payload_as_str().unwrap_or("no message");
        eprint_line(&format!("bue: a bug in bue itself{location}: {message}"));
    }));
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_printed_once() {
        let error = anyhow!("disk full").context("cannot write: disk full").context("failed to keep the run");
        assert_eq!(error_chain(&error), "failed to keep the run: cannot write: disk full");
    }
}
