//! `bue check FILE...`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bue_lang::{Diagnostic, Severity};
use bue_model::Plan;
use bue_model::wire::WorkerView;
use clap::Args;
use serde_json::{Value, json};

use crate::compiled::builder::Builder;
use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::flags::scopes::scopes;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{eprint_line, print_json};
use crate::script::check::check_script;
use crate::script::worker_check::{WorkerProblem, worker_problems};

/// Checks scripts and the code that their steps name.
///
/// Python and SQL are parsed, compiled languages are built. Each diagnostic has a location, an excerpt and what to type
/// instead. The exit code is 1 if there is an error: if `bue run` would refuse to run the script, or with
/// --workers if the hub's workers cannot run it.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The scripts
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print {"complaints": [{file, line, column, code, severity, message, hint}]}
    #[arg(long)]
    json: bool,
    /// Scopes that workers serve, separated by commas; warn about steps in other scopes [default: PIPE_WORKER_SCOPES, else
    /// all scopes are accepted]
    #[arg(long, value_name = "SCOPE,...")]
    scopes: Option<String>,
    /// Ask the hub whether its workers can run every step: whether they serve its scope, know its language, and permit what it
    /// requests with `!allow`
    #[arg(long)]
    workers: bool,
    #[command(flatten)]
    hub: HubFlags,
}

impl Check {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let mut diagnostics = Vec::new();
        let settings = Settings::load()?;
        let served = scopes(self.scopes.as_deref(), &settings)?;
        let cache = settings.cache_dir()?;
        let workers = self.fetch_workers(&settings)?;
        let mut builder = Builder::new(&settings)?;
        for file in &self.files {
            let plan = self.check(file, &cache, served.as_deref(), &mut builder, &mut diagnostics);
            if let (Some(plan), Some(workers)) = (plan, &workers) {
                self.check_workers(file, &worker_problems(&plan, workers), &mut diagnostics);
            }
        }
        if self.json {
            print_json(&json!({ "complaints": diagnostics }))?;
        }
        match diagnostics.iter().any(|diagnostic| diagnostic["severity"] == "error") {
            true => Err(CommandError::ProgramFailed),
            false => Ok(()),
        }
    }

    fn check(
        &self,
        file: &Path,
        cache: &Path,
        served: Option<&[String]>,
        builder: &mut Builder,
        diagnostics: &mut Vec<Value>,
    ) -> Option<Plan> {
        match check_script(file, cache, served) {
            Ok(mut report) => {
                report.build(file, builder);
                if !self.json {
                    report.print_diagnostics();
                }
                diagnostics.extend(report.diagnostics.iter().map(diagnostic_json));
                report.plan
            }
            Err(message) => {
                if !self.json {
                    eprint_line(&format!("error: {message}"));
                }
                diagnostics.push(error_json(file, None, &message, None));
                None
            }
        }
    }

    /// Requests the hub's workers; `None` without --workers.
    fn fetch_workers(&self, settings: &Settings) -> Result<Option<Vec<WorkerView>>, CommandError> {
        if !self.workers {
            return Ok(None);
        }
        let hub = self.hub.client(settings)?;
        let workers = async { Ok(hub.workers().await.context("failed to ask the hub for its workers")?) };
        block_on(interruptible(workers)).map(Some)
    }

    fn check_workers(&self, file: &Path, problems: &[WorkerProblem], diagnostics: &mut Vec<Value>) {
        for WorkerProblem { line, message, hint } in problems {
            if !self.json {
                eprint_line(&format!("error: {message}\n  --> {}:{line}\n  hint: {hint}\n", file.display()));
            }
            diagnostics.push(error_json(file, Some(*line), message, Some(hint)));
        }
    }
}

fn diagnostic_json(diagnostic: &Diagnostic) -> Value {
    let position = diagnostic.position();
    json!({
        "file": diagnostic.file,
        "line": position.line,
        "column": position.column,
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
    })
}

/// An error that has no code and no excerpt.
fn error_json(file: &Path, line: Option<u32>, message: &str, hint: Option<&str>) -> Value {
    json!({
        "file": file.display().to_string(),
        "line": line,
        "column": null,
        "code": null,
        "severity": Severity::Error,
        "message": message,
        "hint": hint,
    })
}
