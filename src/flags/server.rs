//! Flags that `bue hub` and `bue bucket` share, and the log format of all that keep running.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use bue_hub::{Access, Hub, Tls, TlsFiles};
use clap::{Args, ValueEnum};

use crate::config::address::listen_address;
use crate::config::setting::{AddressSetting, LOG_FORMAT, TLS_CERT, TLS_CLIENT_CA, TLS_KEY, TOKENS};
use crate::config::settings::Settings;
use crate::process::command_error::CommandError;
use crate::process::logging::LogFormat;
use crate::process::output::eprint_line;

/// The default tokens file, in the working directory.
const DEFAULT_TOKENS_FILE: &str = "bue.tokens";

/// Who may connect to a server, how, and what it logs.
#[derive(Debug, Args)]
pub(crate) struct ServerFlags {
    #[command(flatten)]
    tokens: TokensFlag,
    #[command(flatten)]
    tls: TlsFlags,
    #[command(flatten)]
    log: LogFlag,
}

/// What every server needs before it opens its store.
pub(crate) struct ServerSetup {
    pub(crate) access: Access,
    /// The address to listen on.
    pub(crate) address: SocketAddr,
    /// `None`: plain HTTP.
    pub(crate) tls: Option<Tls>,
    pub(crate) log_format: LogFormat,
}

/// The tokens file of a server.
#[derive(Debug, Args)]
pub(crate) struct TokensFlag {
    /// The file of accepted tokens [default: BUE_TOKENS, else bue.tokens]
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
}

/// The certificate of a server, and the client certificates it requires.
#[derive(Debug, Args)]
struct TlsFlags {
    /// Serve https with this certificate chain, PEM. The file is read again when it changes
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The private key of that certificate, PEM
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Require a client certificate signed by one of these authorities, PEM
    #[arg(long, value_name = "FILE")]
    tls_client_ca: Option<PathBuf>,
}

/// The StatsD server of a hub.
#[derive(Debug, Args)]
pub(crate) struct ReportFlag {
    /// Send metrics to this StatsD server, over UDP [default: BUE_STATSD, else none]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) statsd: Option<String>,
}

/// Whether a hub serves the dashboard.
#[derive(Debug, Args)]
pub(crate) struct WebFlag {
    /// Serve no dashboard. The API and all other commands stay the same
    #[arg(long)]
    no_web: bool,
}

impl WebFlag {
    /// Returns the hub as the flag wants it.
    pub(crate) fn apply(&self, hub: Hub) -> Hub {
        if self.no_web { hub.without_dashboard() } else { hub }
    }

    /// Whether the dashboard is served.
    pub(crate) const fn is_on(&self) -> bool {
        !self.no_web
    }

    /// Prints where the dashboard is. `address` is that for clients, `HOST:PORT` or `https://HOST:PORT`.
    pub(crate) fn announce(&self, address: &str, access: &Access) {
        if self.no_web {
            return;
        }
        let url = if address.starts_with("https://") { address.to_owned() } else { format!("http://{address}") };
        let url = url.replace("//0.0.0.0:", "//localhost:").replace("//[::]:", "//localhost:");
        let hint = if access.is_open() { "" } else { "; `bue web` prints a link that logs you in" };
        eprint_line(&format!("bue: the dashboard is at {url}/{hint}"));
    }
}

/// The log format of a command that keeps running.
#[derive(Debug, Args)]
pub(crate) struct LogFlag {
    /// Write the log as text, or as one JSON object per line [default: BUE_LOG_FORMAT, else text]
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
}

impl ServerFlags {
    /// Reads tokens and certificates, and resolves the address to listen on: `bind`, or else the setting's.
    pub(crate) fn setup(
        &self,
        bind: Option<String>,
        setting: AddressSetting,
        settings: &Settings,
    ) -> Result<ServerSetup, CommandError> {
        let access = Access::from_token_file(self.tokens.path(settings)).context("failed to read the tokens")?;
        let bind = bind.unwrap_or_else(|| settings.address(setting));
        let address = listen_address(&bind, "-b", &access)?;
        Ok(ServerSetup { access, address, tls: self.tls.open(settings)?, log_format: self.log.format(settings)? })
    }
}

impl TokensFlag {
    /// Returns the path of the tokens file, which need not exist.
    pub(crate) fn path(&self, settings: &Settings) -> PathBuf {
        settings.path(self.tokens.as_ref(), TOKENS).unwrap_or_else(|| PathBuf::from(DEFAULT_TOKENS_FILE))
    }
}

impl TlsFlags {
    /// Reads the certificate; `None` if there is none to serve.
    fn open(&self, settings: &Settings) -> Result<Option<Tls>, CommandError> {
        let client_ca = settings.path(self.tls_client_ca.as_ref(), TLS_CLIENT_CA);
        let certificate = settings.path(self.tls_cert.as_ref(), TLS_CERT);
        let files = match (certificate, settings.path(self.tls_key.as_ref(), TLS_KEY)) {
            (None, None) if client_ca.is_none() => return Ok(None),
            (Some(certificate), Some(key)) => TlsFiles { certificate, key, client_ca },
            _ => {
                return Err(CommandError::Usage(
                    "TLS needs a certificate and its key: type `--tls-cert FILE --tls-key FILE`".to_owned(),
                ));
            }
        };
        Tls::open(files).map(Some).map_err(|error| CommandError::Usage(error.to_string()))
    }
}

impl LogFlag {
    /// Returns the format of the flag, or else of the setting.
    pub(crate) fn format(&self, settings: &Settings) -> Result<LogFormat, CommandError> {
        match (self.log_format, settings.text(LOG_FORMAT)) {
            (Some(format), _) => Ok(format),
            (None, None) => Ok(LogFormat::default()),
            (None, Some(text)) => LogFormat::from_str(&text, true).map_err(|_| {
                CommandError::Usage(format!("`{text}` is not a log format; set BUE_LOG_FORMAT to text or json"))
            }),
        }
    }
}
