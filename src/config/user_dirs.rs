//! The folders of this user that bue reads and writes outside of the cache. None of them comes from a file of the working
//! directory: its author could bring keys, trust and settings along.

use std::env;
use std::path::{Path, PathBuf};

use crate::process::command_error::CommandError;

/// Returns the folder of the key that proves which prepared sandboxes this user made: `BUE_STATE_DIR`, or else the state
/// directory that systemd gives a service, or else `bue` in the user's state directory.
pub(crate) fn key_dir() -> Result<PathBuf, CommandError> {
    let folder = variable("BUE_STATE_DIR")?.or(variable("STATE_DIRECTORY")?);
    folder.or_else(user_state_dir).ok_or_else(no_state_dir)
}

/// Returns the folder that says which files the user trusts. It is the same for a service as for its user who types `bue trust`,
/// so systemd's folder, which only the service knows, is not considered.
pub(crate) fn trust_dir() -> Result<PathBuf, CommandError> {
    let folder = variable("BUE_STATE_DIR")?.or_else(user_state_dir).ok_or_else(no_state_dir)?;
    Ok(folder.join("trusted"))
}

/// Returns the folder of the user's own settings: `BUE_CONFIG_DIR`, or else `bue` in the user's configuration directory. `None` if
/// this user has none.
pub(crate) fn config_dir() -> Result<Option<PathBuf>, CommandError> {
    let folder = variable("BUE_CONFIG_DIR")?;
    Ok(folder.or_else(|| dirs::config_dir().map(|config| config.join("bue"))))
}

fn user_state_dir() -> Option<PathBuf> {
    dirs::state_dir().map(|state| state.join("bue"))
}

/// Returns the folder that a variable of the environment names.
fn variable(name: &str) -> Result<Option<PathBuf>, CommandError> {
    let folder = env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder.map(|folder| expect_absolute(name, &folder).map(|()| folder)).transpose()
}

/// A relative path would lie in the working directory.
fn expect_absolute(name: &str, folder: &Path) -> Result<(), CommandError> {
    match folder.is_absolute() {
        true => Ok(()),
        false => Err(CommandError::Usage(format!(
            "{name} is `{}`, which is relative to the working directory; set it to an absolute path",
            folder.display()
        ))),
    }
}

fn no_state_dir() -> CommandError {
    CommandError::Usage("this user has no state directory; set BUE_STATE_DIR to a folder of its own".to_owned())
}
