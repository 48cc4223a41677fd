//! `bue pipeline NAME`.

use anyhow::Context;
use bue_model::param::ParamView;
use bue_model::pipeline::PipelineView;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{plain_table, print_json, print_line};

/// Shows a published pipeline: its parameters, its versions and its latest runs.
#[derive(Debug, Args)]
pub(crate) struct Pipeline {
    /// The name of the pipeline
    name: String,
    /// Print JSON: name, version, params, versions and runs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubFlags,
}

impl Pipeline {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let read = async { Ok(hub.pipeline(&self.name).await.context("failed to read the pipeline")?) };
        let pipeline = block_on(interruptible(read))?;
        if self.json {
            return print_json(&pipeline);
        }
        print_line(&format!("{} version {}", pipeline.name, pipeline.version))?;
        print_params(&pipeline)?;
        print_versions(&pipeline)?;
        print_runs(&pipeline)
    }
}

fn print_params(pipeline: &PipelineView) -> Result<(), CommandError> {
    if pipeline.params.is_empty() {
        return print_line("\nno parameters");
    }
    let mut table = plain_table(["parameter", "type", "default", "values"]);
    for param in &pipeline.params {
        table.add_row([param.name.clone(), param.kind.clone(), default_text(param), values_text(param)]);
    }
    print_line(&format!("\n{table}"))
}

fn default_text(param: &ParamView) -> String {
    match &param.default {
        Some(serde_json::Value::String(word)) if param.default_is_time => word.clone(),
        Some(value) => value.to_string(),
        None => "(required)".to_owned(),
    }
}

fn values_text(param: &ParamView) -> String {
    let text = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string).unwrap_or_default();
    if param.min.is_some() || param.max.is_some() {
        return format!("{}..{}", text(&param.min), text(&param.max));
    }
    param.one_of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn print_versions(pipeline: &PipelineView) -> Result<(), CommandError> {
    let mut table = plain_table(["version", "script"]);
    for version in &pipeline.versions {
        let mark = if version.version == pipeline.version { " (current)" } else { "" };
        table.add_row([format!("{}{mark}", version.version), version.script.clone()]);
    }
    print_line(&format!("\n{table}"))
}

fn print_runs(pipeline: &PipelineView) -> Result<(), CommandError> {
    if pipeline.runs.is_empty() {
        return print_line("\nno runs");
    }
    let mut table = plain_table(["run", "version", "state", "parameters"]);
    for run in &pipeline.runs {
        let state = run.state.name().to_owned();
        table.add_row([run.run.to_string(), run.version.to_string(), state, run.params.clone()]);
    }
    print_line(&format!("\n{table}"))
}
