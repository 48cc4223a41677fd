//! Background tasks: announcing changes to other hubs and receiving theirs over LISTEN and NOTIFY, and instantiating rounds
//! that had no room in their transaction.
//!
//! One connection listens and notifies. An announcement is lost if its connection breaks or its hub dies, so every hub also
//! polls.

use std::sync::Arc;
use std::time::Duration;

use bue_model::RunId;
use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use super::notify_queue::WORKERS;
use super::state::PostgresState;
use crate::error::HubError;
use crate::jobs::instance::{ROUND_BATCH, ROUND_BATCH_ROWS, WINDOW, WINDOW_PARTS, WINDOW_ROWS};
use crate::jobs::leasing::expiry::select_expiring;
use crate::jobs::state::state_code;
use crate::notifications::WorkerNews;

/// Time after which a lost announcement is noticed.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// Time between attempts to connect, or to instantiate rounds.
const RETRY_BACKOFF: Duration = Duration::from_millis(500);
/// Changes within this time share one notification, for which all hubs contend: NOTIFY takes a global lock at commit.
const COALESCE_WINDOW: Duration = Duration::from_millis(3);
/// Time after a notification: busy hubs notify some fifty times a second, not with each of their changes.
const NOTIFY_INTERVAL: Duration = Duration::from_millis(17);
/// The message of a hub that has started to listen.
const HUB_STARTED: &str = "hub";
/// The latest runs that are announced after an interruption, because they may have changed.
const MAX_MISSED_RUNS: i64 = 500;

/// Listens forever; reconnects whenever the connection breaks.
pub(super) async fn listen(state: Arc<PostgresState>) {
    let mut is_listening = true;
    loop {
        if let Err(error) = listen_once(&state, &mut is_listening).await
            && std::mem::take(&mut is_listening)
        {
            tracing::warn!(%error, "lost the connection that receives the changes of other hubs; reconnecting");
        }
        sleep(RETRY_BACKOFF).await;
    }
}

/// Listens until the connection breaks. `is_listening` becomes true once it is established.
async fn listen_once(state: &Arc<PostgresState>, is_listening: &mut bool) -> Result<(), HubError> {
    let (client, mut connection) = state.address.config.connect(state.address.tls.clone()).await?;
    let mut messages = poll_fn(move |context| connection.poll_message(context));
    let (broken, mut breaks) = oneshot::channel();
    let receiver = state.clone();
    tokio::spawn(async move {
        while let Some(message) = messages.next().await {
            match message {
                Ok(AsyncMessage::Notification(notification)) => announce_here(&receiver, notification.payload()),
                Ok(_) => {}
                Err(error) => {
                    // the other end may be gone as well
                    let _ = broken.send(error);
                    return;
                }
            }
        }
    });
    state.with_timeout(async { Ok(client.batch_execute("LISTEN bue").await?) }).await?;
    state.with_timeout(notify(&client, HUB_STARTED)).await?;
    if !std::mem::replace(is_listening, true) {
        tracing::info!("receiving the changes of other hubs again");
    }
    state.with_timeout(poll(state, &client)).await?;
    state.with_timeout(announce_missed_runs(state, &client)).await?;
    loop {
        tokio::select! {
            error = &mut breaks => return error.map_or(Ok(()), |error| Err(error.into())),
            () = state.notify_queue.has_messages.notified() => {
                sleep(COALESCE_WINDOW).await;
                for text in state.notify_queue.take_messages() {
                    state.with_timeout(notify(&client, &text)).await?;
                }
                sleep(NOTIFY_INTERVAL).await;
            }
            () = sleep(POLL_INTERVAL) => state.with_timeout(poll(state, &client)).await?,
        }
    }
}

/// Sends a message to all hubs, this one as well.
async fn notify(client: &Client, message: &str) -> Result<(), HubError> {
    client.execute("SELECT pg_notify('bue', $1)", &[&message]).await?;
    Ok(())
}

/// Announces here what another hub announced.
fn announce_here(state: &PostgresState, message: &str) {
    if let Some(workers) = message.strip_prefix(WORKERS) {
        // a hub of another release may send what this one cannot read
        let workers = serde_json::from_str(workers).map(WorkerNews::Seen);
        return workers.into_iter().for_each(|news| state.notifications.notify_workers(news));
    }
    match message {
        "work" => state.notifications.notify_work(),
        "leases" => state.notifications.notify_leases(),
        "schedules" => state.notifications.notify_schedules(),
        "expiries" => state.notifications.notify_expiries(),
        HUB_STARTED => state.notifications.notify_workers(WorkerNews::HubStarted),
        runs => runs.split(' ').filter_map(|run| run.parse().ok()).for_each(|run| state.notifications.notify_run(run)),
    }
}

/// Announces work, leases and expiries that exist, in case a hub died before it announced them.
async fn poll(state: &PostgresState, client: &Client) -> Result<(), HubError> {
    let sql = concat!(
        "SELECT EXISTS (SELECT 1 FROM job WHERE state IN (",
        state_code!(Parked),
        ", ",
        state_code!(Ready),
        ")), EXISTS (SELECT 1 FROM job WHERE state = ",
        state_code!(Running),
        "), EXISTS (",
        select_expiring!("1", ""),
        ")"
    );
    let row = client.query_one(sql, &[]).await?;
    if row.try_get(0)? {
        state.notifications.notify_work();
    }
    if row.try_get(1)? {
        state.notifications.notify_leases();
    }
    if row.try_get(2)? {
        state.notifications.notify_expiries();
    }
    Ok(())
}

/// Announces the latest runs, which may have changed while the connection was broken.
async fn announce_missed_runs(state: &PostgresState, client: &Client) -> Result<(), HubError> {
    for row in client.query("SELECT id FROM run ORDER BY key DESC LIMIT $1", &[&MAX_MISSED_RUNS]).await? {
        state.notifications.notify_run(RunId(row.try_get(0)?));
    }
    Ok(())
}

/// Instantiates rounds forever: those that did not fit into a transaction, and those that a crashed hub left.
pub(super) async fn grow(state: Arc<PostgresState>) {
    loop {
        match state.with_timeout(grow_some(&state)).await {
            Ok(0) => {
                // either is a reason to look
                let _ = timeout(POLL_INTERVAL, state.notify_queue.has_growing.notified()).await;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "failed to start the next rounds of a loop");
                sleep(RETRY_BACKOFF).await;
            }
        }
    }
}

/// Grows fan-outs that have room for more rounds. Returns their number.
async fn grow_some(state: &PostgresState) -> Result<usize, HubError> {
    let client = state.client().await?;
    // the same condition as `FanOut::can_grow`
    let sql = concat!(
        "SELECT fanout.id FROM fanout JOIN job ON job.id = fanout.id AND job.state = ",
        state_code!(Expanding),
        " CROSS JOIN LATERAL
             (SELECT least($1, greatest(1, $2 / greatest(stride, 1)), greatest(1, max_live)) AS live) AS allowed
         WHERE expanded < count AND expanded - settled
             <= live - least($3, greatest(1, $4 / greatest(stride, 1)), greatest(1, live / $5))
         LIMIT 64"
    );
    let statement = client.prepare_cached(sql).await?;
    let rows =
        client.query(&statement, &[&WINDOW, &WINDOW_ROWS, &ROUND_BATCH, &ROUND_BATCH_ROWS, &WINDOW_PARTS]).await?;
    drop(client);
    for row in &rows {
        state.grow(row.try_get(0)?).await?;
    }
    Ok(rows.len())
}
