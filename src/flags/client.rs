//! Flags of verbs that connect to a hub and a bucket, and the clients they make.

use std::path::PathBuf;

use anyhow::Context;
use bue_client::{BucketClient, ClientError, ClientOptions, HubClient, Trust};
use clap::Args;

use crate::config::address::server_addresses;
use crate::config::setting::{BUCKET, CLIENT_CERT, CLIENT_KEY, HUB, SERVER_CA};
use crate::config::settings::Settings;
use crate::config::token::{TokenRecipient, read_token, token_from_settings};
use crate::process::command_error::CommandError;

/// The address of the hub, and the credentials for hub and bucket.
#[derive(Debug, Args)]
pub(crate) struct HubFlags {
    /// The hub, or several hubs of one database, separated by commas [default: PIPE_WORKER_HOST and _PORT, else
    /// 127.0.0.1:65432]
    #[arg(short = 'b', long = "hub", value_name = "[https://]HOST:PORT")]
    hub: Option<String>,
    /// A file with the token to send [default: BUE_TOKEN, else the file that BUE_TOKEN_FILE names]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    tls: ClientTlsFlags,
}

/// Which servers to trust at https:// addresses, and the certificate to send them.
#[derive(Debug, Default, Args)]
struct ClientTlsFlags {
    /// Certificate authorities trusted to sign for https:// servers, PEM [default: BUE_SERVER_CA, else those of the system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The certificate to send to servers that request one, PEM [default: BUE_CLIENT_CERT]
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// The private key of that certificate, PEM [default: BUE_CLIENT_KEY]
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

/// The address of the bucket.
#[derive(Debug, Args)]
pub(crate) struct BucketFlag {
    /// The bucket [default: BUCKET_CLIENT_HOST and _PORT, else the one the hub names, else 127.0.0.1:61535]
    #[arg(short = 'k', long = "bucket", value_name = "[https://]HOST:PORT")]
    bucket: Option<String>,
}

/// The addresses of hub and bucket, and the credentials for both.
#[derive(Debug, Args)]
pub(crate) struct ClientFlags {
    #[command(flatten)]
    pub(crate) hub: HubFlags,
    #[command(flatten)]
    pub(crate) bucket: BucketFlag,
}

/// Clients of hub and bucket.
pub(crate) struct Clients {
    pub(crate) hub: HubClient,
    pub(crate) bucket: BucketClient,
}

impl HubFlags {
    /// Makes a client of the hub. Does not connect yet.
    pub(crate) fn client(&self, settings: &Settings) -> Result<HubClient, CommandError> {
        let address = self.hub.clone().unwrap_or_else(|| settings.address(HUB));
        let addresses = server_addresses(&address, "-b")?;
        let origin = if self.hub.is_some() { None } else { settings.address_origin(HUB) };
        let recipient = TokenRecipient { address: &address, origin, flag: "-b" };
        HubClient::with_options(&addresses, self.options(settings, recipient)?).map_err(|error| usage(&error))
    }

    /// Returns how clients connect: the certificates that they trust, and the token that they send.
    fn options(&self, settings: &Settings, recipient: TokenRecipient<'_>) -> Result<ClientOptions, CommandError> {
        let token = match &self.token_file {
            Some(file) => Some(read_token(file)?),
            None => token_from_settings(settings, recipient)?,
        };
        Ok(ClientOptions { trust: self.tls.trust(settings)?, token, dial: None })
    }
}

impl ClientTlsFlags {
    fn trust(&self, settings: &Settings) -> Result<Trust, CommandError> {
        let certificate = settings.path(self.client_cert.as_ref(), CLIENT_CERT);
        let key = settings.path(self.client_key.as_ref(), CLIENT_KEY);
        if certificate.is_some() != key.is_some() {
            return Err(CommandError::Usage(
                "a client certificate needs its key: set both BUE_CLIENT_CERT and BUE_CLIENT_KEY, or neither"
                    .to_owned(),
            ));
        }
        Ok(Trust { ca: settings.path(self.ca.as_ref(), SERVER_CA), identity: certificate.zip(key) })
    }
}

impl BucketFlag {
    /// Returns the address of the flag, or else of the settings; `None` if neither names one.
    pub(crate) fn address(&self, settings: &Settings) -> Result<Option<String>, CommandError> {
        let address = self.bucket.clone().or_else(|| settings.address_if_set(BUCKET));
        if let Some(address) = &address {
            server_addresses(address, "-k")?;
        }
        Ok(address)
    }

    /// Describes the bucket at an address that [`Self::address`] returned, or that the hub has told.
    fn recipient<'a>(&self, address: &'a str, settings: &Settings) -> TokenRecipient<'a> {
        let origin = if self.bucket.is_some() { None } else { settings.address_origin(BUCKET) };
        TokenRecipient { address, origin, flag: "-k" }
    }

    /// Makes a client of the bucket with the credentials of the settings; `None` if neither the flag nor a setting names it.
    pub(crate) fn client(&self, settings: &Settings) -> Result<Option<BucketClient>, CommandError> {
        let Some(address) = self.address(settings)? else { return Ok(None) };
        let trust = ClientTlsFlags::default().trust(settings)?;
        let token = token_from_settings(settings, self.recipient(&address, settings))?;
        let options = ClientOptions { trust, token, dial: None };
        BucketClient::with_options(&address, options).map(Some).map_err(|error| usage(&error))
    }
}

impl ClientFlags {
    /// Makes clients of both. If no flag and no setting names the bucket, requests its address from the hub.
    pub(crate) async fn connect(&self, settings: &Settings) -> Result<Clients, CommandError> {
        let hub = self.hub.client(settings)?;
        let address = match self.bucket.address(settings)? {
            Some(address) => Some(address),
            None => hub.bucket().await.context("failed to ask the hub for the bucket's address")?,
        };
        Ok(Clients { bucket: self.bucket_client(address, settings)?, hub })
    }

    /// Makes a client of the bucket at this address, or at the default address.
    pub(crate) fn bucket_client(
        &self,
        address: Option<String>,
        settings: &Settings,
    ) -> Result<BucketClient, CommandError> {
        let address = address.unwrap_or_else(|| settings.address(BUCKET));
        let recipient = self.bucket.recipient(&address, settings);
        BucketClient::with_options(&address, self.hub.options(settings, recipient)?).map_err(|error| usage(&error))
    }
}

fn usage(error: &ClientError) -> CommandError {
    CommandError::Usage(error.to_string())
}
