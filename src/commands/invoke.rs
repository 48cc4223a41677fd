//! `bue invoke NAME k=v…`.

use anyhow::Context;
use bue_client::{BucketClient, HubClient};
use bue_model::Value;
use bue_model::param::write_json;
use bue_model::pipeline::{Invoked, MAX_BATCH};
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::ClientFlags;
use crate::flags::params::{lines_of, typed_params};
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{eprint_line, print_json, print_line};
use crate::runs::follow::wait_for_run;
use crate::runs::outcome::expect_success;
use crate::runs::results::ResultWriter;

/// Starts a run of a published pipeline and prints its id.
///
/// Parameters are written NAME=VALUE: texts and dates as they are, everything else as JSON.
#[derive(Debug, Args)]
pub(crate) struct Invoke {
    /// The name of the pipeline
    name: String,
    /// Values of its parameters
    #[arg(value_name = "NAME=VALUE")]
    params: Vec<String>,
    /// Start a run for each line of a file: a JSON object with the values of the parameters; all of them start, or none
    #[arg(long = "params", value_name = "@FILE.jsonl", conflicts_with_all = ["params", "wait", "key"])]
    batch: Option<String>,
    /// Add this to the priority of every step
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i64>,
    /// Start one run only, however often this key is sent
    #[arg(long)]
    key: Option<String>,
    /// Wait until the run has ended and print its results; the exit code is 1 if it failed
    #[arg(long)]
    wait: bool,
    /// Print JSON: {"run": ID, "state": STATE}; with --wait, the results as `bue result --json` does
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: ClientFlags,
}

impl Invoke {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        let batch = self.batch.as_deref().map(lines_of).transpose()?;
        block_on(interruptible(async {
            let hub = self.servers.hub.client(&settings)?;
            match batch {
                Some(lines) => self.start_batch(&hub, lines).await,
                None => {
                    let run = self.start(&hub).await?;
                    if !self.wait {
                        return self.print_started(&run);
                    }
                    let clients = self.servers.connect(&settings).await?;
                    self.print_results(&clients.hub, &clients.bucket, run).await
                }
            }
        }))
    }

    async fn start(&self, hub: &HubClient) -> Result<Invoked, CommandError> {
        // texts and JSON look alike on a command line: the pipeline says which of them each parameter is
        let view = hub.pipeline(&self.name).await.context("failed to read the pipeline")?;
        let mut request = vec![entry("params", typed_params(&self.params, &view)?)];
        request.extend(self.priority.map(|priority| entry("priority", Value::Int(priority))));
        request.extend(self.key.clone().map(|key| entry("key", Value::Text(key))));
        let invoked = hub.invoke(&self.name, body(request), self.key.is_some()).await;
        Ok(invoked.context("failed to start the run")?)
    }

    async fn start_batch(&self, hub: &HubClient, lines: Vec<Value>) -> Result<(), CommandError> {
        if lines.len() > MAX_BATCH {
            let problem = format!("the file has {} lines; one request starts at most {MAX_BATCH} runs", lines.len());
            return Err(CommandError::Usage(problem));
        }
        let run = |params| {
            let mut run = vec![entry("params", params)];
            run.extend(self.priority.map(|priority| entry("priority", Value::Int(priority))));
            Value::Map(run)
        };
        let runs = Value::List(lines.into_iter().map(run).collect());
        let started = hub.invoke_batch(&self.name, body(vec![entry("runs", runs)])).await;
        let started = started.context("failed to start the runs")?;
        match self.json {
            true => print_json(&started),
            false => started.iter().try_for_each(|one| print_line(&one.run.to_string())),
        }
    }

    fn print_started(&self, started: &Invoked) -> Result<(), CommandError> {
        if self.json { print_json(started) } else { print_line(&started.run.to_string()) }
    }

    async fn print_results(
        &self,
        hub: &HubClient,
        bucket: &BucketClient,
        started: Invoked,
    ) -> Result<(), CommandError> {
        eprint_line(&format!("bue: run {}", started.run));
        let state = wait_for_run(hub, bucket, started.run).await?;
        let page = hub.result_page(started.run, Default::default()).await.context("failed to read the results")?;
        let writer = ResultWriter::new(hub, bucket, started.run);
        match self.json {
            true => writer.write_object(page).await?,
            false => writer.write_lines(page).await?,
        }
        expect_success(state)
    }
}

fn entry(name: &str, value: Value) -> (Value, Value) {
    (Value::Text(name.to_owned()), value)
}

fn body(entries: Vec<(Value, Value)>) -> String {
    write_json(&Value::Map(entries))
}
