//! `bue status [RUN]`.

use anyhow::Context;
use bue_client::HubClient;
use bue_model::RunId;
use bue_model::wire::{RunView, StepView};
use clap::Args;
use comfy_table::Table;

use crate::commands::remote::HubFlag;
use crate::commands::target::run_id;
use crate::reactor::{block_on, interruptible};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{plain_table, print};

/// Shows where runs stand: the latest ones, or the steps of one.
#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Id of a run
    #[arg(value_parser = run_id)]
    run: Option<RunId>,
    /// JSON, as the hub gives it: one run, or the list of them
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    hub: HubFlag,
}

impl Status {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let hub = self.hub.client(&Settings::load()?)?;
        block_on(interruptible(async {
            match self.run {
                Some(run) => self.one(&hub, run).await,
                None => self.latest(&hub).await,
            }
        }))
    }

    async fn one(&self, hub: &HubClient, run: RunId) -> Result<(), Stop> {
        let view = hub.run(run, None, 0).await.context("failed to ask for the run")?;
        match self.json {
            true => print(&serde_json::to_string(&view).context("failed to write JSON")?),
            false => print(&step_table(&view).to_string()),
        }
    }

    async fn latest(&self, hub: &HubClient) -> Result<(), Stop> {
        let views = hub.runs().await.context("failed to ask for the runs")?;
        match self.json {
            true => print(&serde_json::to_string(&views).context("failed to write JSON")?),
            false => print(&run_table(&views).to_string()),
        }
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
