//! `bue upload`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use bue_client::{BucketClient, HubClient};
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::client::ClientFlags;
use crate::flags::params::ParamFlags;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{eprint_line, print_line};
use crate::runs::follow::wait_for_run;
use crate::runs::outcome::expect_success;
use crate::runs::results::ResultWriter;
use crate::runs::submit::submit;
use crate::runs::unserved::warn_unserved;
use crate::script::check::{CheckedScript, load_script, load_script_on_stdin};

/// Submits a script to a hub and prints the id of its run.
///
/// All problems of the script are reported before anything is submitted. With --wait, prints what `bue run` prints: the results
/// on stdout, the id of the run on stderr. `submit` is an alias.
#[derive(Debug, Args)]
pub(crate) struct Upload {
    /// The script; `-` reads it from stdin, and then paths in it are relative to the working directory
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// The name of the run in lists [default: FILE as it is typed, or `stdin`]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Wait until the run has ended; the exit code is 1 if it failed
    #[arg(long)]
    wait: bool,
    /// Print JSON: {"run": ID}; with --wait, the results as `bue result --json` does
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    params: ParamFlags,
    #[command(flatten)]
    servers: ClientFlags,
    #[command(flatten)]
    buelon: BuelonFlags,
}

/// Flags of Buelon that have no effect here.
#[derive(Debug, Args)]
struct BuelonFlags {
    #[arg(short = 'l', long, hide = true)]
    lazy: bool,
    #[arg(short = 's', long, value_name = "SCOPE", hide = true)]
    scope: Option<String>,
}

impl BuelonFlags {
    fn print_notes(&self) {
        if self.lazy {
            eprint_line("bue: -l has no effect: code is always sent file by file");
        }
        if self.scope.is_some() {
            eprint_line("bue: -s has no effect: no worker is needed to read the script");
        }
    }
}

impl Upload {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        self.buelon.print_notes();
        let script = self.script(&settings)?;
        block_on(interruptible(async {
            let clients = self.servers.connect(&settings).await?;
            self.upload(&script, &clients.hub, &clients.bucket).await
        }))
    }

    fn script(&self, settings: &Settings) -> Result<CheckedScript, CommandError> {
        let given = self.params.arguments()?;
        if self.file == Path::new("-") {
            let name = self.name.clone().unwrap_or_else(|| "stdin".to_owned());
            return load_script_on_stdin(name, given, settings);
        }
        let script = load_script(&self.file, given, settings)?;
        Ok(CheckedScript { name: self.name.clone().unwrap_or(script.name), ..script })
    }

    async fn upload(&self, script: &CheckedScript, hub: &HubClient, bucket: &BucketClient) -> Result<(), CommandError> {
        let run = submit(script, hub, bucket).await?;
        if !self.wait {
            print_line(&if self.json { format!(r#"{{"run":"{run}"}}"#) } else { run.to_string() })?;
            // the run is submitted, whether or not the hub still answers
            if let Ok(view) = hub.run(run, None, 0).await {
                warn_unserved(&view);
            }
            return Ok(());
        }
        eprint_line(&format!("bue: run {run}"));
        let state = wait_for_run(hub, bucket, run).await?;
        let page = hub.result_page(run, Default::default()).await.context("failed to read the results")?;
        let writer = ResultWriter::new(hub, bucket, run);
        match self.json {
            true => writer.write_object(page).await?,
            false => writer.write_lines(page).await?,
        }
        expect_success(state)
    }
}
