//! A script runs in this process: services on loopback, the run followed to its end.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use bue_model::RunId;
use bue_model::wire::RunView;
use bue_runtime::Prepared;

use tokio::time::timeout;

use crate::allow::Network;
use crate::follow::follow;
use crate::progress::Progress;
use crate::reactor::{interrupted, interruptible};
use crate::script::Checked;
use crate::services::{Services, failed};
use crate::stop::Stop;
use crate::submit::submit;
use crate::talk::say;

/// Time our own hub has to call a run off after Ctrl-C.
const PATIENCE: Duration = Duration::from_secs(2);

/// A run that has ended, and the services that still have its results.
pub(crate) struct Ended {
    pub(crate) services: Services,
    pub(crate) run: RunId,
    pub(crate) view: RunView,
}

/// What a local run is to use of this machine.
pub(crate) struct Surroundings {
    /// Prepared sandboxes, for all runs.
    pub(crate) cache: PathBuf,
    /// State of hub and bucket; `None`: a temporary folder.
    pub(crate) data: Option<PathBuf>,
    /// What its steps may reach.
    pub(crate) network: Network,
}

/// Runs a script to its end. Everything starts as early as it can: on a second start, the sandboxes load while the code
/// is uploaded.
pub(crate) async fn run_here(script: &Checked, surroundings: Surroundings) -> Result<Ended, Stop> {
    let mut services = Services::start(surroundings.data.as_deref()).await?;
    let ready =
        async { tokio::try_join!(prepare(surroundings.cache), submit(script, &services.hub, &services.bucket)) };
    let (prepared, run) = interruptible(ready).await?;
    let scopes = scopes(script);
    // a script that calls nothing has nothing to work at
    if !scopes.is_empty() {
        interruptible(services.start_worker(prepared, scopes, surroundings.network)).await?;
    }
    let mut progress = Progress::new();
    let view = tokio::select! {
        view = follow(&services.hub, run, &mut progress) => view?,
        error = failed(&mut services.tasks) => return Err(error),
        () = interrupted() => {
            // Where `--data` keeps the run, it is kept as cancelled. If the hub cannot, we are leaving all the same.
            let _ = timeout(PATIENCE, services.hub.cancel_run(run)).await;
            return Err(Stop::Interrupted);
        }
    };
    progress.finish();
    Ok(Ended { services, run, view })
}

/// Makes the Python sandbox ready, which takes a while the first time on a machine.
pub(crate) async fn prepare(cache: PathBuf) -> Result<Prepared, Stop> {
    let opened = tokio::task::spawn_blocking(move || Prepared::open(&cache, &|line| say(&format!("bue: {line}"))));
    let prepared = opened.await.map_err(|_| anyhow!("preparing the sandbox ended early"))?;
    Ok(prepared.context("failed to prepare the sandbox")?)
}

/// The scopes that the script's steps have, in order of appearance.
fn scopes(script: &Checked) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for step in &script.plan.steps {
        if !scopes.contains(&step.settings.scope) {
            scopes.push(step.settings.scope.clone());
        }
    }
    scopes
}
