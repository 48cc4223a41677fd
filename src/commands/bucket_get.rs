//! `bue bucket-get KEY`.

use std::io::Write;

use anyhow::Context;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::ClientFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};

/// Prints the value of a key in the bucket, streaming it.
#[derive(Debug, Args)]
pub(crate) struct BucketGet {
    /// Name of the value: parts separated by `/`, such as reports/today
    key: String,
    #[command(flatten)]
    servers: ClientFlags,
}

impl BucketGet {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        block_on(interruptible(async {
            let bucket = self.servers.connect(&settings).await?.bucket;
            let value = bucket.get_key(&self.key).await.context("failed to read the value")?;
            let Some(mut value) = value else {
                return Err(CommandError::NotFound(format!("the bucket has no value called `{}`", self.key)));
            };
            let mut out = std::io::stdout().lock();
            while let Some(chunk) = value.next().await.context("failed to read the value")? {
                out.write_all(&chunk).map_err(CommandError::from_stdout)?;
            }
            out.flush().map_err(CommandError::from_stdout)
        }))
    }
}
