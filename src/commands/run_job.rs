//! `bue run-job JOB`.

use anyhow::{Context, anyhow};
use bue_model::{Failure, JobId, Outcome, ValueRef};
use bue_worker::{Ran, run_once};
use clap::Args;
use serde_json::json;

use crate::allow::AllowFlags;
use crate::commands::remote::Servers;
use crate::commands::target::job_id;
use crate::local::prepare;
use crate::reactor::{block_on, interruptible};
use crate::results::ResultWriter;
use crate::services::worker_config;
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{say, say_text};

/// Runs one job again, here and now, in a sandbox of this machine, and reports nothing to the hub.
///
/// For finding out what is wrong with a step: it gets the code and the arguments that the hub has for the job, whatever its
/// state, as long as its parents have completed. What it prints goes to standard error, its result to standard output. The run
/// does not change; what the step does outside its sandbox, it does again. The exit code is 1 if the step failed.
#[derive(Debug, Args)]
pub(crate) struct RunJob {
    /// Number of the job
    #[arg(value_parser = job_id)]
    job: JobId,
    /// One JSON object: job, step, outcome, error, trace, log, value
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: Servers,
    #[command(flatten)]
    allow: AllowFlags,
}

impl RunJob {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        let cache = settings.cache_dir()?;
        let network = self.allow.network(&settings)?;
        block_on(interruptible(async {
            let (hub, bucket) = self.servers.connect(&settings).await?;
            let task = hub.task(self.job).await.context("failed to ask for the job")?;
            let step = task.steps.first().map(|step| step.name.clone()).unwrap_or_default();
            let run = task.leases.first().map(|lease| lease.run).context("the hub told nothing of the job")?;
            let config = worker_config(prepare(cache).await?, Vec::new(), network, &hub, &bucket).await?;
            let (_, own_bucket) = self.servers.connect(&settings).await?;
            let ran = run_once(&config, own_bucket, task).await.context("failed to run the job")?;
            let writer = ResultWriter::new(&hub, &bucket, run);
            match self.json {
                true => self.print_json(writer, &step, &ran).await?,
                false => print_plain(writer, &step, &ran).await?,
            }
            match ran.outcome {
                Outcome::Failed(_) => Err(Stop::Program),
                Outcome::Released { reason } => Err(Stop::Surroundings(anyhow!(reason))),
                _ => Ok(()),
            }
        }))
    }

    async fn print_json(&self, writer: ResultWriter<'_>, step: &str, ran: &Ran) -> Result<(), Stop> {
        let known = json!({
            "job": self.job.0,
            "step": step,
            "outcome": word(&ran.outcome),
            "error": failure(&ran.outcome).map(|failure| &failure.message),
            "trace": failure(&ran.outcome).and_then(|failure| failure.trace.as_ref()),
            "log": String::from_utf8_lossy(&ran.log),
        });
        writer.object_with_value(&known, value(&ran.outcome)).await
    }
}

/// What it printed and what it said are talk, its result is data.
async fn print_plain(writer: ResultWriter<'_>, step: &str, ran: &Ran) -> Result<(), Stop> {
    say_text(&String::from_utf8_lossy(&ran.log));
    match failure(&ran.outcome) {
        None => say(&format!("bue: step `{step}`: {}", word(&ran.outcome))),
        Some(failure) => {
            say(&format!("failed: step `{step}`: {}", failure.message));
            say_text(&failure.trace.as_ref().map_or_else(String::new, |trace| format!("{}\n", trace.trim_end())));
        }
    }
    match value(&ran.outcome) {
        Some(value) => writer.value_line(value).await,
        None => Ok(()),
    }
}

fn value(outcome: &Outcome) -> Option<&ValueRef> {
    match outcome {
        Outcome::Completed { value, .. } => Some(value),
        _ => None,
    }
}

fn failure(outcome: &Outcome) -> Option<&Failure> {
    match outcome {
        Outcome::Failed(failure) => Some(failure),
        _ => None,
    }
}

fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Completed { .. } => "completed",
        Outcome::Pending { .. } => "pending",
        Outcome::Reset { .. } => "reset",
        Outcome::Cancelled => "cancelled",
        Outcome::Failed(_) => "failed",
        Outcome::Released { .. } | Outcome::Keyed { .. } => "not run",
    }
}
