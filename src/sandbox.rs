//! The Python sandbox: prepared once per machine, run in processes of this program.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use bue_runtime::Prepared;

use crate::process::command_error::CommandError;
use crate::process::output::eprint_line;

/// Prepares the Python sandbox, which takes a while the first time on a machine.
pub(crate) async fn prepare_sandbox(cache: PathBuf) -> Result<Prepared, CommandError> {
    let keys = key_folder()?;
    let task = tokio::task::spawn_blocking(move || {
        Prepared::open(&cache, &keys, &|line| eprint_line(&format!("bue: {line}")))
    });
    let prepared = task.await.map_err(|_| anyhow!("preparing the sandbox ended early"))?;
    Ok(prepared.context("failed to prepare the sandbox")?)
}

/// Returns the folder of the key that proves which prepared sandboxes this user made: `BUE_STATE_DIR`, or else the state
/// directory that systemd gives a service, or else `bue` in the user's state directory. It never comes from the working
/// directory, whose author could bring a prepared sandbox along with its key.
fn key_folder() -> Result<PathBuf, CommandError> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = variable("BUE_STATE_DIR").or_else(|| variable("STATE_DIRECTORY"));
    let folder = folder.or_else(|| dirs::state_dir().map(|state| state.join("bue")));
    folder.ok_or_else(|| {
        CommandError::Usage("this user has no state directory; set BUE_STATE_DIR to a folder of its own".to_owned())
    })
}

/// Returns the command of a sandbox host: this program with the hidden verb `sandbox-host`.
pub(crate) fn sandbox_host_command() -> Result<(PathBuf, Vec<OsString>), CommandError> {
    let program = std::env::current_exe().context("failed to find the path of this program")?;
    Ok((program, vec![OsString::from("sandbox-host")]))
}
