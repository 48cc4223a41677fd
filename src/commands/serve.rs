//! What hub and bucket have in common as verbs.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use tokio::net::TcpListener;

use crate::stop::Stop;

/// A listener and where it really listens: port 0 means any.
pub(crate) async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Stop> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("failed to listen on {address}: is it in use already?"))?;
    let address = listener.local_addr().context("failed to listen")?;
    Ok((listener, address))
}

/// The path of `kind:PATH`.
pub(crate) fn store_path(store: &str, kind: &str) -> Result<PathBuf, Stop> {
    match store.split_once(':') {
        Some((given, path)) if given == kind && !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(Stop::Usage(format!("`{store}` is no store this version has; type --store {kind}:PATH"))),
    }
}
