//! The event loop of a command.

use anyhow::Context;
use tokio::runtime::Builder;

use crate::process::command_error::CommandError;
use crate::process::signals::interrupted;

/// Runs a future to completion on this thread. Heavy work runs in other threads and processes.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    let runtime = Builder::new_current_thread().enable_all().build().context("failed to start an event loop")?;
    let output = runtime.block_on(future);
    // Do not wait for blocking work whose result is no longer needed.
    runtime.shutdown_background();
    output
}

/// Awaits a future, unless Ctrl-C or SIGTERM comes first.
pub(crate) async fn interruptible<T>(future: impl Future<Output = Result<T, CommandError>>) -> Result<T, CommandError> {
    tokio::select! {
        output = future => output,
        () = interrupted() => Err(CommandError::Interrupted),
    }
}
