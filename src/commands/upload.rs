//! `bue upload`.

use std::path::PathBuf;

use anyhow::Context;
use bue_client::{BucketClient, HubClient};
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::ClientFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::print_line;
use crate::runs::follow::wait_for_run;
use crate::runs::outcome::expect_success;
use crate::runs::results::ResultWriter;
use crate::runs::submit::submit;
use crate::runs::unserved::warn_unserved;
use crate::script::check::{CheckedScript, load_script};

/// Submits a script to a hub and prints the id of its run.
///
/// All problems of the script are reported before anything is submitted. `submit` is an alias.
#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// The script
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// Wait until the run has ended; the exit code is 1 if it failed
    #[arg(long)]
    wait: bool,
    /// Print JSON: {"run": ID}; with --wait, the results as `bue result --json` does
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: ClientFlags,
}

impl Upload {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        let script = load_script(&self.file, &settings)?;
        block_on(interruptible(async {
            let clients = self.servers.connect(&settings).await?;
            self.upload(&script, &clients.hub, &clients.bucket).await
        }))
    }

    async fn upload(&self, script: &CheckedScript, hub: &HubClient, bucket: &BucketClient) -> Result<(), CommandError> {
        let run = submit(script, hub, bucket).await?;
        match (self.json, self.wait) {
            (true, true) => {}
            (true, false) => print_line(&format!(r#"{{"run":"{run}"}}"#))?,
            (false, _) => print_line(&run.to_string())?,
        }
        if !self.wait {
            // the run is submitted, whether or not the hub still answers
            if let Ok(view) = hub.run(run, None, 0).await {
                warn_unserved(&view);
            }
            return Ok(());
        }
        let state = wait_for_run(hub, bucket, run).await?;
        if self.json {
            let page = hub.result_page(run, Default::default()).await.context("failed to read the results")?;
            ResultWriter::new(hub, bucket, run).write_object(page).await?;
        }
        expect_success(state)
    }
}
