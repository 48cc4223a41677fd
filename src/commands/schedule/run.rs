//! `bue schedule run NAME`.

use anyhow::Context;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{print_json, print_line};

/// Starts a run of a schedule now, whether or not it is paused, and prints its id.
///
/// The time of the run is now. Its next due time stays the same.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The name of the schedule
    name: String,
    /// Print JSON: {"run": ID, "state": STATE}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubFlags,
}

impl Run {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let start = async { Ok(hub.run_schedule(&self.name).await.context("failed to start the run")?) };
        let started = block_on(interruptible(start))?;
        if self.json { print_json(&started) } else { print_line(&started.run.to_string()) }
    }
}
