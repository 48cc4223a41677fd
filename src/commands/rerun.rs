//! `bue rerun RUN`.

use std::path::PathBuf;

use anyhow::Context;
use bue_client::{BucketClient, HubClient};
use bue_model::param::write_json;
use bue_model::pipeline::Invoked;
use bue_model::rerun::RunPlanView;
use bue_model::wire::RunView;
use bue_model::{RunId, Value};
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::ClientFlags;
use crate::flags::params::{ParamFlags, typed_values};
use crate::flags::target::RunName;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{counted, eprint_line, print_json, print_line};
use crate::process::random::new_run_id;
use crate::runs::follow::wait_for_run;
use crate::runs::outcome::expect_success;
use crate::runs::results::ResultWriter;
use crate::runs::submit::upload_code_for;
use crate::runs::unserved::warn_unserved;
use crate::script::check::load_replacement;

/// Runs a run that has ended again, as a new run, and reuses the results of jobs whose step, code and inputs are the same.
///
/// Without flags, that is what did not complete, and what depends on it. Prints the id of the new run.
#[derive(Debug, Args)]
pub(crate) struct Rerun {
    /// The run: its id, the first digits of it, or `last`
    run: RunName,
    /// Run these steps anew, and everything that depends on them
    #[arg(long, value_name = "STEP,…", value_delimiter = ',', conflicts_with = "only")]
    from: Vec<String>,
    /// Run these steps anew, and what depends on them only if their results differ
    #[arg(long, value_name = "STEP,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Give a step other code: this function of this file. The settings of the step stay as they are. Can be repeated
    #[arg(long, value_name = "STEP=FILE:FUNC")]
    replace: Vec<Replacement>,
    /// Wait until the run has ended and print its results; the exit code is 1 if it failed
    #[arg(long)]
    wait: bool,
    /// Print JSON: {"run": ID, "state": STATE}; with --wait, the results as `bue result --json` does
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    params: ParamFlags,
    #[command(flatten)]
    servers: ClientFlags,
}

/// `STEP=FILE:FUNC`
#[derive(Clone, Debug, PartialEq, Eq)]
struct Replacement {
    step: String,
    file: PathBuf,
    function: String,
}

impl std::str::FromStr for Replacement {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('=').and_then(|(step, code)| Some((step, code.rsplit_once(':')?)));
        match parts {
            Some((step, (file, function))) if !step.is_empty() && !file.is_empty() && !function.is_empty() => {
                Ok(Self { step: step.to_owned(), file: file.into(), function: function.to_owned() })
            }
            _ => Err("it is not STEP=FILE:FUNC, such as load=fixed.py:load"),
        }
    }
}

