//! What hub and bucket have in common as verbs.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use bue_hub::Access;
use clap::Args;
use tokio::net::TcpListener;

use crate::setting::TOKENS;
use crate::settings::Settings;
use crate::stop::Stop;

/// Beside wherever hub and bucket are started.
const DEFAULT_TOKENS: &str = "bue.tokens";

/// Which tokens a server knows.
#[derive(Debug, Args)]
pub(crate) struct TokensFlag {
    /// The file of tokens that may be shown here [default: BUE_TOKENS, else bue.tokens]
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
}

impl TokensFlag {
    /// Where the tokens are; there need not be any.
    pub(crate) fn path(&self, settings: &Settings) -> PathBuf {
        let set = self.tokens.clone().or_else(|| settings.text(TOKENS).map(PathBuf::from));
        set.unwrap_or_else(|| PathBuf::from(DEFAULT_TOKENS))
    }

    /// Who may come in.
    pub(crate) fn access(&self, settings: &Settings) -> Result<Access, Stop> {
        Ok(Access::by_file(self.path(settings)).context("failed to read the tokens")?)
    }
}

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
