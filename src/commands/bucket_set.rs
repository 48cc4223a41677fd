//! `bue bucket-set KEY FILE`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use tokio::fs::File;

use crate::commands::remote::Servers;
use crate::duration::duration;
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
    /// How long it is there: 90s, 12h, 7d [default: until it is deleted]
    #[arg(long, value_name = "DURATION")]
    expires: Option<String>,
    #[command(flatten)]
    servers: Servers,
}

impl BucketSet {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        let expires = self.expires.as_deref().map(|text| duration(text, "--expires")).transpose()?;
        // a part of a second is one
        let expires = expires.map(|expires| expires.as_secs() + u64::from(expires.subsec_nanos() > 0));
        block_on(interruptible(async {
            let what = || format!("failed to store {} as `{}`", self.file.display(), self.key);
            if self.file == Path::new("-") {
                let (_, bucket) = self.servers.connect(&settings).await?;
                return Ok(bucket.set_key(&self.key, tokio::io::stdin(), expires).await.with_context(what)?);
            }
            let file = File::open(&self.file).await.with_context(what)?;
            let (_, bucket) = self.servers.connect(&settings).await?;
            Ok(bucket.set_key(&self.key, file, expires).await.with_context(what)?)
        }))
    }
}
