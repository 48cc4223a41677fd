//! `bue schedule resume NAME`.

use anyhow::Context;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::eprint_line;

/// Resumes a schedule, from its next due time on. What was due in the meantime is not made up for, see `backfill`.
#[derive(Debug, Args)]
pub(crate) struct Resume {
    /// The name of the schedule
    name: String,
    #[command(flatten)]
    hub: HubFlags,
}

impl Resume {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        block_on(interruptible(async {
            Ok(hub.resume_schedule(&self.name).await.context("failed to resume the schedule")?)
        }))?;
        eprint_line(&format!("bue: {} is active", self.name));
        Ok(())
    }
}
