//! `bue errors [RUN]`.

use std::collections::HashSet;

use anyhow::Context;
use bue_client::{BucketClient, HubClient};
use bue_model::wire::FailedJob;
use bue_model::{JobId, RunId};
use clap::Args;
use serde::Serialize;

use crate::config::settings::Settings;
use crate::flags::client::ClientFlags;
use crate::flags::target::RunName;
use crate::process::clock::now;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{counted, eprint_line, print_json, print_line, print_text};
use crate::process::terminal::stdout_width;
use crate::runs::failed_list::{FailureGroups, group_table, read_failed, read_groups};
use crate::runs::failure_groups::{FailureGroup, grouped};
use crate::runs::failures::failure_text;
use crate::runs::results::{FailedEntry, failed_entry};

/// Failed jobs among which the runs are found.
const MAX_LISTED: usize = 1_000;

/// Prints failed jobs with their tracebacks, or counts the failures of all runs.
///
/// Failures of one step with the same message are printed once, with their number and the rounds they happened in; --json prints
/// each job. --group prints one line for all failures of a step whose messages begin alike, in whatever runs.
#[derive(Debug, Args)]
pub(crate) struct Errors {
    /// A run: its id, the first digits of it, or `last` [default: all runs]
    run: Option<RunName>,
    /// Count the failures of all runs, by step and the first line of the message, in which numbers do not matter
    #[arg(long, conflicts_with_all = ["run", "exclude"])]
    group: bool,
    /// Print only failures of this step
    #[arg(long, value_name = "STEP")]
    step: Option<String>,
    /// Print only what failed since then: 2h, 2026-11-01 or 2026-11-01T06:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "run")]
    since: Option<String>,
    /// The most jobs to print; without --json, the most different failures
    #[arg(short = 'c', long, value_name = "N", default_value_t = 10)]
    count: usize,
    /// Leave out jobs whose message or traceback contains this text; several texts are separated by commas
    #[arg(short = 'e', long, value_name = "TEXT", value_delimiter = ',')]
    exclude: Vec<String>,
    /// Print one JSON object per line: run, job, step, line, rounds, arguments, attempts, error; with --group: step, message, count,
    /// newest, oldest
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
            match self.group {
                true => self.print_counts(&clients.hub).await,
                false => self.print(&clients.hub, &clients.bucket).await,
            }
        }))
    }

    async fn print(&self, hub: &HubClient, bucket: &BucketClient) -> Result<(), CommandError> {
        let mut remaining = self.count;
        for (run, jobs) in self.runs(hub).await? {
            if remaining == 0 {
                break;
            }
            let page = hub.result_page(run, Default::default()).await.context("failed to fetch the errors")?;
            let is_wanted =
                |job: &&FailedJob| self.is_wanted(job) && jobs.as_ref().is_none_or(|jobs| jobs.contains(&job.job));
            let failed: Vec<&FailedJob> = page.failed.iter().filter(is_wanted).collect();
            let printed = match self.json {
                true => print_entries(run, &failed, remaining)?,
                false => print_groups(bucket, &grouped(failed), remaining).await?,
            };
            remaining -= printed;
        }
        Ok(())
    }

    /// Prints a line for each group of failures, that of the latest failure first.
    async fn print_counts(&self, hub: &HubClient) -> Result<(), CommandError> {
        let FailureGroups { groups, is_complete } = read_groups(hub, &self.filters()).await?;
        if !is_complete {
            eprint_line(
                "bue: older failures are not counted, because there are too many groups; --since or --step leaves fewer",
            );
        }
        let shown = groups.get(..self.count).unwrap_or(&groups);
        if self.json {
            return shown.iter().try_for_each(print_json);
        }
        print_line(&group_table(shown, now(), stdout_width()))?;
        if groups.len() > shown.len() {
            let more = counted(groups.len() - shown.len(), "more group");
            eprint_line(&format!("… and {more}; `bue errors --group -c {}` prints all", groups.len()));
        }
        Ok(())
    }

    /// Returns the runs to print, those with the latest failures first, and which of their failed jobs; `None` for all.
    async fn runs(&self, hub: &HubClient) -> Result<Vec<(RunId, Option<HashSet<JobId>>)>, CommandError> {
        if let Some(run) = &self.run {
            return Ok(vec![(run.resolve(hub).await?, None)]);
        }
        let runs = read_failed(hub, &self.filters(), MAX_LISTED).await?;
        Ok(runs.into_iter().map(|(run, jobs)| (run, Some(jobs))).collect())
    }

    fn filters(&self) -> Vec<(&'static str, &str)> {
        let filters = [("step", &self.step), ("since", &self.since)];
        filters.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))).collect()
    }

    fn is_wanted(&self, job: &FailedJob) -> bool {
        self.step.as_ref().is_none_or(|step| *step == job.step) && !self.is_excluded(job)
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
