//! The flags of verbs that talk to servers elsewhere.

use bue_client::{BucketClient, HubClient};
use clap::Args;

use crate::address::server_addresses;
use crate::settings::{BUCKET, HUB, Settings};
use crate::stop::Stop;

/// Where the hub is.
#[derive(Debug, Args)]
pub(crate) struct HubFlag {
    /// The hub, or several of one database separated by commas [default: PIPE_WORKER_HOST and _PORT, else 127.0.0.1:65432]
    #[arg(short = 'b', long = "hub", value_name = "HOST:PORT")]
    hub: Option<String>,
}

/// Where the bucket is.
#[derive(Debug, Args)]
pub(crate) struct BucketFlag {
    /// The bucket [default: BUCKET_CLIENT_HOST and _PORT, else 127.0.0.1:61535]
    #[arg(short = 'k', long = "bucket", value_name = "HOST:PORT")]
    bucket: Option<String>,
}

impl HubFlag {
    /// As given, or as set.
    pub(crate) fn address(&self, settings: &Settings) -> String {
        self.hub.clone().unwrap_or_else(|| settings.address(HUB))
    }

    pub(crate) fn client(&self, settings: &Settings) -> Result<HubClient, Stop> {
        let text = self.address(settings);
        HubClient::new(&server_addresses(&text, "-b")?).map_err(|error| Stop::Usage(error.to_string()))
    }
}

impl BucketFlag {
    /// As given, or as set.
    pub(crate) fn address(&self, settings: &Settings) -> String {
        self.bucket.clone().unwrap_or_else(|| settings.address(BUCKET))
    }

    /// Whether somebody said where the bucket is.
    pub(crate) fn is_given(&self) -> bool {
        self.bucket.is_some()
    }

    pub(crate) fn client(&self, settings: &Settings) -> Result<BucketClient, Stop> {
        let text = self.address(settings);
        server_addresses(&text, "-k")?;
        BucketClient::new(&text).map_err(|error| Stop::Usage(error.to_string()))
    }
}
