//! Tries the wall of this machine.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use super::child::Child;
use crate::error::RuntimeError;
use crate::protocol::{self, ToHost};
use crate::wall::parent::user_of_host;
use crate::wall::report::Wall;
use crate::wall::spec::{WallMode, WallSpec};

/// Starts a sandbox host that raises its wall as well as this machine allows and then ends. `command` is that of
/// [`HostsConfig`](crate::HostsConfig). Returns what is up and what is missing.
///
/// # Errors
/// A host that cannot be started.
pub async fn try_wall(command: &(PathBuf, Vec<OsString>)) -> Result<Wall, RuntimeError> {
    let folder = tempfile::tempdir().map_err(|source| RuntimeError::Spawn { command: command.0.clone(), source })?;
    let spec = WallSpec { mode: WallMode::Best, user: user_of_host(0), packages: true };
    let message = protocol::frame(&ToHost::RaiseWall(spec));
    let message = message.and_then(|frame| Ok(frame.with_file(&Arc::new(File::open(folder.path())?))));
    let (child, wall) = Child::start(command, message).await?;
    child.end().await;
    Ok(wall)
}
