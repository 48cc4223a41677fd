//! Folders of sources and of what is built from them.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use bue_lang::BuildProblem;

use super::problem::problem;

/// Returns the folder of a source: the path itself, or the folder that contains the file.
pub(super) fn source_folder(path: &Path) -> &Path {
    match path.is_dir() {
        true => path,
        false => path.parent().unwrap_or(Path::new("")),
    }
}

/// Creates the output folder of a source. Each source has its own, because several may have the same name.
pub(super) fn create_output_folder(source: &Path, cache: &Path, language: &str) -> Result<PathBuf, BuildProblem> {
    let source = fs::canonicalize(source).unwrap_or_else(|_| source.to_owned());
    let folder = cache.join(language).join(path_hash(&source));
    fs::create_dir_all(&folder).map_err(|error| problem(format!("failed to create {}: {error}", folder.display())))?;
    Ok(folder)
}

fn path_hash(path: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}
