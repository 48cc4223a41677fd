//! What hub and bucket have in common as verbs.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use bue_hub::{Access, Tls, TlsFiles};
use clap::{Args, ValueEnum};
use tokio::net::TcpListener;

use crate::setting::{LOG_FORMAT, Setting, TLS_CERT, TLS_CLIENT_CA, TLS_KEY, TOKENS};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{LogFormat, say};

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

/// The certificate a server shows, and whose it asks for.
#[derive(Debug, Args)]
pub(crate) struct TlsFlags {
    /// Speak https: the certificate to show, and those up to its authority, PEM. Read again when it changes
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate, PEM
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Let nobody in without a certificate that one of these authorities signed, PEM
    #[arg(long, value_name = "FILE")]
    tls_client_ca: Option<PathBuf>,
}

impl TlsFlags {
    /// `None`: plain HTTP.
    pub(crate) fn open(&self, settings: &Settings) -> Result<Option<Tls>, Stop> {
        let client_ca = path_of(self.tls_client_ca.as_ref(), TLS_CLIENT_CA, settings);
        let certificate = path_of(self.tls_cert.as_ref(), TLS_CERT, settings);
        let files = match (certificate, path_of(self.tls_key.as_ref(), TLS_KEY, settings)) {
            (None, None) if client_ca.is_none() => return Ok(None),
            (Some(certificate), Some(key)) => TlsFiles { certificate, key, client_ca },
            _ => {
                return Err(Stop::Usage(
                    "TLS needs a certificate and its key: type `--tls-cert FILE --tls-key FILE`".to_owned(),
                ));
            }
        };
        Tls::open(files).map(Some).map_err(|error| Stop::Usage(error.to_string()))
    }
}

/// How the log of a process that goes on looks.
#[derive(Debug, Args)]
pub(crate) struct LogFlag {
    /// Write the log as text, or as an object a line [default: BUE_LOG_FORMAT, else text]
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
}

impl LogFlag {
    pub(crate) fn format(&self, settings: &Settings) -> Result<LogFormat, Stop> {
        match (self.log_format, settings.text(LOG_FORMAT)) {
            (Some(format), _) => Ok(format),
            (None, None) => Ok(LogFormat::default()),
            (None, Some(text)) => LogFormat::from_str(&text, true)
                .map_err(|_| Stop::Usage(format!("`{text}` is no format of logs; set BUE_LOG_FORMAT to text or json"))),
        }
    }
}

/// What a flag says, or else a setting.
pub(crate) fn path_of(flag: Option<&PathBuf>, setting: Setting, settings: &Settings) -> Option<PathBuf> {
    flag.cloned().or_else(|| settings.text(setting).map(PathBuf::from))
}

/// How a server's address is written for its clients. Warns where tokens could be read on their way.
pub(crate) fn place(address: SocketAddr, tls: Option<&Tls>) -> String {
    if tls.is_some() {
        return format!("https://{address}");
    }
    if !address.ip().is_loopback() {
        say(&format!(
            "bue: warning: {address} speaks plain HTTP: tokens can be read on their way; type `--tls-cert FILE --tls-key FILE`, \
             or keep it inside a private network"
        ));
    }
    address.to_string()
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
