//! `bue schedule remove NAME`.

use anyhow::Context;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::eprint_line;

/// Removes a schedule. Runs that have started go on.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The name of the schedule
    name: String,
    #[command(flatten)]
    hub: HubFlags,
}

impl Remove {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        block_on(interruptible(async {
            Ok(hub.remove_schedule(&self.name).await.context("failed to remove the schedule")?)
        }))?;
        eprint_line(&format!("bue: {} is removed", self.name));
        Ok(())
    }
}
