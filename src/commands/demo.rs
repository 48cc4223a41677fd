//! `bue demo`.

use std::fs;

use anyhow::Context;
use bue_model::wire::{RunView, StepView};
use clap::Args;
use comfy_table::{CellAlignment, Table};

use crate::allow::Network;
use crate::commands::example::{SCRIPT, STEPS};
use crate::commands::result::expect_success;
use crate::failures::say_failures;
use crate::local::{Ended, Surroundings, run_here};
use crate::reactor::block_on;
use crate::script;
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{plain_table, print, say};

/// Runs the report example, and shows how it goes.
///
/// For 36 accounts: request a report, ask until it is ready, download it, start again where it was lost, transform it in
/// SQL and in Python, load it. Bucket, hub and worker run inside this process; every step in a sandbox of its own.
#[derive(Debug, Args)]
pub(crate) struct Demo {}

impl Demo {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
        let path = folder.path().join("example.bue");
        fs::write(&path, SCRIPT).context("failed to write the example")?;
        fs::write(folder.path().join("example.py"), STEPS).context("failed to write the example")?;
        let script = script::read(&path)?;
        let cache = Settings::load()?.cache_dir()?;
        let surroundings = Surroundings { cache, data: None, network: Network::closed() };
        say("bue: reports for 36 accounts, every step in a fresh sandbox; `bue example` writes the script for you");
        block_on(async {
            let ended = run_here(&script, surroundings).await?;
            let printed = print_summary(&ended).await;
            ended.services.stop().await;
            printed?;
            expect_success(ended.view.state)
        })
    }
}

async fn print_summary(ended: &Ended) -> Result<(), Stop> {
    let Ended { services, run, view } = ended;
    let page = services.hub.result_page(*run, Default::default()).await.context("failed to read the results")?;
    say_failures(&services.bucket, &page.failed, view).await;
    print(&format!("\n{}\n", table(view)))?;
    let jobs: u64 = view.steps.iter().map(|step| step.completed).sum();
    let attempts: u64 = view.steps.iter().map(|step| step.attempts).sum();
    let seconds = seconds(view);
    print(&format!("{jobs} jobs, {attempts} sandboxes, {seconds:.1} s, {:.0} sandboxes a second", rate(attempts, view)))
}

fn table(view: &RunView) -> Table {
    let mut table = plain_table(["step", "count", "time", "throughput", "retries", "pending", "resets"]);
    for step in &view.steps {
        table.add_row(row(step, view));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn row(step: &StepView, view: &RunView) -> [String; 7] {
    [
        step.name.clone(),
        step.completed.to_string(),
        format!("{:.1} ms", average_ms(step)),
        format!("{:.1}/s", rate(step.completed, view)),
        step.retries.to_string(),
        step.pendings.to_string(),
        step.resets.to_string(),
    ]
}

/// Milliseconds of one attempt.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn average_ms(step: &StepView) -> f64 {
    step.run_ms as f64 / step.attempts.max(1) as f64
}

/// How many of something a second, over the whole run.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn rate(count: u64, view: &RunView) -> f64 {
    count as f64 / seconds(view).max(0.001)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn seconds(view: &RunView) -> f64 {
    let ended = view.finished_at.unwrap_or(view.created_at);
    ended.since_ms(view.created_at) as f64 / 1000.0
}
