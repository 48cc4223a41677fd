//! `bue delete RUN`.

use anyhow::Context;
use bue_client::HubClient;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::flags::filter::BulkFlags;
use crate::flags::target::RunName;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::eprint_line;
use crate::runs::bulk::{BulkVerb, change_runs};

/// Deletes a finished run from the hub, or all finished runs that the flags choose: their jobs, results and counts.
///
/// The bucket deletes the code and values that no other run uses after its --grace. Named values stay until they expire or
/// `bue bucket-delete` deletes them.
///
/// Before more than one run is deleted, the command prints how many there are, and asks. Without a terminal to ask on, that needs -y.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The run: its id, the first digits of it, or `last`
    run: Option<RunName>,
    /// Cancel the run first if it is still running, and its `finally` block
    #[arg(long, requires = "run")]
    force: bool,
    #[command(flatten)]
    runs: BulkFlags,
    #[command(flatten)]
    hub: HubFlags,
}

impl Delete {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        block_on(interruptible(async {
            match &self.run {
                Some(run) => self.delete(&hub, run).await,
                None => {
                    self.runs.expect_choice("delete")?;
                    change_runs(&hub, BulkVerb::Delete, self.runs.request()?, self.runs.mode()).await.map(drop)
                }
            }
        }))
    }

    async fn delete(&self, hub: &HubClient, run: &RunName) -> Result<(), CommandError> {
        self.runs.expect_none("delete")?;
        let run = run.resolve(hub).await?;
        if self.force {
            hub.end_run(run).await.context("failed to cancel")?;
        }
        hub.delete_run(run).await.context("failed to delete")?;
        eprint_line(&format!("deleted run {run}"));
        Ok(())
    }
}
