//! `bue sandbox-host`: the process that a worker starts for each core. Users do not call it.

use std::process::ExitCode;

use bue_runtime::serve_sandbox_host;
use clap::Args;

use crate::process::command_error::CommandError;

/// Runs steps for the worker that started it.
#[derive(Debug, Args)]
pub(crate) struct SandboxHost {}

impl SandboxHost {
    /// Exits without a message: the worker notices that the process has ended.
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        match serve_sandbox_host() == ExitCode::SUCCESS {
            true => Ok(()),
            false => Err(CommandError::ProgramFailed),
        }
    }
}
