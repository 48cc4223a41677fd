//! `bue upload`.

use std::path::PathBuf;

use anyhow::Context;
use bue_client::{BucketClient, HubClient};
use clap::Args;

use crate::commands::remote::Servers;
use crate::commands::result::expect_success;
use crate::commands::wait::wait;
use crate::reactor::{block_on, interruptible};
use crate::results::ResultWriter;
use crate::script;
use crate::settings::Settings;
use crate::stop::Stop;
use crate::submit::submit;
use crate::talk::print;

/// Hands a script to a hub and prints the id of its run.
///
/// Everything that is wrong with the script is said before anything is handed in. `submit` is the same.
#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// The script
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// Wait until the run has ended; the exit code is 1 if it failed
    #[arg(long)]
    wait: bool,
    /// Print JSON: {"run": ID}, with --wait the results as `bue result --json` does
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: Servers,
}

impl Upload {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let settings = Settings::load()?;
        let script = script::read(&self.file, &settings)?;
        block_on(interruptible(async {
            let (hub, bucket) = self.servers.connect(&settings).await?;
            self.upload(script, &hub, &bucket).await
        }))
    }

    async fn upload(&self, script: script::Checked, hub: &HubClient, bucket: &BucketClient) -> Result<(), Stop> {
        let run = submit(&script, hub, bucket).await?;
        match (self.json, self.wait) {
            (true, true) => {}
            (true, false) => print(&format!(r#"{{"run":"{run}"}}"#))?,
            (false, _) => print(&run.to_string())?,
        }
        if !self.wait {
            return Ok(());
        }
        let state = wait(hub, bucket, run).await?;
        if self.json {
            let page = hub.result_page(run, Default::default()).await.context("failed to read the results")?;
            ResultWriter::new(hub, bucket, run).object(page).await?;
        }
        expect_success(state)
    }
}
