//! Writes all files, or none.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bytes::Bytes;

use crate::process::command_error::CommandError;
use crate::process::output::eprint_line;

/// Writes files, by their paths in the folder. Files that have these contents already stay as they are; others are refused
/// without `force`. All files are complete beside their places before the first one is moved there.
pub(super) fn write_files(folder: &Path, files: &BTreeMap<String, Bytes>, force: bool) -> Result<(), CommandError> {
    let changed: BTreeMap<&String, &Bytes> =
        files.iter().filter(|(path, content)| !has_content(&folder.join(path), content)).collect();
    let existing: Vec<PathBuf> =
        changed.keys().map(|path| folder.join(path)).filter(|path| path.symlink_metadata().is_ok()).collect();
    expect_writable(&existing, force)?;
    if changed.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let staged = tempfile::Builder::new().prefix(".bue-import-").tempdir_in(folder);
    let staged = staged.with_context(|| format!("failed to create a folder in {}", folder.display()))?;
    for (path, content) in &changed {
        write(&staged.path().join(path), content)?;
        create_parent(&folder.join(path))?;
    }
    for path in changed.keys() {
        let target = folder.join(path);
        fs::rename(staged.path().join(path), &target)
            .with_context(|| format!("failed to write {}", target.display()))?;
    }
    Ok(())
}

fn has_content(path: &Path, content: &Bytes) -> bool {
    let is_file =
        path.symlink_metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == content.len() as u64);
    is_file && fs::read(path).is_ok_and(|found| found == *content)
}

fn expect_writable(existing: &[PathBuf], force: bool) -> Result<(), CommandError> {
    let list = |paths: &mut dyn Iterator<Item = &PathBuf>| {
        paths.map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    let folders = list(&mut existing.iter().filter(|path| path.is_dir()));
    if !folders.is_empty() {
        eprint_line(&format!("bue: these are folders, and would be files: {folders}; nothing was written"));
        return Err(CommandError::ProgramFailed);
    }
    if existing.is_empty() || force {
        return Ok(());
    }
    let existing = list(&mut existing.iter());
    eprint_line(&format!(
        "bue: these files already exist: {existing}; nothing was written. Type -o DIR for another folder, or --force to overwrite \
         them"
    ));
    Err(CommandError::ProgramFailed)
}

fn write(path: &Path, content: &[u8]) -> Result<(), CommandError> {
    create_parent(path)?;
    Ok(fs::write(path, content).with_context(|| format!("failed to write {}", path.display()))?)
}

fn create_parent(path: &Path) -> Result<(), CommandError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?)
}
