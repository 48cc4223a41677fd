//! `bue bucket-delete KEY`.

use anyhow::{Context, anyhow};
use clap::Args;

use crate::commands::remote::Servers;
use crate::reactor::{block_on, interruptible};
use crate::settings::Settings;
use crate::stop::Stop;

/// Takes a key and its value out of the bucket.
#[derive(Debug, Args)]
pub(crate) struct BucketDelete {
    /// Name of the value
    key: String,
    #[command(flatten)]
    servers: Servers,
}

impl BucketDelete {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        block_on(interruptible(async {
            let (_, bucket) = self.servers.connect(&settings).await?;
            match bucket.delete_key(&self.key).await.context("failed to delete the value")? {
                true => Ok(()),
                false => Err(Stop::Surroundings(anyhow!("the bucket has no value called `{}`", self.key))),
            }
        }))
    }
}
