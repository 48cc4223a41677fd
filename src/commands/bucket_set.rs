//! `bue bucket-set KEY FILE`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use tokio::fs::File;

use crate::commands::remote::Servers;
use crate::reactor::{block_on, interruptible};
use crate::settings::Settings;
use crate::stop::Stop;

/// Stores a file in the bucket under a key, in place of an older value.
///
/// It is there whole or not at all, and read a piece at a time: it may be larger than memory.
#[derive(Debug, Args)]
pub(crate) struct BucketSet {
    /// Name of the value: parts with `/` between them, like reports/today
    key: String,
    /// The file; `-` for standard input
    file: PathBuf,
    #[command(flatten)]
    servers: Servers,
}

impl BucketSet {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        block_on(interruptible(async {
            let what = || format!("failed to store {} as `{}`", self.file.display(), self.key);
            if self.file == Path::new("-") {
                let (_, bucket) = self.servers.connect(&settings).await?;
                return Ok(bucket.set_key(&self.key, tokio::io::stdin()).await.with_context(what)?);
            }
            let file = File::open(&self.file).await.with_context(what)?;
            let (_, bucket) = self.servers.connect(&settings).await?;
            Ok(bucket.set_key(&self.key, file).await.with_context(what)?)
        }))
    }
}
