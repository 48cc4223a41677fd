//! Runs a script to its end on services inside this process.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use bue_client::HubClient;
use bue_hub::Simulation;
use bue_model::RunId;
use bue_model::log::{LogSelection, LogView};
use bue_model::wire::RunView;
use bue_runtime::WallMode;
use tokio::time::timeout;

use crate::config::network::Network;
use crate::local::services::{ServiceOptions, Services, first_failure};
use crate::local::simulation::RunSimulation;
use crate::process::command_error::CommandError;
use crate::process::event_loop::interruptible;
use crate::process::output::{eprint_line, program_failed};
use crate::process::signals::interrupted;
use crate::runs::follow::follow;
use crate::runs::live_log::{LiveLog, labelled_lines};
use crate::runs::progress::{LinePrinter, Progress};
use crate::runs::submit::submit;
use crate::sandbox::prepare_sandbox;
use crate::script::check::CheckedScript;

/// How long the hub may take to cancel a run after Ctrl-C.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the end of the log may come after the end of the run.
const LOG_END_TIMEOUT: Duration = Duration::from_secs(10);

/// A run that has ended, and the services that still have its results.
pub(crate) struct FinishedRun {
    pub(crate) services: Services,
    pub(crate) run: RunId,
    pub(crate) view: RunView,
}

/// What a local run may use of this machine.
pub(crate) struct LocalRunOptions {
    /// The cache of prepared sandboxes, shared by all runs.
    pub(crate) cache: PathBuf,
    /// The folder for the state of hub and bucket; `None`: a temporary folder.
    pub(crate) data: Option<PathBuf>,
    /// What steps may reach.
    pub(crate) network: Network,
    /// The wall around their sandboxes.
    pub(crate) wall: WallMode,
    /// Print what steps print, to stderr.
    pub(crate) logs: bool,
    /// Serve the dashboard, and print a link to it.
    pub(crate) dashboard: bool,
    /// The clock of everything in it; `None` if time is real.
    pub(crate) simulation: Option<Arc<RunSimulation>>,
}

/// Runs a script to its end. Everything starts as early as it can: from the second start on, the sandbox is loaded while the
/// code is uploaded.
pub(crate) async fn run_locally(
    script: &CheckedScript,
    mut options: LocalRunOptions,
) -> Result<FinishedRun, CommandError> {
    let simulation = options.simulation.take();
    options.network.config.simulated_time = simulation.as_ref().map(|simulation| simulation.time().clone());
    let time = simulation.clone().map(|simulation| simulation as Arc<dyn Simulation>);
    let service_options = ServiceOptions { dashboard: options.dashboard, time };
    let mut services = Services::start(options.data.as_deref(), service_options).await?;
    let hub = Arc::clone(&services.hub);
    if options.dashboard {
        let link = hub.web_link().await.context("failed to get a link to the dashboard")?;
        eprint_line(&format!("bue: the dashboard, while this runs: {link}"));
    }
    let ready =
        async { tokio::try_join!(prepare_sandbox(options.cache), submit(script, &services.hub, &services.bucket)) };
    let (prepared, run) = interruptible(ready).await?;
    let scopes = scopes(script);
    // before any job starts, so that nothing is missed
    let logs = match options.logs {
        true => Some(LiveLog::start(&hub, LogSelection::Run { run, step: None }).await?),
        false => None,
    };
    // a script without calls needs no worker
    if !scopes.is_empty() {
        interruptible(services.start_worker(prepared, scopes, options.network, options.wall)).await?;
    }
    let mut progress = Progress::new();
    let view = tokio::select! {
        view = follow_with_logs(&hub, run, &mut progress, logs) => view?,
        error = first_failure(&mut services.tasks) => return Err(error),
        () = end_of_simulation(simulation.as_deref()) => {
            progress.finish();
            return Err(program_failed(
                "the run has not ended within its limit of simulated time; set --time-limit to a longer one, or find the step \
                 that never stops waiting",
            ));
        }
        () = interrupted() => {
            // So that the run is stored as cancelled if `--data` keeps it. The command ends even if this fails.
            let _ = timeout(CANCEL_TIMEOUT, services.hub.end_run(run)).await;
            return Err(CommandError::Interrupted);
        }
    };
    progress.finish();
    Ok(FinishedRun { services, run, view })
}

/// Returns when simulated time has reached its limit.
async fn end_of_simulation(simulation: Option<&RunSimulation>) {
    match simulation {
        Some(simulation) => simulation.over().await,
        None => std::future::pending().await,
    }
}

/// Follows a run, and prints what its steps print.
async fn follow_with_logs(
    hub: &HubClient,
    run: RunId,
    progress: &mut Progress,
    logs: Option<LiveLog<'_>>,
) -> Result<RunView, CommandError> {
    let Some(logs) = logs else { return follow(hub, run, progress).await };
    let mut print_logs = pin!(print_logs(logs, progress.line_printer()));
    tokio::select! {
        view = follow(hub, run, progress) => {
            let view = view?;
            if timeout(LOG_END_TIMEOUT, print_logs).await.is_err() {
                eprint_line("bue: warning: the last lines that the steps printed did not arrive");
            }
            Ok(view)
        }
        () = &mut print_logs => follow(hub, run, progress).await,
    }
}

/// Prints what steps print, until the run has ended. The run continues if its log breaks.
async fn print_logs(logs: LiveLog<'_>, printer: LinePrinter) {
    let print = |log: &LogView, missed: u64| {
        labelled_lines(log, missed, false).iter().for_each(|line| printer.print(line));
        Ok(())
    };
    if let Err(CommandError::Environment(error)) = logs.follow(print).await {
        printer.print(&format!("bue: warning: {error:#}"));
    }
}

/// Returns the scopes of the script's steps, in order of appearance.
fn scopes(script: &CheckedScript) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for step in &script.plan.steps {
        if !scopes.contains(&step.settings.scope) {
            scopes.push(step.settings.scope.clone());
        }
    }
    scopes
}
