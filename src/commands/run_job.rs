//! `bue run-job JOB`.

use anyhow::{Context, anyhow};
use bue_model::{Failure, JobId, Outcome, ValueRef};
use bue_worker::{JobRun, run_job};
use clap::Args;
use serde_json::json;

use crate::config::settings::Settings;
use crate::flags::allow::AllowFlags;
use crate::flags::client::{ClientFlags, Clients};
use crate::flags::target::parse_job_id;
use crate::flags::wall::WallFlag;
use crate::local::worker::worker_config;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{eprint_line, eprint_text};
use crate::runs::results::ResultWriter;
use crate::sandbox::prepare_sandbox;

/// Runs one job again, in a sandbox on this machine, without reporting to the hub.
///
/// Use this to debug a step: it gets the code and the arguments that the hub has for the job, whatever the job's state, as
/// long as its parents have completed. Its log goes to stderr, its result to stdout. The run does not change, but side effects
/// of the step outside its sandbox happen again. The exit code is 1 if the step failed.
#[derive(Debug, Args)]
pub(crate) struct RunJob {
    /// Number of the job
    #[arg(value_parser = parse_job_id)]
    job: JobId,
    /// Print one JSON object: job, step, outcome, error, trace, log, value
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: ClientFlags,
    #[command(flatten)]
    allow: AllowFlags,
    #[command(flatten)]
    wall: WallFlag,
}

impl RunJob {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        let cache = settings.cache_dir()?;
        let network = self.allow.network(&settings)?;
        let wall = self.wall.mode(&settings)?;
        block_on(interruptible(async {
            let Clients { hub, bucket } = self.servers.connect(&settings).await?;
            let task = hub.task(self.job).await.context("failed to fetch the job")?;
            let step = task.steps.first().map(|step| step.name.clone()).unwrap_or_default();
            let run = task.leases.first().map(|lease| lease.run).context("the hub's answer has no job")?;
            let config = worker_config(prepare_sandbox(cache).await?, Vec::new(), network, wall, &hub, &bucket).await?;
            let worker_bucket = self.servers.connect(&settings).await?.bucket;
            let attempt = run_job(&config, worker_bucket, task).await.context("failed to run the job")?;
            let writer = ResultWriter::new(&hub, &bucket, run);
            match self.json {
                true => self.print_json(writer, &step, &attempt).await?,
                false => print_plain(writer, &step, &attempt).await?,
            }
            match attempt.outcome {
                Outcome::Failed(_) => Err(CommandError::ProgramFailed),
                Outcome::Released { reason, .. } => Err(CommandError::Environment(anyhow!(reason))),
                _ => Ok(()),
            }
        }))
    }

    async fn print_json(&self, writer: ResultWriter<'_>, step: &str, attempt: &JobRun) -> Result<(), CommandError> {
        let object = json!({
            "job": self.job.0,
            "step": step,
            "outcome": outcome_name(&attempt.outcome),
            "error": failure(&attempt.outcome).map(|failure| &failure.message),
            "trace": failure(&attempt.outcome).and_then(|failure| failure.trace.as_ref()),
            "log": String::from_utf8_lossy(&attempt.log),
        });
        writer.write_object_with_value(&object, value(&attempt.outcome)).await
    }
}

/// Log and failure are messages, the result is data.
async fn print_plain(writer: ResultWriter<'_>, step: &str, attempt: &JobRun) -> Result<(), CommandError> {
    eprint_text(&String::from_utf8_lossy(&attempt.log));
    match failure(&attempt.outcome) {
        None => eprint_line(&format!("bue: step `{step}`: {}", outcome_name(&attempt.outcome))),
        Some(failure) => {
            eprint_line(&format!("failed: step `{step}`: {}", failure.message));
            eprint_text(&failure.trace.as_ref().map_or_else(String::new, |trace| format!("{}\n", trace.trim_end())));
        }
    }
    match value(&attempt.outcome) {
        Some(value) => writer.write_value(value).await,
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

fn outcome_name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Completed { .. } => "completed",
        Outcome::Pending { .. } => "pending",
        Outcome::Reset { .. } => "reset",
        Outcome::Cancelled => "cancelled",
        Outcome::Failed(_) => "failed",
        Outcome::Released { .. } | Outcome::Keyed { .. } => "not run",
    }
}
