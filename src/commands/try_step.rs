//! `bue try FILE STEP`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use bue_model::param::read_json;
use bue_model::wire::{JobInput, JobQuery, LeaseBatch};
use bue_model::{ValueRef, cbor};
use bue_worker::run_job;
use bytes::Bytes;
use clap::{Args, ValueEnum};

use crate::config::settings::Settings;
use crate::flags::allow::AllowFlags;
use crate::flags::wall::WallFlag;
use crate::local::services::{ServiceOptions, Services};
use crate::local::worker::worker_config;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::runs::attempt::{expect_outcome, print_attempt, print_attempt_as_json};
use crate::runs::results::ResultWriter;
use crate::runs::submit::submit;
use crate::sandbox::prepare_sandbox;
use crate::script::check::{CheckedScript, load_step};

/// Runs a single step of a script once, in a sandbox on this machine.
///
/// The step gets the values of --input as its arguments, in this order. Its log goes to stderr, its result to stdout. A step
/// that answers `pending` is not called again. The exit code is 1 if the step failed.
#[derive(Debug, Args)]
pub(crate) struct Try {
    /// The script
    file: PathBuf,
    /// The name of the step
    step: String,
    /// An argument of the step, as JSON or as the name of a file with JSON. Can be repeated
    #[arg(short, long, value_name = "JSON|@FILE")]
    input: Vec<String>,
    /// Print one JSON object: step, outcome, error, trace, log, value
    #[arg(long)]
    json: bool,
    /// How --json writes the value: `json`, or `cbor` for {"cbor": BASE64}, which loses no types
    #[arg(long, value_enum, value_name = "FORM", default_value_t = ValueForm::Json, requires = "json")]
    values: ValueForm,
    #[command(flatten)]
    allow: AllowFlags,
    #[command(flatten)]
    wall: WallFlag,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ValueForm {
    /// As docs/results.md describes
    Json,
    /// As the hub stores it, in base64
    Cbor,
}

impl Try {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        let inputs: Vec<JobInput> = self.input.iter().map(|text| input(text)).collect::<Result<_, _>>()?;
        let script = load_step(&self.file, &self.step, &settings)?;
        let (cache, network, wall) =
            (settings.cache_dir()?, self.allow.network(&settings)?, self.wall.mode(&settings)?);
        block_on(interruptible(async {
            let services = Services::start(None, ServiceOptions::default()).await?;
            let (run, task) = task(&services, &script, inputs).await?;
            let prepared = prepare_sandbox(cache).await?;
            let config = worker_config(prepared, Vec::new(), network, wall, &services.hub, &services.bucket).await?;
            let attempt =
                run_job(&config, services.client_of_bucket()?, task).await.context("failed to run the step")?;
            let writer = ResultWriter::new(&services.hub, &services.bucket, run);
            match self.json {
                true => {
                    let writer = writer.exact(self.values == ValueForm::Cbor);
                    print_attempt_as_json(writer, None, &self.step, &attempt).await?;
                }
                false => print_attempt(writer, &self.step, &attempt).await?,
            }
            services.stop().await;
            expect_outcome(&attempt.outcome)
        }))
    }
}

/// Reads an argument of the step.
fn input(argument: &str) -> Result<JobInput, CommandError> {
    let usage =
        |problem: String| CommandError::Usage(format!("--input {problem}; for example '{{\"account\": \"north\"}}'"));
    let text = match argument.strip_prefix('@') {
        Some(path) => fs::read_to_string(path).map_err(|error| usage(format!("cannot read {path}: {error}")))?,
        None => argument.to_owned(),
    };
    let value = read_json(&text).map_err(|error| usage(format!("`{argument}` is not JSON: {error}")))?;
    Ok(JobInput::Value(ValueRef::Inline(Bytes::from(cbor::encode(&value)))))
}

/// Submits the step, and returns its only job, with these arguments. No worker is there to take the job.
async fn task(
    services: &Services,
    script: &CheckedScript,
    inputs: Vec<JobInput>,
) -> Result<(bue_model::RunId, LeaseBatch), CommandError> {
    let run = submit(script, &services.hub, &services.bucket).await?;
    let jobs = services.hub.jobs(run, &JobQuery { limit: 1, ..JobQuery::default() }).await;
    let jobs = jobs.context("failed to read the job of the step")?.jobs;
    let job = jobs.first().context("the run of the step has no job")?.id;
    let mut task = services.hub.task(job).await.context("failed to fetch the job of the step")?;
    if let Some(lease) = task.leases.first_mut() {
        lease.inputs = inputs;
    }
    Ok((run, task))
}
