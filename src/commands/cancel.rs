//! `bue cancel RUN`.

use anyhow::Context;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::flags::target::{Target, TargetName};
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::eprint_line;

/// Cancels a run, or a single call in it.
///
/// The number of a job cancels the call it belongs to and everything that depends on it.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// A run (its id, the first digits of it, or `last`) or the number of a job
    target: TargetName,
    #[command(flatten)]
    hub: HubFlags,
}

impl Cancel {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let jobs = block_on(interruptible(async {
            let jobs = match self.target.resolve(&hub).await? {
                Target::Run(run) => hub.cancel_run(run).await,
                Target::Job(job) => hub.cancel_job(job).await,
            };
            Ok(jobs.context("failed to cancel")?)
        }))?;
        eprint_line(&format!("jobs cancelled: {jobs}"));
        Ok(())
    }
}
