//! `--store KIND:PATH`.

use std::path::PathBuf;

use crate::process::command_error::CommandError;

/// Returns the path of a store `kind:PATH`.
pub(crate) fn store_path(store: &str, kind: &str) -> Result<PathBuf, CommandError> {
    match store.split_once(':') {
        Some((prefix, path)) if prefix == kind && !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(CommandError::Usage(format!("`{store}` is not a supported store; type --store {kind}:PATH"))),
    }
}
