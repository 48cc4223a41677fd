//! `bue man DIR`.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Command};

use crate::process::command_error::CommandError;

/// Writes the manual pages into a folder: one of bue, and one of each command.
///
/// For example: bue man ~/.local/share/man/man1
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Folder to write to; created if it does not exist
    dir: PathBuf,
}

impl Man {
    /// `bue` is the definition of the whole command line.
    pub(crate) fn execute(self, bue: Command) -> Result<(), CommandError> {
        let failed = || format!("failed to write the manual pages into {}", self.dir.display());
        fs::create_dir_all(&self.dir).with_context(failed)?;
        clap_mangen::generate_to(bue, &self.dir).with_context(failed)?;
        Ok(())
    }
}
