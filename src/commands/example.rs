//! `bue example`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use crate::stop::Stop;
use crate::talk::say;

/// What an example project is made of: the report example, as it stands in the documentation.
pub(crate) const SCRIPT: &str = include_str!("../../examples/report/pipeline.bue");
/// Its steps.
pub(crate) const STEPS: &str = include_str!("../../examples/report/example.py");

const FILES: [(&str, &str); 4] = [
    ("example.bue", SCRIPT),
    ("example.py", STEPS),
    ("README.md", include_str!("example/README.md")),
    (".env.example", include_str!("example/env.example")),
];

/// Writes an example project.
///
/// Files that are already there are never overwritten silently: they are listed, nothing is written, and the exit code
/// is 1, unless --force is given.
#[derive(Debug, Args)]
pub(crate) struct Example {
    /// Folder to write to; made if it is not there
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
}

impl Example {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        if !self.force {
            expect_none_there(&self.dir)?;
        }
        fs::create_dir_all(&self.dir).with_context(|| format!("failed to make {}", self.dir.display()))?;
        for (name, text) in FILES {
            let path = self.dir.join(name);
            fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
        }
        say(&format!("wrote {}", listed(&self.dir, FILES.map(|(name, _)| name))));
        say(&format!("try it: bue run {}", self.dir.join("example.bue").display()));
        Ok(())
    }
}

fn expect_none_there(dir: &Path) -> Result<(), Stop> {
    let there = FILES.map(|(name, _)| name).into_iter().filter(|name| dir.join(name).symlink_metadata().is_ok());
    let there = listed(dir, there);
    if there.is_empty() {
        return Ok(());
    }
    say(&format!(
        "bue: already there: {there}; nothing was written. Type `bue example DIR` for another folder, or --force to overwrite"
    ));
    Err(Stop::Program)
}

fn listed<'a>(dir: &Path, names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| dir.join(name).display().to_string()).collect::<Vec<_>>().join(", ")
}
