//! `bue bucket-set KEY FILE`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use tokio::fs::File;

use crate::config::duration::parse_duration;
use crate::config::settings::Settings;
use crate::flags::client::ClientFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};

/// Stores a file in the bucket under a key, replacing an older value.
///
/// The value is stored completely or not at all. The file is streamed, so it may be larger than memory.
#[derive(Debug, Args)]
pub(crate) struct BucketSet {
    /// Name of the value: parts separated by `/`, such as reports/today
    key: String,
    /// The file; `-` for standard input
    file: PathBuf,
    /// How long to keep the value, such as 90s, 12h or 7d [default: until it is deleted]
    #[arg(long, value_name = "DURATION")]
    expires: Option<String>,
    #[command(flatten)]
    servers: ClientFlags,
}

impl BucketSet {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        let expires = self.expires.as_deref().map(|text| parse_duration(text, "--expires")).transpose()?;
        // rounded up to whole seconds
        let expires = expires.map(|expires| expires.as_secs() + u64::from(expires.subsec_nanos() > 0));
        block_on(interruptible(async {
            let failed = || format!("failed to store {} as `{}`", self.file.display(), self.key);
            if self.file == Path::new("-") {
                let bucket = self.servers.connect(&settings).await?.bucket;
                return Ok(bucket.set_key(&self.key, tokio::io::stdin(), expires).await.with_context(failed)?);
            }
            let file = File::open(&self.file).await.with_context(failed)?;
            let bucket = self.servers.connect(&settings).await?.bucket;
            Ok(bucket.set_key(&self.key, file, expires).await.with_context(failed)?)
        }))
    }
}
