//! `bue delete RUN`.

use anyhow::Context;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::flags::target::RunName;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::eprint_line;

/// Deletes a finished run from the hub: its jobs, results and counts.
///
/// The bucket deletes the code and values that no other run uses after its --grace. Named values stay until they expire or
/// `bue bucket-delete` deletes them.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The run: its id, the first digits of it, or `last`
    run: RunName,
    /// Cancel the run first if it is still running, and its `finally` block
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    hub: HubFlags,
}

impl Delete {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let run = block_on(interruptible(async {
            let run = self.run.resolve(&hub).await?;
            if self.force {
                hub.end_run(run).await.context("failed to cancel")?;
            }
            hub.delete_run(run).await.context("failed to delete")?;
            Ok(run)
        }))?;
        eprint_line(&format!("deleted run {run}"));
        Ok(())
    }
}
