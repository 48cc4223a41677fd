//! Runs a script to its end on services inside this process.

use std::path::PathBuf;
use std::time::Duration;

use bue_model::RunId;
use bue_model::wire::RunView;
use bue_runtime::WallMode;
use tokio::time::timeout;

use crate::config::network::Network;
use crate::local::services::{Services, first_failure};
use crate::process::command_error::CommandError;
use crate::process::event_loop::interruptible;
use crate::process::signals::interrupted;
use crate::runs::follow::follow;
use crate::runs::progress::Progress;
use crate::runs::submit::submit;
use crate::sandbox::prepare_sandbox;
use crate::script::check::CheckedScript;

/// How long the hub may take to cancel a run after Ctrl-C.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

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
}

/// Runs a script to its end. Everything starts as early as it can: from the second start on, the sandbox is loaded while the
/// code is uploaded.
pub(crate) async fn run_locally(script: &CheckedScript, options: LocalRunOptions) -> Result<FinishedRun, CommandError> {
    let mut services = Services::start(options.data.as_deref()).await?;
    let ready =
        async { tokio::try_join!(prepare_sandbox(options.cache), submit(script, &services.hub, &services.bucket)) };
    let (prepared, run) = interruptible(ready).await?;
    let scopes = scopes(script);
    // a script without calls needs no worker
    if !scopes.is_empty() {
        interruptible(services.start_worker(prepared, scopes, options.network, options.wall)).await?;
    }
    let mut progress = Progress::new();
    let view = tokio::select! {
        view = follow(&services.hub, run, &mut progress) => view?,
        error = first_failure(&mut services.tasks) => return Err(error),
        () = interrupted() => {
            // So that the run is stored as cancelled if `--data` keeps it. The command ends even if this fails.
            let _ = timeout(CANCEL_TIMEOUT, services.hub.cancel_run(run)).await;
            return Err(CommandError::Interrupted);
        }
    };
    progress.finish();
    Ok(FinishedRun { services, run, view })
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
