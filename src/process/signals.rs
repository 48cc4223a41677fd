//! Ctrl-C and SIGTERM.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::process::exit::INTERRUPTED;
use crate::process::output::eprint_line;

/// Completes on Ctrl-C or SIGTERM; never, if the system does not let us listen.
pub(crate) async fn interrupted() {
    let (mut interrupts, mut terminations) = (listen(SignalKind::interrupt()), listen(SignalKind::terminate()));
    tokio::select! {
        () = next(&mut interrupts) => {}
        () = next(&mut terminations) => {}
    }
}

/// Like [`interrupted`], for commands that shut down gracefully. After the first signal, Ctrl-C ends the process at once; a
/// second SIGTERM does not, because supervisors signal both a process and its group.
///
/// Listens from the call on, not from the first poll. Call it on a tokio runtime, before the command announces itself.
pub(crate) fn shutdown_signal() -> impl Future<Output = ()> {
    let (mut interrupts, mut terminations) = (listen(SignalKind::interrupt()), listen(SignalKind::terminate()));
    async move {
        tokio::select! {
            () = next(&mut interrupts) => {}
            () = next(&mut terminations) => {}
        }
        tokio::spawn(async move {
            next(&mut interrupts).await;
            eprint_line("bue: interrupted twice, exiting at once");
            std::process::exit(i32::from(INTERRUPTED));
        });
    }
}

fn listen(kind: SignalKind) -> Option<Signal> {
    signal(kind).ok()
}

/// Waits for the next signal since [`listen`].
async fn next(signals: &mut Option<Signal>) {
    match signals {
        Some(signals) => drop(signals.recv().await),
        None => std::future::pending().await,
    }
}
