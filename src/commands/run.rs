//! `bue run FILE`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use bue_runtime::Refusals;
use bue_worker::PrintedOutput;
use clap::Args;

use crate::config::settings::Settings;
use crate::flags::allow::AllowFlags;
use crate::flags::params::ParamFlags;
use crate::flags::simulation::SimulationFlags;
use crate::flags::wall::WallFlag;
use crate::local::run::{FinishedRun, LocalRunOptions, run_locally};
use crate::local::simulation::{RunSimulation, cannot_be_simulated};
use crate::process::clock::now;
use crate::process::command_error::CommandError;
use crate::process::event_loop::block_on;
use crate::process::output::{bytes_text, counted, eprint_line, program_failed};
use crate::runs::failures::print_failures;
use crate::runs::outcome::expect_success;
use crate::runs::results::ResultWriter;
use crate::script::check::{CheckedScript, load_script_at};

/// Runs a script on this machine, with hub, bucket and worker inside this process.
///
/// Prints one line of JSON for each call whose result nothing else in the script uses; with --json, one object with all
/// results and the failed jobs. Leaves no data behind, unless --data names a folder to keep it.
#[derive(Debug, Args)]
#[command(override_usage = "bue run [OPTIONS] <FILE>")]
pub(crate) struct Run {
    /// The script
    #[arg(required_unless_present_any = ["allow_net", "file_flag"], conflicts_with = "file_flag")]
    file: Option<PathBuf>,
    /// The script, as Buelon writes it
    #[arg(short = 'f', long = "file", value_name = "FILE", hide = true)]
    file_flag: Option<PathBuf>,
    /// Print one JSON object: run, state, results, failed; with --simulated-time also its `time`, from start to end
    #[arg(long)]
    json: bool,
    /// Keep the state of hub and bucket in this folder; `bue hub --store sqlite:DIR/hub.db` and `bue bucket --store
    /// dir:DIR/blobs` serve it later
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    params: ParamFlags,
    #[command(flatten)]
    allow: AllowFlags,
    #[command(flatten)]
    wall: WallFlag,
    #[command(flatten)]
    simulation: SimulationFlags,
    /// Print what the steps print, while they run, to stderr
    #[arg(long)]
    logs: bool,
    /// At the end, print the rules that would allow what was refused
    #[arg(long)]
    explain_deny: bool,
}

impl Run {
    pub(crate) fn execute(mut self) -> Result<(), CommandError> {
        let settings = Settings::load()?;
        let period = self.simulation.period()?;
        let simulation = period.map(|(start, limit)| Arc::new(RunSimulation::new(start, limit)));
        let time = simulation.as_ref().map_or_else(now, |simulation| simulation.start());
        let script = load_script_at(time, &self.file()?, self.params.arguments()?, &settings)?;
        if let Some(reason) = simulation.as_ref().and_then(|_| cannot_be_simulated(&script.plan)) {
            return Err(program_failed(&reason));
        }
        let mut network = self.allow.network(&settings)?;
        network.config.answering_server = self.simulation.answering_server();
        let refusals = network.config.refusals.clone();
        let (cache, wall) = (settings.cache_dir()?, self.wall.mode(&settings)?);
        let options = LocalRunOptions {
            cache,
            data: self.data.clone(),
            network,
            wall,
            logs: self.logs,
            dashboard: false,
            simulation,
        };
        let outcome = self.run(&script, options);
        if self.explain_deny {
            print_refusals(&refusals);
        }
        outcome
    }

    /// Returns the script. In `bue run --allow-net FILE`, clap takes it for a host.
    fn file(&mut self) -> Result<PathBuf, CommandError> {
        let given = self.file.take().or_else(|| self.file_flag.take());
        let file = given.or_else(|| self.allow.take_last_value().map(PathBuf::from));
        file.ok_or_else(|| CommandError::Usage("the script is missing; type `bue run FILE --allow-net`".to_owned()))
    }

    fn run(&self, script: &CheckedScript, options: LocalRunOptions) -> Result<(), CommandError> {
        block_on(async {
            let finished = run_locally(script, options).await?;
            let printed = self.print(&finished).await;
            finished.services.stop().await;
            printed?;
            expect_success(finished.view.state)
        })
    }

    async fn print(&self, finished: &FinishedRun) -> Result<(), CommandError> {
        let FinishedRun { services, run, view } = finished;
        let page = services.hub.result_page(*run, Default::default()).await.context("failed to read the results")?;
        print_failures(&services.hub, &services.bucket, &page.failed, view).await?;
        if !self.logs {
            print_amount(&services.printed);
        }
        let mut writer = ResultWriter::new(&services.hub, &services.bucket, *run);
        if self.simulation.is_simulated() {
            writer = writer.with_time(view);
        }
        if self.json {
            return writer.write_object(page).await;
        }
        writer.write_lines(page).await
    }
}

/// Prints how much the steps have printed, if anything, and how to see it.
fn print_amount(printed: &PrintedOutput) {
    let lines = usize::try_from(printed.lines()).unwrap_or(usize::MAX);
    if lines > 0 {
        let (lines, bytes) = (counted(lines, "line"), bytes_text(printed.bytes()));
        eprint_line(&format!("bue: the steps printed {lines} ({bytes}); `bue run --logs` shows them"));
    }
}

/// Prints the rules that would allow what was refused.
fn print_refusals(refusals: &Refusals) {
    let (script, worker) = refusals.lines();
    if script.is_empty() && worker.is_empty() {
        return eprint_line("bue: nothing was refused");
    }
    eprint_line("bue: what was refused would be allowed by");
    let print_rules = |location: &str, rules: Vec<String>| {
        for rule in rules {
            eprint_line(&format!("  {location}  {rule}"));
        }
    };
    print_rules("in the script, above the step:", script);
    print_rules("where the worker is started:  ", worker);
}
