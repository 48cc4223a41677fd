//! `bue check FILE...`.

use std::path::{Path, PathBuf};

use bue_lang::{Diagnostic, Severity};
use clap::Args;
use serde_json::{Value, json};

use crate::compiled::builder::Builder;
use crate::config::settings::Settings;
use crate::flags::scopes::scopes;
use crate::process::command_error::CommandError;
use crate::process::output::{eprint_line, print_line};
use crate::script::check::check_script;

/// Checks scripts and the code that their steps name.
///
/// Python and SQL are parsed, compiled languages are built. Each diagnostic has a location, an excerpt and what to type
/// instead. The exit code is 1 if there is an error: if `bue run` would refuse to run the script.
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
}

impl Check {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let mut diagnostics = Vec::new();
        let settings = Settings::load()?;
        let served = scopes(self.scopes.as_deref(), &settings)?;
        let cache = settings.cache_dir()?;
        let mut builder = Builder::new(&settings)?;
        for file in &self.files {
            self.check(file, &cache, served.as_deref(), &mut builder, &mut diagnostics);
        }
        if self.json {
            print_line(&json!({ "complaints": diagnostics }).to_string())?;
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
    ) {
        match check_script(file, cache, served) {
            Ok(mut report) => {
                report.build(file, builder);
                if !self.json {
                    report.print_diagnostics();
                }
                diagnostics.extend(report.diagnostics.iter().map(diagnostic_json));
            }
            Err(message) => {
                if !self.json {
                    eprint_line(&format!("error: {message}"));
                }
                diagnostics.push(unreadable_json(file, &message));
            }
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

fn unreadable_json(file: &Path, message: &str) -> Value {
    json!({
        "file": file.display().to_string(),
        "line": null,
        "column": null,
        "code": null,
        "severity": Severity::Error,
        "message": message,
        "hint": null,
    })
}
