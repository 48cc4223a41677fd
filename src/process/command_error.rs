//! Why a command failed.

use std::error::Error;
use std::io;

use bue_client::ClientError;

/// Why a command failed. `exit.rs` maps each variant to an exit code.
#[derive(Debug)]
pub(crate) enum CommandError {
    /// The user's program is wrong, or a run failed. The reason has been printed already.
    ProgramFailed,
    /// The command line or the settings are invalid.
    Usage(String),
    /// What the command line names does not exist, is ambiguous or does not fit.
    NotFound(String),
    /// bue or its environment failed: the hub is unreachable, the disk is full.
    Environment(anyhow::Error),
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// The reader of stdout has gone away (`bue result … | head`), which is not a failure.
    StdoutClosed,
}

impl From<anyhow::Error> for CommandError {
    fn from(error: anyhow::Error) -> Self {
        let is_refused = |cause: &(dyn Error + 'static)| {
            cause.downcast_ref::<ClientError>().is_some_and(|error| error.is_not_found() || error.is_unfit())
        };
        match error.chain().find(|cause| is_refused(*cause)) {
            Some(cause) => Self::NotFound(cause.to_string()),
            None => Self::Environment(error),
        }
    }
}

impl CommandError {
    /// Converts the error of a write to stdout.
    pub(crate) fn from_stdout(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::StdoutClosed,
            _ => Self::Environment(anyhow::Error::new(error).context("failed to write to stdout")),
        }
    }
}
