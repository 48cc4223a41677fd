//! Waits for a run, and shows its progress.

use std::pin::pin;
use std::time::{Duration, Instant};

use anyhow::Context;
use bue_client::{Backoff, BucketClient, ClientError, HubClient};
use bue_model::wire::RunView;
use bue_model::{RunId, RunState};

use crate::process::command_error::CommandError;
use crate::runs::failures::print_failures;
use crate::runs::progress::Progress;

/// How long the hub may hold a request while the run does not change, in milliseconds.
const LONG_POLL_MS: u64 = 30_000;

/// Time after which progress is printed although nothing changed.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// How long a hub may be unreachable since its last answer: it may be restarting, or moving to another machine. A hub that
/// never answered is an error at once.
const HUB_RESTART_TIMEOUT: Duration = Duration::from_secs(90);

/// Longest pause between two requests.
const MAX_PAUSE: Duration = Duration::from_millis(200);

/// Waits until a run has ended, prints what failed in it, and returns its final state.
pub(crate) async fn wait_for_run(hub: &HubClient, bucket: &BucketClient, run: RunId) -> Result<RunState, CommandError> {
    let mut progress = Progress::with_warnings();
    let view = follow(hub, run, &mut progress).await?;
    progress.finish();
    if view.state == RunState::Failed {
        let page = hub.result_page(run, Default::default()).await.context("failed to fetch the failures")?;
        print_failures(hub, bucket, &page.failed, &view).await?;
    }
    Ok(view.state)
}

/// Follows a run until it has ended, and returns its final view.
///
/// The hub answers when something has changed, which in a large run is always the case. A pause of a twentieth of the time so
/// far avoids a thousand requests per second without a noticeable delay.
pub(crate) async fn follow(hub: &HubClient, run: RunId, progress: &mut Progress) -> Result<RunView, CommandError> {
    let started_at = Instant::now();
    let mut backoff = Backoff::default();
    let (mut version, mut answered_at): (Option<u64>, Option<Instant>) = (None, None);
    loop {
        let view = match next_view(hub, run, version, progress).await {
            Ok(view) => view,
            Err(error) if error.is_transient() && answered_at.is_some_and(|at| at.elapsed() < HUB_RESTART_TIMEOUT) => {
                backoff.wait().await;
                continue;
            }
            Err(error) => return Err(anyhow::Error::new(error).context("failed to follow the run").into()),
        };
        answered_at = Some(Instant::now());
        backoff.reset();
        progress.show(&view);
        if view.state != RunState::Running {
            return Ok(view);
        }
        version = Some(view.version);
        tokio::time::sleep(MAX_PAUSE.min(started_at.elapsed() / 20)).await;
    }
}

/// Waits for a view that is newer than `version`, and keeps the progress moving meanwhile.
async fn next_view(
    hub: &HubClient,
    run: RunId,
    version: Option<u64>,
    progress: &mut Progress,
) -> Result<RunView, ClientError> {
    let mut answer = pin!(hub.run(run, version, LONG_POLL_MS));
    loop {
        tokio::select! {
            view = &mut answer => return view,
            () = tokio::time::sleep(TICK_INTERVAL) => progress.tick(),
        }
    }
}
