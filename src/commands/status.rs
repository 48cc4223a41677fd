//! `bue status [RUN]`.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use bue_client::HubClient;
use bue_model::wire::{RunView, StepView};
use bue_model::{RunId, RunState};
use clap::Args;
use comfy_table::Table;

use crate::config::settings::Settings;
use crate::flags::client::HubFlags;
use crate::flags::target::parse_run_id;
use crate::process::command_error::CommandError;
use crate::process::event_loop::{block_on, interruptible};
use crate::process::output::{plain_table, print_line};

/// Time between two updates of `-s`, as in Buelon.
const UPDATE_INTERVAL: Duration = Duration::from_secs(3);

/// The escape sequence that clears a terminal and moves the cursor to the top left.
const CLEAR_SCREEN: &str = "\u{1b}[H\u{1b}[2J";

/// Shows the state of the latest runs, or of the steps of one run.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Id of a run
    #[arg(value_parser = parse_run_id)]
    run: Option<RunId>,
    /// Update every three seconds, until Ctrl-C or until the run has ended
    #[arg(short = 's', long)]
    subscribe: bool,
    /// Print JSON as the hub returns it: one run, or a list of runs; with -s, one line per update
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubFlags,
}

/// What is printed.
struct StatusText {
    text: String,
    /// It will not change any more.
    is_final: bool,
}

impl Status {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        let hub = self.hub.client(&Settings::load()?)?;
        block_on(interruptible(async {
            loop {
                let StatusText { text, is_final } = match self.run {
                    Some(run) => self.run_status(&hub, run).await?,
                    None => self.latest(&hub).await?,
                };
                match self.subscribe && !self.json && std::io::stdout().is_terminal() {
                    true => print_line(&format!("{CLEAR_SCREEN}{text}"))?,
                    false => print_line(&text)?,
                }
                if !self.subscribe || is_final {
                    return Ok(());
                }
                tokio::time::sleep(UPDATE_INTERVAL).await;
            }
        }))
    }

    /// Fetches the state of one run.
    async fn run_status(&self, hub: &HubClient, run: RunId) -> Result<StatusText, CommandError> {
        let view = hub.run(run, None, 0).await.context("failed to fetch the run")?;
        let text = match self.json {
            true => serde_json::to_string(&view).context("failed to write JSON")?,
            false => format!("run {} ({}) {}\n{}", view.id, view.name, view.state.name(), step_table(&view)),
        };
        Ok(StatusText { text, is_final: view.state != RunState::Running })
    }

    /// Fetches the state of the latest runs. It is never final, because new runs may be submitted.
    async fn latest(&self, hub: &HubClient) -> Result<StatusText, CommandError> {
        let views = hub.runs().await.context("failed to fetch the runs")?;
        let text = match self.json {
            true => serde_json::to_string(&views).context("failed to write JSON")?,
            false => run_table(&views).to_string(),
        };
        Ok(StatusText { text, is_final: false })
    }
}

fn step_table(view: &RunView) -> Table {
    let mut table = plain_table(["step", "blocked", "available", "running", "completed", "failed", "cancelled"]);
    for step in &view.steps {
        table.add_row([
            step.name.clone(),
            step.blocked.to_string(),
            step.available.to_string(),
            step.running.to_string(),
            step.completed.to_string(),
            step.failed.to_string(),
            step.cancelled.to_string(),
        ]);
    }
    table
}

fn run_table(views: &[RunView]) -> Table {
    let mut table = plain_table(["run", "script", "state", "open", "completed", "failed"]);
    for view in views {
        let sum = |count: fn(&StepView) -> u64| view.steps.iter().map(count).sum::<u64>().to_string();
        table.add_row([
            view.id.to_string(),
            view.name.clone(),
            view.state.name().to_owned(),
            sum(|step| step.blocked + step.available + step.running),
            sum(|step| step.completed),
            sum(|step| step.failed),
        ]);
    }
    table
}
