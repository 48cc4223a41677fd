//! The flags of verbs that talk to servers elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use bue_client::{BucketClient, HubClient, Trust};
use clap::Args;

use crate::address::server_addresses;
use crate::commands::serve::path_of;
use crate::setting::{BUCKET, CLIENT_CERT, CLIENT_KEY, HUB, SERVER_CA, TOKEN, TOKEN_FILE};
use crate::settings::Settings;
use crate::stop::Stop;

/// Bytes of a file that may have a token.
const MAX_TOKEN_FILE: u64 = 4096;

/// Where the hub is, and who we are.
#[derive(Debug, Args)]
pub(crate) struct HubFlag {
    /// The hub, or several of one database separated by commas [default: PIPE_WORKER_HOST and _PORT, else 127.0.0.1:65432]
    #[arg(short = 'b', long = "hub", value_name = "[https://]HOST:PORT")]
    hub: Option<String>,
    /// A file with the token to show [default: BUE_TOKEN, else the file that BUE_TOKEN_FILE names]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    trust: TrustFlags,
}

/// Whom we believe to be hub and bucket at https:// addresses, and what we show.
#[derive(Debug, Default, Args)]
pub(crate) struct TrustFlags {
    /// The authorities that sign for https:// servers, PEM [default: BUE_SERVER_CA, else those of the system]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The certificate to show to servers that ask for one, PEM [default: BUE_CLIENT_CERT]
    #[arg(long, value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Its key, PEM [default: BUE_CLIENT_KEY]
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
}

impl TrustFlags {
    pub(crate) fn trust(&self, settings: &Settings) -> Result<Trust, Stop> {
        let certificate = path_of(self.client_cert.as_ref(), CLIENT_CERT, settings);
        let key = path_of(self.client_key.as_ref(), CLIENT_KEY, settings);
        if certificate.is_some() != key.is_some() {
            return Err(Stop::Usage(
                "a client certificate needs its key: set BUE_CLIENT_CERT and BUE_CLIENT_KEY, or neither".to_owned(),
            ));
        }
        Ok(Trust { ca: path_of(self.ca.as_ref(), SERVER_CA, settings), identity: certificate.zip(key) })
    }
}

/// Where the bucket is.
#[derive(Debug, Args)]
pub(crate) struct BucketFlag {
    /// The bucket [default: BUCKET_CLIENT_HOST and _PORT, else what the hub says, else 127.0.0.1:61535]
    #[arg(short = 'k', long = "bucket", value_name = "[https://]HOST:PORT")]
    bucket: Option<String>,
}

/// Where both are.
#[derive(Debug, Args)]
pub(crate) struct Servers {
    #[command(flatten)]
    pub(crate) hub: HubFlag,
    #[command(flatten)]
    pub(crate) bucket: BucketFlag,
}

impl HubFlag {
    pub(crate) fn client(&self, settings: &Settings) -> Result<HubClient, Stop> {
        let text = self.hub.clone().unwrap_or_else(|| settings.address(HUB));
        let client = HubClient::new(&server_addresses(&text, "-b")?);
        let trust = self.trust.trust(settings)?;
        let client = client.and_then(|client| client.with_trust(trust));
        match self.token(settings)? {
            None => client,
            Some(token) => client.and_then(|client| client.with_token(&token)),
        }
        .map_err(|error| Stop::Usage(error.to_string()))
    }

    /// The token that is set, in itself or in a file.
    fn token(&self, settings: &Settings) -> Result<Option<String>, Stop> {
        if let Some(file) = &self.token_file {
            return read_token(file).map(Some);
        }
        set_token(settings)
    }
}

/// The token that the settings have, in itself or in a file.
pub(crate) fn set_token(settings: &Settings) -> Result<Option<String>, Stop> {
    if let Some(token) = settings.text(TOKEN) {
        return Ok(Some(token.trim().to_owned()));
    }
    settings.text(TOKEN_FILE).map(|file| read_token(Path::new(&file))).transpose()
}

impl BucketFlag {
    /// As given, or as set; `None` where nobody said it.
    pub(crate) fn address(&self, settings: &Settings) -> Result<Option<String>, Stop> {
        let address = self.bucket.clone().or_else(|| settings.address_if_set(BUCKET));
        if let Some(address) = &address {
            server_addresses(address, "-k")?;
        }
        Ok(address)
    }
}

impl Servers {
    /// Clients of both. Where nobody here said where the bucket is, the hub is asked.
    pub(crate) async fn connect(&self, settings: &Settings) -> Result<(HubClient, BucketClient), Stop> {
        let hub = self.hub.client(settings)?;
        let bucket = match self.bucket.address(settings)? {
            Some(bucket) => bucket,
            None => {
                let told = hub.bucket().await.context("failed to ask the hub where the bucket is")?;
                told.unwrap_or_else(|| settings.address(BUCKET))
            }
        };
        let bucket = self.bucket_client(&bucket, settings)?;
        Ok((hub, bucket))
    }

    /// A client of a bucket at a known place.
    pub(crate) fn bucket_client(&self, address: &str, settings: &Settings) -> Result<BucketClient, Stop> {
        let client = BucketClient::new(address);
        let trust = self.hub.trust.trust(settings)?;
        let client = client.and_then(|client| client.with_trust(trust));
        match self.hub.token(settings)? {
            None => client,
            Some(token) => client.and_then(|client| client.with_token(&token)),
        }
        .map_err(|error| Stop::Usage(error.to_string()))
    }
}

fn read_token(path: &Path) -> Result<String, Stop> {
    let refuse =
        |what: &str| Stop::Usage(format!("{} {what}; it should have a token and nothing else", path.display()));
    let length = fs::metadata(path).with_context(|| format!("failed to read the token in {}", path.display()))?.len();
    if length > MAX_TOKEN_FILE {
        return Err(refuse("is too long for a token"));
    }
    let text = fs::read_to_string(path).with_context(|| format!("failed to read the token in {}", path.display()))?;
    match text.trim() {
        "" => Err(refuse("is empty")),
        token if token.contains(char::is_whitespace) => Err(refuse("has more than a token")),
        token => Ok(token.to_owned()),
    }
}
