//! The listener of a server, and the address its clients use.

use std::net::SocketAddr;

use anyhow::Context;
use bue_hub::Tls;
use tokio::net::TcpListener;

use crate::process::command_error::CommandError;
use crate::process::output::eprint_line;

/// A listener that is bound.
pub(crate) struct BoundListener {
    pub(crate) listener: TcpListener,
    /// The address for clients: `HOST:PORT`, or `https://HOST:PORT`. Has the real port if port 0 was asked for.
    pub(crate) client_address: String,
    /// The real port.
    pub(crate) port: u16,
}

/// Binds a listener. Prints a warning if tokens would cross the network unencrypted.
pub(crate) async fn bind(address: SocketAddr, tls: Option<&Tls>) -> Result<BoundListener, CommandError> {
    let listener = TcpListener::bind(address).await;
    let listener = listener.with_context(|| format!("failed to listen on {address}: is it already in use?"))?;
    let address = listener.local_addr().context("failed to listen")?;
    if tls.is_some() {
        return Ok(BoundListener { listener, client_address: format!("https://{address}"), port: address.port() });
    }
    if !address.ip().is_loopback() {
        eprint_line(&format!(
            "bue: warning: {address} serves plain HTTP, so tokens can be read on the network; give `bue hub` and `bue bucket` the \
             flags --tls-cert FILE and --tls-key FILE, or keep it inside a private network"
        ));
    }
    Ok(BoundListener { listener, client_address: address.to_string(), port: address.port() })
}
