//! `bue sandbox-host`: the process that a worker starts for each core. Users do not call it.

use std::process::ExitCode;

use bue_runtime::{ChildRole, EscapeTarget, serve_as_if_escaped, serve_sandbox_host};
use clap::Args;

use crate::process::command_error::CommandError;

/// Runs steps for the worker that started it.
#[derive(Debug, Args)]
pub(crate) struct SandboxHost {
    /// Behave as if a guest had escaped: try to reach a secret file, a folder and another process, and report what was possible.
    /// For tests of the wall
    #[arg(long, hide = true, num_args = 3, value_names = ["FILE", "DIR", "PID"])]
    as_if_escaped: Vec<String>,
}

impl SandboxHost {
    /// Exits without a message: the worker notices that the process has ended.
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let exit_code = match &self.as_if_escaped[..] {
            [file, folder, process] => {
                let process =
                    process.parse().map_err(|_| CommandError::Usage("the third value is a process".to_owned()))?;
                serve_as_if_escaped(&EscapeTarget::new(file.clone(), folder.clone(), process), ChildRole::SandboxHost)
            }
            _ => serve_sandbox_host(),
        };
        match exit_code == ExitCode::SUCCESS {
            true => Ok(()),
            false => Err(CommandError::ProgramFailed),
        }
    }
}
