//! `bue reset [RUN|JOB]`.

use anyhow::Context;
use bue_client::HubClient;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::flags::target::Target;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::eprint_line;

/// Makes failed jobs run again, with all their attempts.
///
/// Without a target, resets the failed jobs of all runs that the hub lists.
#[derive(Debug, Args)]
pub(crate) struct Reset {
    /// Id of a run, or number of a job
    target: Option<Target>,
    #[command(flatten)]
    hub: HubFlags,
}

impl Reset {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let jobs = block_on(interruptible(async {
            let jobs = match self.target {
                Some(Target::Run(run)) => hub.reset_run(run).await,
                Some(Target::Job(job)) => hub.reset_job(job).await,
                None => return reset_all(&hub).await,
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
