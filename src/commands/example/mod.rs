//! `bue example`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::process::command_error::CommandError;
use crate::process::output::eprint_line;

/// The report example, which the documentation shows.
const SCRIPT: &str = include_str!("../../../examples/report/pipeline.bue");
const STEPS: &str = include_str!("../../../examples/report/example.py");

const FILES: [(&str, &str); 4] = [
    ("example.bue", SCRIPT),
    ("example.py", STEPS),
    ("README.md", include_str!("README.md")),
    (".env.example", include_str!("env.example")),
];

/// Writes an example project.
///
/// Existing files are not overwritten, unless --force is given: they are listed, nothing is written, and the exit code is 1.
#[derive(Debug, Args)]
pub(crate) struct Example {
    /// Folder to write to; created if it does not exist
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Overwrite existing files
    #[arg(long)]
    force: bool,
}

impl Example {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        if !self.force {
            expect_no_files(&self.dir)?;
        }
        fs::create_dir_all(&self.dir).with_context(|| format!("failed to create {}", self.dir.display()))?;
        for (name, text) in FILES {
            let path = self.dir.join(name);
            fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        }
        eprint_line(&format!("wrote {}", list_paths(&self.dir, FILES.map(|(name, _)| name))));
        eprint_line(&format!("try it: bue run {}", self.dir.join("example.bue").display()));
        Ok(())
    }
}

fn expect_no_files(dir: &Path) -> Result<(), CommandError> {
    let existing = FILES.map(|(name, _)| name).into_iter().filter(|name| dir.join(name).symlink_metadata().is_ok());
    let existing = list_paths(dir, existing);
    if existing.is_empty() {
        return Ok(());
    }
    eprint_line(&format!(
        "bue: these files already exist: {existing}; nothing was written. Type `bue example DIR` for another folder, or --force to \
         overwrite them"
    ));
    Err(CommandError::ProgramFailed)
}

fn list_paths<'a>(dir: &Path, names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| dir.join(name).display().to_string()).collect::<Vec<_>>().join(", ")
}
