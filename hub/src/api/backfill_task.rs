//! [`carry_on`]: carries a backfill on in the background.

use std::sync::Arc;

use bue_model::Timestamp;
use bue_model::schedule::BackfillProgress;
use tokio::sync::Notify;

use crate::api::backfills::{BackfillState, Occupied};
use crate::api::hub::Hub;
use crate::api::long_poll::{MAX_WAIT_MS, wait_for_backfill};
use crate::error::HubError;
use crate::schedules::backfill::Backfill;

/// Carries a backfill on until each of its due times has a run that has ended, somebody stops it, or the hub shuts down.
///
/// # Errors
/// The schedule has an active backfill already, or there are too many.
pub(crate) fn carry_on(hub: &Hub, schedule: &str, request: Backfill) -> Result<(), Occupied> {
    let stop = hub.backfills.begin(schedule, request.clone(), hub.now())?;
    let (hub, schedule) = (hub.clone(), schedule.to_owned());
    tokio::spawn(async move {
        let ended = tokio::select! {
            biased;
            () = stop.notified() => return,
            ended = run_parts(&hub, &schedule, &stop, request) => ended,
        };
        if let Err(error) = ended {
            tracing::warn!(schedule, %error, "a backfill ended early");
            hub.backfills.update(&schedule, &stop, |one| one.state = BackfillState::Failed(error.to_string()));
        }
    });
    Ok(())
}

/// Runs a range, one part after the other.
async fn run_parts(hub: &Hub, schedule: &str, stop: &Arc<Notify>, mut part: Backfill) -> Result<(), HubError> {
    let (mut before, mut wait_ms) = (BackfillProgress::default(), 0);
    while !*hub.closing.borrow() {
        let progress = wait_for_backfill(hub, schedule, part.clone(), wait_ms).await?;
        wait_ms = MAX_WAIT_MS;
        let is_over = progress.waiting + progress.runs.running == 0;
        let (total, rest) = (sum(&before, &progress), progress.rest_from.and_then(time_text));
        let is_last = is_over && rest.is_none();
        let is_active = hub.backfills.update(schedule, stop, |one| {
            one.progress = total.clone();
            if is_last {
                one.state = BackfillState::Done;
            }
        });
        match rest.filter(|_| is_over) {
            _ if !is_active => return Ok(()),
            Some(from) => (part.from, before, wait_ms) = (from, total, 0),
            None => {}
        }
    }
    Ok(())
}

/// The progress of the parts before this one, and of this one.
fn sum(before: &BackfillProgress, part: &BackfillProgress) -> BackfillProgress {
    let mut total = part.clone();
    total.due += before.due;
    total.first = before.first.or(part.first);
    total.runs.completed += before.runs.completed;
    total.runs.failed += before.runs.failed;
    total.runs.cancelled += before.runs.cancelled;
    total
}

fn time_text(at: Timestamp) -> Option<String> {
    jiff::Timestamp::from_millisecond(at.0).ok().map(|time| time.to_string())
}
