//! `bue import sermos.yaml -o DIR`.

mod code;
mod report;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bue_hub::read_regular_file;
use bytes::Bytes;
use clap::Args;

use crate::process::command_error::CommandError;
use crate::process::output::print_json;
use crate::pypeline::{Conversion, MAX_YAML, Problems, Variables, convert, is_variable_name};

/// Converts the YAML of PypeLine or Sermos into scripts and a file of schedules.
///
/// Writes NAME.bue for each pipeline, scheduled task and executable job, schedules.toml, and copies of the Python files that they
/// import. Everything in the YAML that has no counterpart is reported with its line. With an error, or if a file exists with
/// other contents, nothing is written and the exit code is 1. docs/pypeline.md has the counterparts.
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// sermos.yaml or pypeline.yaml
    file: PathBuf,
    /// Folder to write to; created if it does not exist. If it is the one with the Python package, nothing is copied
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Give a variable of the YAML, ${NAME} or ${NAME:default}, a value. Can be repeated
    #[arg(long = "var", value_name = "NAME=VALUE")]
    variables: Vec<String>,
    /// The time zone of cron schedules, such as Europe/Berlin [default: UTC]
    #[arg(long = "tz", value_name = "ZONE")]
    timezone: Option<String>,
    /// Overwrite existing files
    #[arg(long)]
    force: bool,
    /// Print JSON: {"generation", "files", "scopes", "next", "errors": [{line, column, message, hint}], "warnings"}
    #[arg(long)]
    json: bool,
}

impl Import {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let text = self.read()?;
        let variables = self.variables()?;
        let name = self.file.file_name().unwrap_or_default().to_string_lossy();
        let (conversion, mut problems) = convert(&text, &name, variables, self.timezone.as_deref());
        let files = conversion.as_ref().map(|conversion| self.files(conversion, &mut problems));
        match (conversion, files) {
            (Some(conversion), Some(files)) if problems.errors.is_empty() => {
                self.finish(&conversion, &files, &problems)
            }
            _ => self.refuse(&problems),
        }
    }

    fn read(&self) -> Result<String, CommandError> {
        let failed =
            |problem: String| CommandError::Usage(format!("failed to read {}: {problem}", self.file.display()));
        let bytes = read_regular_file(&self.file, MAX_YAML as u64).map_err(|error| failed(error.to_string()))?;
        String::from_utf8(bytes).map_err(|_| failed("it is not UTF-8".to_owned()))
    }

    fn variables(&self) -> Result<Variables, CommandError> {
        let mut given = BTreeMap::new();
        for argument in &self.variables {
            match argument.split_once('=') {
                Some((name, value)) if is_variable_name(name) => {
                    given.insert(name.to_owned(), value.to_owned());
                }
                _ => {
                    return Err(CommandError::Usage(format!(
                        "`{argument}` is not NAME=VALUE; type --var QUEUE=default"
                    )));
                }
            }
        }
        Ok(Variables::new(given))
    }

    /// The files to write, by their paths in the folder.
    fn files(&self, conversion: &Conversion, problems: &mut Problems) -> BTreeMap<String, Bytes> {
        let code = code::find(&self.file, conversion, problems);
        let is_here = code.root.as_deref().is_some_and(|root| is_same_folder(root, &self.output));
        let mut files = if is_here { BTreeMap::new() } else { code.files };
        for script in &conversion.scripts {
            files.insert(format!("{}.bue", script.name), Bytes::from(script.text.clone()));
        }
        if let Some(schedules) = &conversion.schedules {
            files.insert("schedules.toml".to_owned(), Bytes::from(schedules.clone()));
        }
        files
    }

    fn finish(
        &self,
        conversion: &Conversion,
        files: &BTreeMap<String, Bytes>,
        problems: &Problems,
    ) -> Result<(), CommandError> {
        if !self.json {
            report::print_problems("warning", &problems.warnings, &self.file);
        }
        write::write_files(&self.output, files, self.force)?;
        let paths: Vec<PathBuf> = files.keys().map(|path| self.output.join(path)).collect();
        let next = report::next_commands(&self.output, conversion);
        if self.json {
            return print_json(&report::report_json(Some((conversion, paths.as_slice(), next.as_slice())), problems));
        }
        report::print_summary(conversion, &paths, &next);
        Ok(())
    }

    fn refuse(&self, problems: &Problems) -> Result<(), CommandError> {
        if self.json {
            print_json(&report::report_json(None, problems))?;
        } else {
            report::print_problems("error", &problems.errors, &self.file);
            report::print_refusal(problems.errors.len());
        }
        Err(CommandError::ProgramFailed)
    }
}

/// Returns whether two paths are the same folder, which is there.
fn is_same_folder(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
