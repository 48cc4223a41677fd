//! Long polls: requests that wait until there is something to return. Each subscribes before it reads, so that no change falls
//! between the two, and ends early when the server shuts down.

use std::future::pending;
use std::time::Duration;

use bue_model::schedule::BackfillProgress;
use bue_model::wire::{LeaseBatch, LeaseRequest, ListPiece, PieceVerdict, RunView};
use bue_model::{RunId, RunState};
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, sleep, sleep_until};

use crate::api::hub::Hub;
use crate::api::simulation::{advance, all_sleep};
use crate::api::views::complete_view;
use crate::clock::SharedSimulation;
use crate::error::HubError;
use crate::http::reply::ErrorReply;
use crate::http::request::query_parameter;
use crate::schedules::backfill::Backfill;

/// The longest wait in milliseconds, whatever the request says. Proxies close connections that are silent for longer.
pub(super) const MAX_WAIT_MS: u64 = 60_000;

/// The least time between two looks at a backfill: the changes of all runs are a reason to look.
const BACKFILL_INTERVAL: Duration = Duration::from_millis(100);

/// The least time between two looks at the window of a loop: each change of its run is a reason to look.
const ROOM_INTERVAL: Duration = Duration::from_millis(20);

/// Returns a run; with `seen` in the query, as soon as its version is larger or `wait_ms` have passed.
pub(crate) async fn wait_for_run(hub: &Hub, query: Option<&str>, run: RunId) -> Result<RunView, ErrorReply> {
    let seen: Option<u64> = query_parameter(query, "seen")?;
    let wait_ms = query_parameter(query, "wait_ms")?.unwrap_or(0);
    let view = wait_until(hub, run, wait_ms, |view| seen.is_none_or(|seen| view.version > seen)).await?;
    Ok(complete_view(hub, view))
}

/// Waits until a run has ended, at most this long. Returns its state.
pub(super) async fn wait_for_end(hub: &Hub, run: RunId, wait_ms: u64) -> Result<RunState, ErrorReply> {
    Ok(wait_until(hub, run, wait_ms, |_| false).await?.state)
}

/// Returns a run as soon as it is as wanted, has ended, or this time has passed.
async fn wait_until(
    hub: &Hub,
    run: RunId,
    wait_ms: u64,
    is_wanted: impl Fn(&RunView) -> bool,
) -> Result<RunView, ErrorReply> {
    let deadline = deadline_in(wait_ms);
    let mut changes = hub.store.notifications().subscribe_runs();
    let mut closing = hub.closing.subscribe();
    loop {
        let view = hub.store.run(run).await?.ok_or(HubError::RunNotFound(run))?;
        let is_due = is_wanted(&view) || view.state != RunState::Running;
        if is_due || Instant::now() >= deadline || *closing.borrow() {
            return Ok(view);
        }
        let _poll = hub.metrics.long_poll();
        tokio::select! {
            biased;
            () = next_change(&mut changes, run) => {}
            () = sleep_until(deadline) => {}
            _ = closing.changed() => {}
        }
    }
}

/// Starts the next runs of a backfill, and returns how far it is as soon as one of its runs has ended, or this time has passed.
pub(super) async fn wait_for_backfill(
    hub: &Hub,
    schedule: &str,
    backfill: Backfill,
    wait_ms: u64,
) -> Result<BackfillProgress, HubError> {
    let deadline = deadline_in(wait_ms);
    let mut changes = hub.store.notifications().subscribe_runs();
    let mut closing = hub.closing.subscribe();
    let mut ended_before = None;
    loop {
        let progress = hub.store.backfill(hub.now(), schedule.to_owned(), backfill.clone()).await?;
        let (ended, is_over) = (progress.runs.ended(), progress.waiting + progress.runs.running == 0);
        let has_news = *ended_before.get_or_insert(ended) < ended;
        if has_news || is_over || Instant::now() >= deadline || *closing.borrow() {
            return Ok(progress);
        }
        let _poll = hub.metrics.long_poll();
        let look_again = async {
            // an error means that notifications were missed
            let _ = changes.recv().await;
            sleep(BACKFILL_INTERVAL).await;
        };
        tokio::select! {
            biased;
            () = look_again => {}
            () = sleep_until(deadline) => {}
            _ = closing.changed() => {}
        }
    }
}

