//! `bue pipelines`.

use anyhow::Context;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{eprint_line, plain_table, print_json, print_line};

/// Lists the published pipelines.
#[derive(Debug, Args)]
pub(crate) struct Pipelines {
    /// Print JSON: an array with name, version, script and published_at of each
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubFlags,
}

impl Pipelines {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        let pipelines =
            block_on(interruptible(async { Ok(hub.pipelines().await.context("failed to list the pipelines")?) }))?;
        if self.json {
            return print_json(&pipelines);
        }
        if pipelines.is_empty() {
            eprint_line("bue: no pipeline is published; `bue publish FILE` publishes a script");
            return Ok(());
        }
        let mut table = plain_table(["pipeline", "version", "script"]);
        for pipeline in pipelines {
            table.add_row([pipeline.name, pipeline.version.to_string(), pipeline.script]);
        }
        print_line(&table.to_string())
    }
}
