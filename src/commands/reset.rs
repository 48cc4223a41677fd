//! `bue reset [RUN|JOB]`.

use std::io::{self, IsTerminal};

use anyhow::Context;
use bue_client::HubClient;
use bue_model::RunId;
use clap::Args;
use tokio::task::spawn_blocking;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::flags::target::{Target, TargetName};
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{counted, eprint_line, eprint_text};

/// Makes failed jobs run again, with all their attempts; in a cancelled run, also what was cancelled with it.
///
/// A cancelled job runs again with the rest of its call and with what depends on it, unless a loop around it has ended.
///
/// Without a target, resets the failed jobs of all runs that the hub lists, after a question. Without a terminal to ask on, that
/// needs -y.
#[derive(Debug, Args)]
pub(crate) struct Reset {
    /// A run (its id, the first digits of it, or `last`) or the number of a job
    target: Option<TargetName>,
    /// Do not ask before the failed jobs of all runs are reset
    #[arg(short, long)]
    yes: bool,
    #[command(flatten)]
    hub: HubFlags,
}

impl Reset {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let jobs = block_on(interruptible(async {
            let Some(target) = &self.target else { return self.reset_all(&hub).await };
            let jobs = match target.resolve(&hub).await? {
                Target::Run(run) => hub.reset_run(run).await,
                Target::Job(job) => hub.reset_job(job).await,
            };
            Ok(jobs.context("failed to reset")?)
        }))?;
        eprint_line(&format!("jobs reset: {jobs}"));
        Ok(())
    }

    async fn reset_all(&self, hub: &HubClient) -> Result<u64, CommandError> {
        let runs = hub.runs().await.context("failed to list the runs")?;
        let failed: Vec<(RunId, u64)> =
            runs.iter().map(|run| (run.id, run.counts.failed)).filter(|(_, jobs)| *jobs > 0).collect();
        let all: u64 = failed.iter().map(|(_, jobs)| jobs).sum();
        if all > 0 && !self.yes {
            let jobs = counted(usize::try_from(all).unwrap_or(usize::MAX), "failed job");
            confirm(&format!("reset {jobs} of {}?", counted(failed.len(), "run"))).await?;
        }
        let mut jobs = 0;
        for (run, _) in failed {
            jobs += hub.reset_run(run).await.context("failed to reset")?;
        }
        Ok(jobs)
    }
}

/// Asks on the terminal. Any answer but yes ends the command, and so does a standard input that is no terminal.
async fn confirm(question: &str) -> Result<(), CommandError> {
    if !io::stdin().is_terminal() {
        let message =
            format!("{question} Nobody can be asked here: name a run or a job, or type `bue reset -y` for all");
        return Err(CommandError::Usage(message));
    }
    eprint_text(&format!("bue: {question} [y/N] "));
    let read = spawn_blocking(|| io::stdin().lines().next().transpose());
    let answer = read.await.context("failed to read the answer")?.context("failed to read the answer")?;
    match answer.unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(CommandError::Usage("nothing was reset".to_owned())),
    }
}
