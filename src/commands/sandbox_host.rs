//! `bue sandbox-host`: the process that a worker starts for each core. Not for people.

use std::process::ExitCode;

use bue_runtime::serve_sandbox_host;
use clap::Args;

use crate::stop::Stop;

/// Runs steps for the worker that started it.
#[derive(Debug, Args)]
pub(crate) struct SandboxHost {}

impl SandboxHost {
    /// Ends the process with the code of the loop: there is nobody to tell anything to.
    pub(crate) fn execute(self) -> Result<(), Stop> {
        match serve_sandbox_host() == ExitCode::SUCCESS {
            true => Ok(()),
            false => Err(Stop::Program),
        }
    }
}
