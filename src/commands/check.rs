//! `bue check FILE...`.

use std::path::{Path, PathBuf};

use bue_lang::{Diagnostic, Purpose, Severity};
use clap::Args;
use serde_json::{Value, json};

use crate::commands::worker::named_scopes;
use crate::compiled::Builder;
use crate::script::examine;
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{print, say};

/// Says everything that is wrong with scripts and with the code their steps name.
///
/// Python and SQL are parsed, compiled languages are built. Each complaint has its place, an excerpt and what to
/// type instead. The exit code is 1 if there is an error; a file that is not there yet is a warning.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// The scripts
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Print {"complaints": [{file, line, column, code, severity, message, hint}]}
    #[arg(long)]
    json: bool,
    /// Scopes that workers serve, separated by commas: steps of others are warned about [default: PIPE_WORKER_SCOPES, else
    /// any scope is fine]
    #[arg(long, value_name = "SCOPE,...")]
    scopes: Option<String>,
}

impl Check {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let mut found = Vec::new();
        let settings = Settings::load()?;
        let served = named_scopes(self.scopes.as_deref(), &settings)?;
        let mut builder = Builder::new(&settings)?;
        for file in &self.files {
            self.check(file, served.as_deref(), &mut builder, &mut found);
        }
        if self.json {
            print(&json!({ "complaints": found }).to_string())?;
        }
        match found.iter().any(|complaint| complaint["severity"] == "error") {
            true => Err(Stop::Program),
            false => Ok(()),
        }
    }

    fn check(&self, file: &Path, served: Option<&[String]>, builder: &mut Builder, found: &mut Vec<Value>) {
        match examine(file, Some(Purpose::Check), served) {
            Ok(mut examined) => {
                examined.build(file, builder);
                if !self.json {
                    examined.say_complaints();
                }
                found.extend(examined.complaints.iter().map(entry));
            }
            Err(message) => {
                if !self.json {
                    say(&format!("error: {message}"));
                }
                found.push(unreadable(file, &message));
            }
        }
    }
}

fn entry(complaint: &Diagnostic) -> Value {
    let position = complaint.position();
    json!({
        "file": complaint.file,
        "line": position.line,
        "column": position.column,
        "code": complaint.code,
        "severity": complaint.severity,
        "message": complaint.message,
        "hint": complaint.hint,
    })
}

fn unreadable(file: &Path, message: &str) -> Value {
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
