//! `bue cancel RUN`.

use anyhow::Context;
use clap::Args;

use crate::commands::remote::HubFlag;
use crate::commands::target::Target;
use crate::reactor::{block_on, interruptible};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::say;

/// Calls a run off, or a single call of it.
///
/// A job's number calls off the call it belongs to and what depends on it.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// Id of a run, or number of a job
    target: Target,
    #[command(flatten)]
    hub: HubFlag,
}

impl Cancel {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let hub = self.hub.client(&Settings::load()?)?;
        let jobs = block_on(interruptible(async {
            let cancelled = match self.target {
                Target::Run(run) => hub.cancel_run(run).await,
                Target::Job(job) => hub.cancel_job(job).await,
            };
            Ok(cancelled.context("failed to cancel")?)
        }))?;
        say(&format!("jobs cancelled: {jobs}"));
        Ok(())
    }
}
