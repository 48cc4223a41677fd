//! `bue errors [RUN]`.

use anyhow::Context;
use bue_client::{BucketClient, HubClient};
use bue_model::RunId;
use bue_model::wire::FailedJob;
use clap::Args;
use serde::Serialize;

use crate::config::settings::Settings;
use crate::flags::client::ClientFlags;
use crate::flags::target::RunName;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{print_json, print_text};
use crate::runs::failure_groups::{FailureGroup, grouped};
use crate::runs::failures::failure_text;
use crate::runs::results::{FailedEntry, failed_entry};

/// Prints failed jobs with their tracebacks.
///
/// Failures of one step with the same message are printed once, with their number and the rounds they happened in; --json prints
/// each job.
#[derive(Debug, Args)]
pub(crate) struct Errors {
    /// A run: its id, the first digits of it, or `last` [default: all runs that the hub lists]
    run: Option<RunName>,
    /// The most jobs to print; without --json, the most different failures
    #[arg(short = 'c', long, value_name = "N", default_value_t = 10)]
    count: usize,
    /// Leave out jobs whose message or traceback contains this text; several texts are separated by commas
    #[arg(short = 'e', long, value_name = "TEXT", value_delimiter = ',')]
    exclude: Vec<String>,
    /// Print one JSON object per line: run, job, step, line, rounds, arguments, attempts, error
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: ClientFlags,
}

impl Errors {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        block_on(interruptible(async {
            let clients = self.servers.connect(&settings).await?;
            self.print(&clients.hub, &clients.bucket).await
        }))
    }

    async fn print(&self, hub: &HubClient, bucket: &BucketClient) -> Result<(), CommandError> {
        let mut remaining = self.count;
        for run in self.runs(hub).await? {
            let page = hub.result_page(run, Default::default()).await.context("failed to fetch the errors")?;
            let failed: Vec<&FailedJob> = page.failed.iter().filter(|job| !self.is_excluded(job)).collect();
            let printed = match self.json {
                true => print_entries(run, &failed, remaining)?,
                false => print_groups(bucket, &grouped(failed), remaining).await?,
            };
            remaining -= printed;
        }
        Ok(())
    }

    async fn runs(&self, hub: &HubClient) -> Result<Vec<RunId>, CommandError> {
        match &self.run {
            Some(run) => Ok(vec![run.resolve(hub).await?]),
            None => {
                let runs = hub.runs().await.context("failed to list the runs")?;
                Ok(runs.into_iter().filter(|run| run.counts.failed > 0).map(|run| run.id).collect())
            }
        }
    }

    fn is_excluded(&self, job: &FailedJob) -> bool {
        let contains = |text: &String| {
            job.failure.message.contains(text) || job.failure.trace.as_ref().is_some_and(|trace| trace.contains(text))
        };
        self.exclude.iter().any(contains)
    }
}

/// Prints at most `limit` different failures, and returns how many.
async fn print_groups(bucket: &BucketClient, groups: &[FailureGroup<'_>], limit: usize) -> Result<usize, CommandError> {
    for group in groups.iter().take(limit) {
        print_text(&failure_text(bucket, group).await)?;
    }
    Ok(groups.len().min(limit))
}

/// Prints a line for each of at most `limit` jobs, and returns how many.
fn print_entries(run: RunId, jobs: &[&FailedJob], limit: usize) -> Result<usize, CommandError> {
    let jobs = jobs.get(..limit).unwrap_or(jobs);
    jobs.iter().try_for_each(|job| print_entry(run, job))?;
    Ok(jobs.len())
}

fn print_entry(run: RunId, job: &FailedJob) -> Result<(), CommandError> {
    #[derive(Serialize)]
    struct Entry<'a> {
        run: RunId,
        #[serde(flatten)]
        failed: FailedEntry<'a>,
    }
    let entry = Entry { run, failed: failed_entry(job) };
    print_json(&entry)
}
