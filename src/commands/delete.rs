//! `bue delete RUN`.

use anyhow::Context;
use bue_model::RunId;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::flags::target::parse_run_id;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::eprint_line;

/// Deletes a finished run from the hub: its jobs, results and counts.
///
/// The bucket deletes the code and values that no other run uses after its --grace. Named values stay until they expire or
/// `bue bucket-delete` deletes them.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Id of the run
    #[arg(value_parser = parse_run_id)]
    run: RunId,
    /// Cancel the run first if it is still running
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    hub: HubFlags,
}

impl Delete {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        block_on(interruptible(async {
            if self.force {
                hub.cancel_run(self.run).await.context("failed to cancel")?;
            }
            Ok(hub.delete_run(self.run).await.context("failed to delete")?)
        }))?;
        eprint_line(&format!("deleted run {}", self.run));
        Ok(())
    }
}
