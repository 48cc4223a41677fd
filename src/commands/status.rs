//! `bue status [RUN]`.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::Context;
use bue_client::HubClient;
use bue_model::wire::{RunView, StepView};
use bue_model::{RunId, RunState};
use clap::Args;
use comfy_table::Table;

use crate::commands::remote::HubFlag;
use crate::commands::target::run_id;
use crate::reactor::{block_on, interruptible};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{plain_table, print};

/// Between two looks of `-s`, as it was before bue.
const PAUSE: Duration = Duration::from_secs(3);

/// Makes a terminal draw over what it showed before.
const HOME_AND_CLEAR: &str = "\u{1b}[H\u{1b}[2J";

/// Shows where runs stand: the latest ones, or the steps of one.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Id of a run
    #[arg(value_parser = run_id)]
    run: Option<RunId>,
    /// Show it again every three seconds, until Ctrl-C or until the run has ended
    #[arg(short = 's', long)]
    subscribe: bool,
    /// JSON, as the hub gives it: one run, or the list of them; with -s one line each time
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubFlag,
}

impl Status {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let hub = self.hub.client(&Settings::load()?)?;
        block_on(interruptible(async {
            loop {
                let (text, goes_on) = match self.run {
                    Some(run) => self.one(&hub, run).await?,
                    None => self.latest(&hub).await?,
                };
                match self.subscribe && !self.json && std::io::stdout().is_terminal() {
                    true => print(&format!("{HOME_AND_CLEAR}{text}"))?,
                    false => print(&text)?,
                }
                if !self.subscribe || !goes_on {
                    return Ok(());
                }
                tokio::time::sleep(PAUSE).await;
            }
        }))
    }

    /// One run, and whether it goes on.
    async fn one(&self, hub: &HubClient, run: RunId) -> Result<(String, bool), Stop> {
        let view = hub.run(run, None, 0).await.context("failed to ask for the run")?;
        let text = match self.json {
            true => serde_json::to_string(&view).context("failed to write JSON")?,
            false => format!("run {} ({}) {}\n{}", view.id, view.name, view.state.name(), step_table(&view)),
        };
        Ok((text, view.state == RunState::Running))
    }

    /// The latest runs; others may come.
    async fn latest(&self, hub: &HubClient) -> Result<(String, bool), Stop> {
        let views = hub.runs().await.context("failed to ask for the runs")?;
        let text = match self.json {
            true => serde_json::to_string(&views).context("failed to write JSON")?,
            false => run_table(&views).to_string(),
        };
        Ok((text, true))
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