/// Records a piece of a list. Returns as soon as the windows of its loops have room, or this time has passed.
pub(super) async fn wait_for_room(hub: &Hub, mut piece: ListPiece) -> Result<PieceVerdict, HubError> {
    let deadline = deadline_in(piece.wait_ms);
    let mut changes = hub.store.notifications().subscribe_runs();
    let mut closing = hub.closing.subscribe();
    loop {
        let verdict = hub.store.record_piece(hub.now(), piece.clone()).await?;
        if verdict != PieceVerdict::WindowFull || Instant::now() >= deadline || *closing.borrow() {
            return Ok(verdict);
        }
        // it is recorded; from now on it is a question
        piece.first += piece.chunks.drain(..).map(|chunk| u64::from(chunk.count)).sum::<u64>();
        let _poll = hub.metrics.long_poll();
        let look_again = async {
            next_change(&mut changes, piece.run).await;
            sleep(ROOM_INTERVAL).await;
        };
        tokio::select! {
            biased;
            () = look_again => {}
            () = sleep_until(deadline) => {}
            _ = closing.changed() => {}
        }
    }
}

/// Returns leases as soon as jobs are ready; an empty batch when `wait_ms` have passed. Wakes on the store's notification, and
/// at the time when a parked job becomes ready by itself.
pub(super) async fn wait_for_leases(hub: &Hub, request: LeaseRequest) -> Result<LeaseBatch, ErrorReply> {
    let deadline = deadline_in(request.wait_ms);
    let mut closing = hub.closing.subscribe();
    let simulation = hub.simulation.as_deref();
    let mut is_recorded = false;
    loop {
        let mut work = hub.store.notifications().subscribe_work();
        let simulated_change = simulated_change(hub);
        let is_all_asleep = match simulation {
            Some(simulation) => all_sleep(hub, simulation).await?,
            None => false,
        };
        let answer = hub.store.lease(hub.now(), request.clone()).await?;
        // not before the store has accepted it
        if !core::mem::replace(&mut is_recorded, true) {
            hub.workers.record_request(&request, hub.now());
        }
        let is_over = request.count == 0 || Instant::now() >= deadline || *closing.borrow();
        if !answer.batch.leases.is_empty() || is_over {
            hub.metrics.record_leases(answer.batch.leases.len());
            return Ok(answer.batch);
        }
        if let (true, Some(simulation)) = (is_all_asleep, simulation)
            && advance(hub, simulation, answer.next_at).await?
        {
            continue;
        }
        let _poll = hub.metrics.long_poll();
        let wake_at = answer.next_at.map_or(deadline, |at| hub.instant_of(at).min(deadline));
        tokio::select! {
            biased;
            // an error means that notifications were missed, which is a reason to look again as well
            _ = work.recv() => {}
            () = simulated_change => {}
            () = sleep_until(wake_at) => {}
            _ = closing.changed() => {}
        }
    }
}

/// Returns when a step falls asleep or no longer exists, or a report has changed a run, after this call: then all jobs may sleep.
fn simulated_change(hub: &Hub) -> impl Future<Output = ()> + use<> {
    let subscribe = |simulation: &SharedSimulation| (simulation.changed(), hub.store.notifications().subscribe_runs());
    let changes = hub.simulation.as_ref().map(subscribe);
    async move {
        let Some((changed, mut reports)) = changes else { return pending().await };
        tokio::select! {
            () = changed => {}
            // an error means that notifications were missed
            _ = reports.recv() => {}
        }
    }
}

fn deadline_in(wait_ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(wait_ms.min(MAX_WAIT_MS))
}

/// Returns when the run has changed, or may have.
pub(super) async fn next_change(changes: &mut Receiver<RunId>, run: RunId) {
    while let Ok(changed) = changes.recv().await {
        if changed == run {
            return;
        }
    }
}
