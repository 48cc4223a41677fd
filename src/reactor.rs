//! The event loop of a command, and what ends it from outside.

use anyhow::Context;
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::stop::Stop;

/// Runs a command's work on this thread. The heavy parts have threads and processes of their own.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    let runtime = Builder::new_current_thread().enable_all().build().context("failed to start an event loop")?;
    let ended = runtime.block_on(work);
    // Work on other threads that nobody waits for any more must not hold the command back.
    runtime.shutdown_background();
    ended
}

/// The work, unless Ctrl-C ends it first.
pub(crate) async fn interruptible<T>(work: impl Future<Output = Result<T, Stop>>) -> Result<T, Stop> {
    tokio::select! {
        ended = work => ended,
        () = interrupted() => Err(Stop::Interrupted),
    }
}

/// Ends with Ctrl-C, or when somebody ends this process politely. If the system does not let us listen, it never does.
pub(crate) async fn interrupted() {
    tokio::select! {
        () = heard(SignalKind::interrupt()) => {}
        () = heard(SignalKind::terminate()) => {}
    }
}

async fn heard(kind: SignalKind) {
    match signal(kind) {
        Ok(mut signals) => drop(signals.recv().await),
        Err(_) => std::future::pending().await,
    }
}
