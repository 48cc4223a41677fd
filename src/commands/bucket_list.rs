//! `bue bucket-list [PREFIX]`.

use anyhow::Context;
use bue_model::Timestamp;
use bue_model::keys::KeyView;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::ClientFlags;
use crate::process::clock::now;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{print_json, print_line};
use crate::runs::times::duration_text;

/// Values that are requested together.
const PAGE: u32 = 1_000;

/// Lists the names of values in the bucket, those that begin with PREFIX, each with its length in bytes.
#[derive(Debug, Args)]
pub(crate) struct BucketList {
    /// What the names begin with, such as reports/
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
    /// Print a line of JSON for each value: key, bytes and expires_at
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: ClientFlags,
}

impl BucketList {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        block_on(interruptible(async {
            let bucket = self.servers.connect(&settings).await?.bucket;
            let mut after = String::new();
            loop {
                let page = bucket.keys(&self.prefix, &after, PAGE).await.context("failed to list the values")?;
                page.keys.iter().try_for_each(|value| self.print(value))?;
                let Some(next) = page.next else { return Ok(()) };
                after = next;
            }
        }))
    }

    fn print(&self, value: &KeyView) -> Result<(), CommandError> {
        match self.json {
            true => print_json(value),
            false => print_line(&line(value, now())),
        }
    }
}

/// `reports/today  1200`, and if it expires, when: `reports/today  1200  expires in 6 d 4 h`
fn line(value: &KeyView, now: Timestamp) -> String {
    let left = value.expires_at.map(|at| duration_text(at.since_ms(now)));
    let expires = left.map_or_else(String::new, |left| format!("  expires in {left}"));
    format!("{}  {}{expires}", value.key, value.bytes)
}
