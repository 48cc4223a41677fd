//! `bue wait RUN`.

use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::ClientFlags;
use crate::flags::target::RunName;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::eprint_line;
use crate::runs::follow::wait_for_run;
use crate::runs::outcome::expect_success;

/// Waits until a run has ended, and shows its progress.
///
/// The exit code is 0 if it completed, 1 if it failed or was cancelled. Ctrl-C stops the waiting, not the run.
#[derive(Debug, Args)]
pub(crate) struct Wait {
    /// The run: its id, the first digits of it, or `last`
    run: RunName,
    #[command(flatten)]
    servers: ClientFlags,
}

impl Wait {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        let (run, state) = block_on(interruptible(async {
            let clients = self.servers.connect(&settings).await?;
            let run = self.run.resolve(&clients.hub).await?;
            Ok((run, wait_for_run(&clients.hub, &clients.bucket, run).await?))
        }))?;
        eprint_line(&format!("run {run} {}", state.name()));
        expect_success(state)
    }
}
