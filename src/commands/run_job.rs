//! `bue run-job JOB`.

use anyhow::Context;
use bue_model::JobId;
use bue_worker::run_job;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::allow::AllowFlags;
use crate::flags::client::{ClientFlags, Clients};
use crate::flags::target::parse_job_id;
use crate::flags::wall::WallFlag;
use crate::local::worker::worker_config;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::runs::attempt::{expect_outcome, print_attempt, print_attempt_as_json};
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
                true => print_attempt_as_json(writer, Some(self.job), &step, &attempt).await?,
                false => print_attempt(writer, &step, &attempt).await?,
            }
            expect_outcome(&attempt.outcome)
        }))
    }
}