impl Rerun {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        block_on(interruptible(async {
            let hub = self.servers.hub.client(&settings)?;
            let original = self.run.resolve(&hub).await?;
            let started = self.start(&hub, original, &settings).await?;
            if !self.wait {
                return self.print_started(&hub, &started).await;
            }
            let clients = self.servers.connect(&settings).await?;
            self.print_results(&clients.hub, &clients.bucket, original, started.run).await
        }))
    }

    async fn start(&self, hub: &HubClient, original: RunId, settings: &Settings) -> Result<Invoked, CommandError> {
        let run = new_run_id()?;
        let texts = |names: &[String]| Value::List(names.iter().cloned().map(Value::Text).collect());
        let mut request = vec![entry("run", Value::Text(run.to_string()))];
        request.extend((!self.from.is_empty()).then(|| entry("from", texts(&self.from))));
        request.extend((!self.only.is_empty()).then(|| entry("only", texts(&self.only))));
        let given = self.params.arguments()?;
        if !given.is_empty() || !self.replace.is_empty() {
            let plan = hub.run_plan(original).await.context("failed to read the plan of the run")?;
            request.push(entry("params", typed_values(given, &plan.params)?));
            request.push(entry("replace", self.upload_replacements(run, &plan, settings).await?));
        }
        let started = hub.rerun(original, write_json(&Value::Map(request))).await;
        Ok(started.context("failed to start the run")?)
    }

    /// Packs and uploads the code of the replaced steps, on behalf of the new run.
    async fn upload_replacements(
        &self,
        run: RunId,
        plan: &RunPlanView,
        settings: &Settings,
    ) -> Result<Value, CommandError> {
        let mut uploaded = Vec::new();
        for replacement in &self.replace {
            let Replacement { step: name, file, function } = replacement;
            let step = plan.steps.iter().map(|step| &step.step).find(|step| step.name == *name);
            let step = step.ok_or_else(|| unknown_step(name, plan))?;
            let shown = format!("--replace {name}={}:{function}", file.display());
            let script = load_replacement(step, (file.as_path(), function.as_str()), shown, settings)?;
            let bucket = self.servers.connect(settings).await?.bucket;
            let code = upload_code_for(run, &script, &bucket).await?;
            let (Some(replaced), Some(code)) = (script.plan.steps.first(), code.first()) else { continue };
            let bytes = i64::try_from(code.len).unwrap_or(i64::MAX);
            uploaded.push(Value::Map(vec![
                entry("step", Value::Text(name.clone())),
                entry("language", Value::Text(replaced.language.name().to_owned())),
                entry("function", Value::Text(replaced.function.clone())),
                entry("file", Value::Text(file.display().to_string())),
                entry("code", Value::Text(code.hash.to_string())),
                entry("bytes", Value::Int(bytes)),
            ]));
        }
        Ok(Value::List(uploaded))
    }

    async fn print_started(&self, hub: &HubClient, started: &Invoked) -> Result<(), CommandError> {
        match self.json {
            true => print_json(started)?,
            false => print_line(&started.run.to_string())?,
        }
        // the run is there, whether or not the hub still answers
        if let Ok(view) = hub.run(started.run, None, 0).await {
            warn_unserved(&view);
        }
        Ok(())
    }

    async fn print_results(
        &self,
        hub: &HubClient,
        bucket: &BucketClient,
        original: RunId,
        run: RunId,
    ) -> Result<(), CommandError> {
        eprint_line(&format!("bue: run {run}"));
        eprint_line(&format!("bue: it repeats run {original}"));
        let state = wait_for_run(hub, bucket, run).await?;
        let view = hub.run(run, None, 0).await.context("failed to read the run")?;
        print_reused(&view);
        let page = hub.result_page(run, Default::default()).await.context("failed to read the results")?;
        let writer = ResultWriter::new(hub, bucket, run);
        match self.json {
            true => writer.write_object(page).await?,
            false => writer.write_lines(page).await?,
        }
        expect_success(state)
    }
}

/// Prints how many jobs did not have to run.
fn print_reused(view: &RunView) {
    let reused: u64 = view.steps.iter().map(|step| step.reused).sum();
    let jobs = usize::try_from(view.counts.finished()).unwrap_or(usize::MAX);
    eprint_line(&format!("bue: reused the results of {reused} of {}", counted(jobs, "job")));
}

fn unknown_step(name: &str, plan: &RunPlanView) -> CommandError {
    let names: Vec<String> = plan.steps.iter().map(|step| format!("`{}`", step.step.name)).collect();
    CommandError::NotFound(match names.is_empty() {
        true => format!("the steps of run {} are not visible to this token, so none can be replaced", plan.run),
        false => format!("the run has no step `{name}`; its steps are {}", names.join(", ")),
    })
}

fn entry(name: &str, value: Value) -> (Value, Value) {
    (Value::Text(name.to_owned()), value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_names_step_file_and_function() {
        let parsed: Replacement = "load=C:/x/fix.py:load".parse().expect("a replacement");
        let expected = Replacement { step: "load".into(), file: "C:/x/fix.py".into(), function: "load".into() };
        assert_eq!(parsed, expected);
        for text in ["", "load", "load=fix.py", "=fix.py:f", "load=:f", "load=fix.py:"] {
            assert!(text.parse::<Replacement>().is_err(), "{text}");
        }
    }
}
