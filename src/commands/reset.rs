//! `bue reset [RUN|JOB]`.

use anyhow::Context;
use bue_client::HubClient;
use clap::Args;

use crate::commands::remote::HubFlag;
use crate::commands::target::Target;
use crate::reactor::{block_on, interruptible};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::say;

/// Puts failed jobs back, with fresh attempts.
///
/// Without a target, those of all runs the hub lists.
#[derive(Debug, Args)]
pub(crate) struct Reset {
    /// Id of a run, or number of a job
    target: Option<Target>,
    #[command(flatten)]
    hub: HubFlag,
}

impl Reset {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let hub = self.hub.client(&Settings::load()?)?;
        let jobs = block_on(interruptible(async {
            let reset = match self.target {
                Some(Target::Run(run)) => hub.reset_run(run).await,
                Some(Target::Job(job)) => hub.reset_job(job).await,
                None => return reset_all(&hub).await,
            };
            Ok(reset.context("failed to reset")?)
        }))?;
        say(&format!("jobs put back: {jobs}"));
        Ok(())
    }
}

async fn reset_all(hub: &HubClient) -> Result<u64, Stop> {
    let mut jobs = 0;
    for run in hub.runs().await.context("failed to list the runs")? {
        if run.steps.iter().any(|step| step.failed > 0) {
            jobs += hub.reset_run(run.id).await.context("failed to reset")?;
        }
    }
    Ok(jobs)
}
