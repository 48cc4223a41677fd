//! `bue reset [RUN|JOB]`.

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

/// Makes failed jobs run again, with all their attempts; in a cancelled run, also what was cancelled with it.
///
/// A cancelled job runs again with the rest of its call and with what depends on it, unless a loop around it has ended.
///
/// Without a target, resets the failed jobs of the runs that the flags choose, or of all runs, but of no cancelled ones. With --step or
/// --error, resets only the failed jobs that these choose. Before jobs of more than one run are reset, the command prints how many there
/// are, and asks. Without a terminal to ask on, that needs -y.
#[derive(Debug, Args)]
pub(crate) struct Reset {
    /// A run (its id, the first digits of it, or `last`) or the number of a job
    target: Option<TargetName>,
    #[command(flatten)]
    runs: BulkFlags,
    #[command(flatten)]
    hub: HubFlags,
}

impl Reset {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let jobs = block_on(interruptible(async {
            let Some(target) = &self.target else {
                let mut request = self.runs.request()?;
                request.all = true;
                return change_runs(&hub, BulkVerb::Reset, request, self.runs.mode()).await;
            };
            self.runs.expect_none("reset")?;
            let jobs = match target.resolve(&hub).await? {
                Target::Run(run) => hub.reset_run(run).await,
                Target::Job(job) => hub.reset_job(job).await,
            };
            Ok(Some(jobs.context("failed to reset")?))
        }))?;
        if let Some(jobs) = jobs {
            eprint_line(&format!("jobs reset: {jobs}"));
        }
        Ok(())
    }
}
