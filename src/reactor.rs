//! The event loop of a command, and what ends it from outside.

use anyhow::Context;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::stop::{INTERRUPTED, Stop};
use crate::talk::say;

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

/// As [`interrupted`], for who has something to finish then. Ctrl-C once more ends this process there and then; a second
/// polite kill does not, because supervisors tell a process and its group. Counts from the call on, on a tokio runtime: call it
/// before anybody is told that this process is there.
pub(crate) fn told_to_stop() -> impl Future<Output = ()> {
    let (mut interrupts, mut terminations) = (listen(SignalKind::interrupt()), listen(SignalKind::terminate()));
    async move {
        tokio::select! {
            () = next(&mut interrupts) => {}
            () = next(&mut terminations) => {}
        }
        tokio::spawn(async move {
            next(&mut interrupts).await;
            say("bue: interrupted twice, ending at once");
            std::process::exit(i32::from(INTERRUPTED));
        });
    }
}

async fn heard(kind: SignalKind) {
    next(&mut listen(kind)).await;
}

fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind).ok()
}

/// The next signal of those that came since we began to listen.
async fn next(signals: &mut Option<Signal>) {
    match signals {
        Some(signals) => drop(signals.recv().await),
        None => std::future::pending().await,
    }
}
