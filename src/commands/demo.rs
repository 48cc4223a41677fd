//! `bue demo`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::Context;
use bue_model::wire::{RunView, StepView};
use clap::Args;
use comfy_table::{CellAlignment, Table};
use tokio::net::TcpListener;

use crate::allow::Network;
use crate::commands::result::expect_success;
use crate::failures::say_failures;
use crate::local::{Ended, Surroundings, run_here};
use crate::reactor::{block_on, interrupted};
use crate::report_api::{self, ACCOUNTS};
use crate::script::{self, Checked};
use crate::settings::Settings;
use crate::stop::Stop;
use crate::talk::{plain_table, print, say};

const SCRIPT: &str = include_str!("demo/pipeline.bue");
const STEPS: &str = include_str!("demo/steps.py");

/// Runs the report example, and shows how it goes.
///
/// For 300 accounts of an API: request a report, ask until it is ready, download it, start again where it was lost,
/// transform it in SQL and in Python, load it. The API, which takes its time, says when it has had too many requests and
/// has errors now and then, runs inside this process as bucket, hub and worker do; every step in a sandbox of its own.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Serve the API alone at this address, for scripts of one's own, until Ctrl-C
    #[arg(long, value_name = "HOST:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:8700")]
    api_only: Option<SocketAddr>,
}

impl Demo {
    pub(crate) fn execute(self) -> Result<(), Stop> {
        self.api_only.map_or_else(run, serve_api)
    }
}

fn run() -> Result<(), Stop> {
    let folder = tempfile::tempdir().context("failed to make a temporary folder")?;
    let settings = Settings::load()?;
    let cache = settings.cache_dir()?;
    say(&format!(
        "bue: reports for {ACCOUNTS} accounts of an API, every step in a fresh sandbox; `bue example` writes a script for you"
    ));
    block_on(async {
        let (listener, address) = listen((Ipv4Addr::LOCALHOST, 0).into()).await?;
        let script = written(folder.path(), address, &settings)?;
        let surroundings = Surroundings { cache, data: None, network: Network::to(address) };
        let api = tokio::spawn(report_api::serve(listener));
        let ended = run_here(&script, surroundings).await?;
        api.abort();
        let printed = print_summary(&ended).await;
        ended.services.stop().await;
        printed?;
        expect_success(ended.view.state)
    })
}

fn serve_api(address: SocketAddr) -> Result<(), Stop> {
    block_on(async {
        let (listener, address) = listen(address).await?;
        say(&format!("bue: the demo's API is at http://{address}"));
        tokio::select! {
            () = report_api::serve(listener) => Ok(()),
            () = interrupted() => Ok(()),
        }
    })
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Stop> {
    let failed = || format!("failed to listen on {address}");
    let listener = TcpListener::bind(address).await.with_context(failed)?;
    let address = listener.local_addr().with_context(failed)?;
    Ok((listener, address))
}

/// The script and its steps, with the API's address filled in.
fn written(folder: &Path, api: SocketAddr, settings: &Settings) -> Result<Checked, Stop> {
    let (rule, address) = (format!("!allow net {api}"), format!("http://{api}"));
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        let text = text.replace("!allow net API", &rule).replace("http://API", &address);
        fs::write(&path, text).context("failed to write the demo")?;
        Ok::<_, Stop>(path)
    };
    write("steps.py", STEPS)?;
    script::read(&write("demo.bue", SCRIPT)?, settings)
}

async fn print_summary(ended: &Ended) -> Result<(), Stop> {
    let Ended { services, run, view } = ended;
    let page = services.hub.result_page(*run, Default::default()).await.context("failed to read the results")?;
    say_failures(&services.bucket, &page.failed, view).await;
    print(&format!("\n{}\n", table(view)))?;
    let jobs: u64 = view.steps.iter().map(|step| step.completed).sum();
    let attempts: u64 = view.steps.iter().map(|step| step.attempts).sum();
    let seconds = seconds(view);
    print(&format!(
        "{jobs} jobs, {attempts} sandboxes, {seconds:.1} s, {:.0} sandboxes a second",
        rate(attempts, view)
    ))?;
    let own = report_api::own_time().as_secs_f64();
    print(&format!("the API takes {own:.1} s of that by itself, for its slowest account"))
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
