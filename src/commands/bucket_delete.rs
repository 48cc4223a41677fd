//! `bue bucket-delete KEY`.

use anyhow::Context;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::ClientFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};

/// Deletes a key and its value from the bucket.
#[derive(Debug, Args)]
pub(crate) struct BucketDelete {
    /// Name of the value
    key: String,
    #[command(flatten)]
    servers: ClientFlags,
}

impl BucketDelete {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        block_on(interruptible(async {
            let bucket = self.servers.connect(&settings).await?.bucket;
            match bucket.delete_key(&self.key).await.context("failed to delete the value")? {
                true => Ok(()),
                false => Err(CommandError::NotFound(format!("the bucket has no value called `{}`", self.key))),
            }
        }))
    }
}
