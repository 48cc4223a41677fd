//! `bue bucket-get KEY`.

use std::io::Write;

use anyhow::{Context, anyhow};
use clap::Args;

use crate::commands::remote::Servers;
use crate::reactor::{block_on, interruptible};
use crate::settings::Settings;
use crate::stop::Stop;

/// Writes the value of a key in the bucket to standard output, as it comes.
#[derive(Debug, Args)]
pub(crate) struct BucketGet {
    /// Name of the value: parts with `/` between them, like reports/today
    key: String,
    #[command(flatten)]
    servers: Servers,
}

impl BucketGet {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        block_on(interruptible(async {
            let (_, bucket) = self.servers.connect(&settings).await?;
            let value = bucket.get_key(&self.key).await.context("failed to read the value")?;
            let Some(mut value) = value else {
                return Err(Stop::Surroundings(anyhow!("the bucket has no value called `{}`", self.key)));
            };
            let mut out = std::io::stdout().lock();
            while let Some(piece) = value.next().await.context("failed to read the value")? {
                out.write_all(&piece).map_err(Stop::from_stdout)?;
            }
            out.flush().map_err(Stop::from_stdout)
        }))
    }
}
