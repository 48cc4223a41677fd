//! `bue demo`.

mod report_api;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use bue_model::wire::{RunView, StepView};
use clap::Args;
use comfy_table::{CellAlignment, Table};
use tokio::net::TcpListener;

use self::report_api::ACCOUNTS;
use crate::config::network::Network;
use crate::config::settings::Settings;
use crate::flags::server::WebFlag;
use crate::flags::wall::WallFlag;
use crate::local::run::{FinishedRun, LocalRunOptions, run_locally};
use crate::process::command_error::CommandError;
use crate::process::event_loop::block_on;
use crate::process::output::{eprint_line, plain_table, print_line};
use crate::process::signals::interrupted;
use crate::runs::failures::print_failures;
use crate::runs::outcome::expect_success;
use crate::sandbox::prepare_sandbox;
use crate::script::check::{CheckedScript, load_script};

const SCRIPT: &str = include_str!("pipeline.bue");
const STEPS: &str = include_str!("steps.py");

/// Runs the report example, and shows its progress.
///
/// For each of 300 accounts of an API, the script requests a report, polls until it is ready, downloads it, starts again if it
/// was lost, transforms it in SQL and in Python, and loads it. The API is slow, limits its requests, and fails now and then. It
/// runs inside this process, together with bucket, hub and worker; the steps run isolated from each other, in sandbox hosts.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Only serve the API at this address, for your own scripts, until Ctrl-C
    #[arg(long, value_name = "HOST:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:8700")]
    api_only: Option<SocketAddr>,
    #[command(flatten)]
    web: WebFlag,
}

impl Demo {
    pub(crate) fn execute(self) -> Result<(), CommandError> {
        self.api_only.map_or_else(|| run(&self.web), serve_api)
    }
}

fn run(web: &WebFlag) -> Result<(), CommandError> {
    let folder = tempfile::tempdir().context("failed to create a temporary folder")?;
    let settings = Settings::load()?;
    let cache = settings.cache_dir()?;
    eprint_line(&format!(
        "bue: reports for {ACCOUNTS} accounts of an API, every step in a fresh sandbox; `bue example` writes a script to start \
         from"
    ));
    block_on(async {
        let (listener, address) = bind((Ipv4Addr::LOCALHOST, 0).into()).await?;
        let script = load_demo(folder.path(), address, &settings)?;
        // once per machine; its time is not the demo's
        prepare_sandbox(cache.clone()).await?;
        let network = Network::restricted_to(address);
        let (wall, dashboard) = (WallFlag::default().mode(&settings)?, web.is_on());
        let options = LocalRunOptions { cache, data: None, network, wall, logs: false, dashboard, simulation: None };
        let api = tokio::spawn(report_api::serve(listener));
        let finished = run_locally(&script, options).await?;
        api.abort();
        let printed = print_summary(&finished).await;
        finished.services.stop().await;
        printed?;
        expect_success(finished.view.state)
    })
}

fn serve_api(address: SocketAddr) -> Result<(), CommandError> {
    block_on(async {
        let (listener, address) = bind(address).await?;
        eprint_line(&format!("bue: the demo's API is at http://{address}"));
        tokio::select! {
            () = report_api::serve(listener) => Ok(()),
            () = interrupted() => Ok(()),
        }
    })
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), CommandError> {
    let failed = || format!("failed to listen on {address}");
    let listener = TcpListener::bind(address).await.with_context(failed)?;
    let address = listener.local_addr().with_context(failed)?;
    Ok((listener, address))
}

/// Writes the script and its steps, with the API's address filled in, and loads them.
fn load_demo(folder: &Path, api: SocketAddr, settings: &Settings) -> Result<CheckedScript, CommandError> {
    let (rule, address) = (format!("!allow net {api}"), format!("http://{api}"));
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        let text = text.replace("!allow net API", &rule).replace("http://API", &address);
        fs::write(&path, text).context("failed to write the demo")?;
        Ok::<_, CommandError>(path)
    };
    write("steps.py", STEPS)?;
    load_script(&write("demo.bue", SCRIPT)?, BTreeMap::new(), settings)
}

async fn print_summary(finished: &FinishedRun) -> Result<(), CommandError> {
    let FinishedRun { services, run, view } = finished;
    let page = services.hub.result_page(*run, Default::default()).await.context("failed to read the results")?;
    print_failures(&services.hub, &services.bucket, &page.failed, view).await?;
    print_line(&format!("\n{}\n", table(view)))?;
    let jobs = view.counts.completed;
    let attempts: u64 = view.steps.iter().map(|step| step.attempts).sum();
    let seconds = seconds(view);
    print_line(&format!(
        "{jobs} jobs, {attempts} sandboxes, {seconds:.1} s, {:.0} sandboxes a second",
        per_second(attempts, view)
    ))?;
    let minimum = report_api::minimum_time().as_secs_f64();
    print_line(&format!("the API takes {minimum:.1} s of that for its slowest account"))
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
        format!("{:.1}/s", per_second(step.completed, view)),
        step.retries.to_string(),
        step.pendings.to_string(),
        step.resets.to_string(),
    ]
}

/// Returns the average time of one attempt, in milliseconds.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn average_ms(step: &StepView) -> f64 {
    step.run_ms as f64 / step.attempts.max(1) as f64
}

/// Returns a count per second, over the whole run.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn per_second(count: u64, view: &RunView) -> f64 {
    count as f64 / seconds(view).max(0.001)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn seconds(view: &RunView) -> f64 {
    let finished_at = view.finished_at.unwrap_or(view.created_at);
    finished_at.since_ms(view.created_at) as f64 / 1000.0
}
