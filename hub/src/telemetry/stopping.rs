//! [`stopping`]: waits until a hub stops.

use tokio::sync::watch;

/// Returns when the value becomes true, at once if it is, and also when the sender is gone. Cancel-safe.
pub(crate) async fn stopping(stopped: &mut watch::Receiver<bool>) {
    // an error is that the sender is gone
    let _ = stopped.wait_for(|stopped| *stopped).await;
}
