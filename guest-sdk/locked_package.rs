// Finds the sources of locked packages, for build scripts that take more from a package than its crate.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the folder of a locked package. `cargo` is a command that finds the workspace, without arguments or with global ones.
///
/// # Errors
/// The package is not among the dependencies for the target.
pub(crate) fn folder(name: &str, target: &str, mut cargo: Command) -> Result<PathBuf, String> {
    cargo.args(["metadata", "--format-version", "1", "--locked", "--filter-platform", target]);
    let output = cargo.output().map_err(|error| format!("cannot run cargo metadata: {error}"))?;
    let metadata = String::from_utf8_lossy(&output.stdout);
    let manifests = metadata.split("\"manifest_path\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut folders = manifests.filter_map(|manifest| Path::new(manifest).parent());
    let found = folders.find(|folder| {
        let folder = folder.file_name().map(|folder| folder.to_string_lossy().into_owned()).unwrap_or_default();
        // with the version in cargo's registry, without it in a folder of vendored packages
        folder.strip_prefix(name).is_some_and(|rest| rest.is_empty() || is_version(rest))
    });
    let found = found.map(Path::to_path_buf);
    found.ok_or_else(|| format!("cargo metadata does not list {name}: {}", String::from_utf8_lossy(&output.stderr)))
}

fn is_version(rest: &str) -> bool {
    rest.strip_prefix('-').is_some_and(|version| version.starts_with(|first: char| first.is_ascii_digit()))
}

/// Returns a variable that cargo sets for build scripts.
///
/// # Errors
/// It is not set.
pub(crate) fn variable(name: &str) -> Result<PathBuf, String> {
    env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("cargo did not set {name}"))
}
