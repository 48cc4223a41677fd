//! `bue unpublish NAME`.

use anyhow::Context;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::eprint_line;

/// Removes a published pipeline. Its runs go on.
#[derive(Debug, Args)]
pub(crate) struct Unpublish {
    /// The name of the pipeline
    name: String,
    #[command(flatten)]
    hub: HubFlags,
}

impl Unpublish {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        block_on(interruptible(async { Ok(hub.unpublish(&self.name).await.context("failed to unpublish")?) }))?;
        eprint_line(&format!("bue: {} is not published any more", self.name));
        Ok(())
    }
}
