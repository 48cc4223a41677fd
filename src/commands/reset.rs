//! `bue reset [RUN|JOB]`.

use anyhow::Context;
use bue_client::HubClient;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::flags::target::{Target, TargetName};
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::eprint_line;

/// Makes failed jobs run again, with all their attempts.
///
/// Without a target, resets the failed jobs of all runs that the hub lists.
#[derive(Debug, Args)]
pub(crate) struct Reset {
    /// A run (its id, the first digits of it, or `last`) or the number of a job
    target: Option<TargetName>,
    #[command(flatten)]
    hub: HubFlags,
}

impl Reset {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let jobs = block_on(interruptible(async {
            let Some(target) = &self.target else { return reset_all(&hub).await };
            let jobs = match target.resolve(&hub).await? {
                Target::Run(run) => hub.reset_run(run).await,
                Target::Job(job) => hub.reset_job(job).await,
            };
            Ok(jobs.context("failed to reset")?)
        }))?;
        eprint_line(&format!("jobs reset: {jobs}"));
        Ok(())
    }
}

async fn reset_all(hub: &HubClient) -> Result<u64, CommandError> {
    let mut jobs = 0;
    for run in hub.runs().await.context("failed to list the runs")? {
        if run.steps.iter().any(|step| step.failed > 0) {
            jobs += hub.reset_run(run.id).await.context("failed to reset")?;
        }
    }
    Ok(jobs)
}
