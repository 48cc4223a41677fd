//! `bue fmt FILE...`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bue_lang::{Script, format};
use clap::Args;

use crate::process::command_error::CommandError;
use crate::process::output::{print_line, program_failed};
use crate::script::check::print_diagnostics;
use crate::script::read::read_script;

/// Formats scripts in place.
///
/// Only whitespace changes, never the meaning. A script with errors is left as it is; its diagnostics are printed and the
/// exit code is 1.
#[derive(Debug, Args)]
pub(crate) struct Fmt {
    /// The scripts
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Do not write; print the scripts that would change, and exit with 1 if there are any
    #[arg(long)]
    check: bool,
}

impl Fmt {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let mut outcome = Ok(());
        for file in &self.files {
            match self.format(file) {
                Err(CommandError::ProgramFailed) => outcome = Err(CommandError::ProgramFailed),
                other => other?,
            }
        }
        outcome
    }

    fn format(&self, file: &Path) -> Result<(), CommandError> {
        let name = file.display().to_string();
        let text = read_script(file).map_err(|message| program_failed(&message))?;
        let script = Script { path: &name, text: &text };
        let formatted = format(script).map_err(|diagnostics| {
            print_diagnostics(&diagnostics, script);
            CommandError::ProgramFailed
        })?;
        if formatted == text {
            return Ok(());
        }
        if self.check {
            print_line(&name)?;
            return Err(CommandError::ProgramFailed);
        }
        Ok(fs::write(file, formatted).with_context(|| format!("failed to write {name}"))?)
    }
}
