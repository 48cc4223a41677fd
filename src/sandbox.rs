//! The Python sandbox: prepared once per machine, run in processes of this program.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, anyhow};
use bue_runtime::Prepared;

use crate::config::user_dirs::key_dir;
use crate::process::command_error::CommandError;
use crate::process::output::eprint_line;

/// Prepares the Python sandbox, which takes a while the first time on a machine.
pub(crate) async fn prepare_sandbox(cache: PathBuf) -> Result<Prepared, CommandError> {
    let keys = key_dir()?;
    let task = tokio::task::spawn_blocking(move || {
        Prepared::open(&cache, &keys, &|line| eprint_line(&format!("bue: {line}")))
    });
    let prepared = task.await.map_err(|_| anyhow!("preparing the sandbox ended early"))?;
    Ok(prepared.context("failed to prepare the sandbox")?)
}

/// Returns the command of a sandbox host: this program with the hidden verb `sandbox-host`.
pub(crate) fn sandbox_host_command() -> Result<(PathBuf, Vec<OsString>), CommandError> {
    let program = std::env::current_exe().context("failed to find the path of this program")?;
    Ok((program, vec![OsString::from("sandbox-host")]))
}
