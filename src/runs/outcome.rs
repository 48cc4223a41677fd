//! Whether a run succeeded.

use bue_model::RunState;

use crate::process::command_error::CommandError;

/// Returns an error for a run that failed or was cancelled: exit code 1.
pub(crate) fn expect_success(state: RunState) -> Result<(), CommandError> {
    match state {
        RunState::Running | RunState::Completed => Ok(()),
        RunState::Failed | RunState::Cancelled => Err(CommandError::ProgramFailed),
    }
}
