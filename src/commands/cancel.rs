//! `bue cancel RUN`.

use anyhow::Context;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::flags::filter::BulkFlags;
use crate::flags::target::{Target, TargetName};
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::eprint_line;
use crate::runs::bulk::{BulkVerb, change_runs};

/// Cancels a run, a single call in it, or all runs that the flags choose.
///
/// The number of a job cancels the call it belongs to and everything that depends on it.
///
/// Before more than one run is cancelled, the command prints how many jobs that concerns, and asks. Without a terminal to ask on, that
/// needs -y.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// A run (its id, the first digits of it, or `last`) or the number of a job
    target: Option<TargetName>,
    #[command(flatten)]
    runs: BulkFlags,
    #[command(flatten)]
    hub: HubFlags,
}

impl Cancel {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let jobs = block_on(interruptible(async {
            let Some(target) = &self.target else {
                self.runs.expect_choice("cancel")?;
                return change_runs(&hub, BulkVerb::Cancel, self.runs.request()?, self.runs.mode()).await;
            };
            self.runs.expect_none("cancel")?;
            let jobs = match target.resolve(&hub).await? {
                Target::Run(run) => hub.cancel_run(run).await,
                Target::Job(job) => hub.cancel_job(job).await,
            };
            Ok(Some(jobs.context("failed to cancel")?))
        }))?;
        if let Some(jobs) = jobs {
            eprint_line(&format!("jobs cancelled: {jobs}"));
        }
        Ok(())
    }
}
