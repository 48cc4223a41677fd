//! Waits for a run and shows how it goes.

use std::pin::pin;
use std::time::{Duration, Instant};

use bue_client::{ClientError, HubClient};
use bue_model::wire::RunView;
use bue_model::{RunId, RunState};

use crate::progress::Progress;
use crate::stop::Stop;

/// Milliseconds the hub may hold a question back while nothing changes.
const WAIT_MS: u64 = 30_000;

/// Time after which progress is shown although nothing changed.
const TICK: Duration = Duration::from_secs(1);

/// Time since its last answer that a hub may be away: it is started again, or moved to another machine. One that never
/// answered is said at once.
const PATIENCE: Duration = Duration::from_secs(90);

/// Between two tries to reach a hub that is away.
const HUB_AWAY: Duration = Duration::from_millis(500);

/// Longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Follows a run until nothing is open in it.
///
/// The hub answers when something changed, and in a large run something always did. A pause of a twentieth of the time
/// so far keeps us from asking a thousand times a second and makes nobody wait noticeably longer.
pub(crate) async fn follow(hub: &HubClient, run: RunId, progress: &mut Progress) -> Result<RunView, Stop> {
    let begun = Instant::now();
    let (mut seen, mut heard) = (None, None);
    loop {
        let view = match look(hub, run, seen, progress).await {
            Ok(view) => view,
            Err(error) if error.is_passing() && heard.is_some_and(is_recent) => {
                tokio::time::sleep(HUB_AWAY).await;
                continue;
            }
            Err(error) => return Err(anyhow::Error::new(error).context("failed to follow the run").into()),
        };
        heard = Some(Instant::now());
        progress.show(&view);
        if view.state != RunState::Running {
            return Ok(view);
        }
        seen = Some(view.version);
        tokio::time::sleep(LONGEST_PAUSE.min(begun.elapsed() / 20)).await;
    }
}

/// Whether a hub that answered then may be starting again.
fn is_recent(heard: Instant) -> bool {
    heard.elapsed() < PATIENCE
}

/// Waits for a newer view. Meanwhile the time that passes is shown.
async fn look(hub: &HubClient, run: RunId, seen: Option<u64>, progress: &mut Progress) -> Result<RunView, ClientError> {
    let mut answer = pin!(hub.run(run, seen, WAIT_MS));
    loop {
        tokio::select! {
            view = &mut answer => return view,
            () = tokio::time::sleep(TICK) => progress.tick(),
        }
    }
}
