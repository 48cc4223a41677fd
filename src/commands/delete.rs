//! `bue delete RUN`.

use anyhow::Context;
use bue_model::RunId;
use clap::Args;

use crate::commands::remote::HubFlag;
use crate::commands::target::run_id;
use crate::reactor::{block_on, interruptible};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::say;

/// Makes the hub forget a run that is over: its jobs, results and counts.
///
/// What its steps put into the bucket stays there, because other runs may have the same bytes.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Id of the run
    #[arg(value_parser = run_id)]
    run: RunId,
    /// Cancel it first if it is still running
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    hub: HubFlag,
}

impl Delete {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let hub = self.hub.client(&Settings::load()?)?;
        block_on(interruptible(async {
            if self.force {
                hub.cancel_run(self.run).await.context("failed to cancel")?;
            }
            Ok(hub.delete_run(self.run).await.context("failed to delete")?)
        }))?;
        say(&format!("deleted run {}", self.run));
        Ok(())
    }
}
