//! `bue fmt FILE...`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bue_lang::{Script, format};
use clap::Args;

use crate::script::{read_script, say_all};
use crate::stop::Stop;
use crate::talk::{print, say};

/// Rewrites scripts as everybody would write them.
///
/// Only the space between words changes, never the meaning. A script with errors is left as it is; its complaints are
/// shown and the exit code is 1.
#[derive(Debug, Args)]
pub(crate) struct Fmt {
    /// The scripts
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Change nothing; print the scripts that would change and exit with 1 if there are any
    #[arg(long)]
    check: bool,
}

impl Fmt {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let mut ended = Ok(());
        for file in &self.files {
            match self.one(file) {
                Err(Stop::Program) => ended = Err(Stop::Program),
                other => other?,
            }
        }
        ended
    }

    fn one(&self, file: &Path) -> Result<(), Stop> {
        let name = file.display().to_string();
        let text = read_script(file).map_err(|message| {
            say(&format!("error: {message}"));
            Stop::Program
        })?;
        let script = Script { path: &name, text: &text };
        let formatted = format(script).map_err(|complaints| {
            say_all(&complaints, script);
            Stop::Program
        })?;
        if formatted == text {
            return Ok(());
        }
        if self.check {
            print(&name)?;
            return Err(Stop::Program);
        }
        Ok(fs::write(file, formatted).with_context(|| format!("failed to write {name}"))?)
    }
}
