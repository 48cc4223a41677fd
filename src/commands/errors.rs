//! `bue errors [RUN]`.

use anyhow::Context;
use bue_client::{BucketClient, HubClient};
use bue_model::RunId;
use bue_model::wire::FailedJob;
use clap::Args;
use serde::Serialize;

use crate::commands::remote::Servers;
use crate::commands::target::run_id;
use crate::failures::failure_text;
use crate::reactor::{block_on, interruptible};
use crate::results::{FailedEntry, failed_entry};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{print, print_text};

/// Prints failed jobs with their tracebacks.
#[derive(Debug, Args)]
pub(crate) struct Errors {
    /// Id of a run; all runs the hub lists otherwise
    #[arg(value_parser = run_id)]
    run: Option<RunId>,
    /// At most so many
    #[arg(short = 'c', long, value_name = "N", default_value_t = 10)]
    count: usize,
    /// Leave out those whose message or traceback has this text; several separated by commas
    #[arg(short = 'e', long, value_name = "TEXT", value_delimiter = ',')]
    exclude: Vec<String>,
    /// One JSON object a line: run, job, step, attempts, error
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: Servers,
}

impl Errors {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        block_on(interruptible(async {
            let (hub, bucket) = self.servers.connect(&settings).await?;
            self.print(&hub, &bucket).await
        }))
    }

    async fn print(&self, hub: &HubClient, bucket: &BucketClient) -> Result<(), Stop> {
        let mut left = self.count;
        for run in self.runs(hub).await? {
            let page = hub.result_page(run, Default::default()).await.context("failed to ask for errors")?;
            for job in page.failed.iter().filter(|job| self.wants(job)).take(left) {
                match self.json {
                    true => print_entry(run, job)?,
                    false => print_text(&failure_text(bucket, job).await)?,
                }
                left -= 1;
            }
        }
        Ok(())
    }

    async fn runs(&self, hub: &HubClient) -> Result<Vec<RunId>, Stop> {
        match self.run {
            Some(run) => Ok(vec![run]),
            None => {
                let runs = hub.runs().await.context("failed to list the runs")?;
                let failed = |step: &bue_model::wire::StepView| step.failed > 0;
                Ok(runs.into_iter().filter(|run| run.steps.iter().any(failed)).map(|run| run.id).collect())
            }
        }
    }

    fn wants(&self, job: &FailedJob) -> bool {
        let has = |text: &String| {
            job.failure.message.contains(text) || job.failure.trace.as_ref().is_some_and(|trace| trace.contains(text))
        };
        !self.exclude.iter().any(has)
    }
}

fn print_entry(run: RunId, job: &FailedJob) -> Result<(), Stop> {
    #[derive(Serialize)]
    struct Entry<'a> {
        run: RunId,
        #[serde(flatten)]
        failed: FailedEntry<'a>,
    }
    let entry = Entry { run, failed: failed_entry(job) };
    print(&serde_json::to_string(&entry).context("failed to write JSON")?)
}
