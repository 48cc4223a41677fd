//! Telling other hubs of changes, hearing of theirs, and making rounds that had no room in their transaction.
//!
//! One connection listens and tells. What is told may be lost with a connection or a hub, so there is a timer beside it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bue_model::RunId;
use futures_util::StreamExt;
use futures_util::stream::poll_fn;
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client};

use super::Inner;
use super::verbs::Told;
use crate::error::HubError;
use crate::jobs::instance::{TURN, TURN_ROWS, WINDOW, WINDOW_ROWS};

/// How long something may stay unnoticed that nobody told of.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Rest before another try to connect, or to make rounds.
const REST: Duration = Duration::from_millis(500);
/// Gathers what happens in so short a time into one message. A message takes a transaction that all hubs queue up for.
const GATHER: Duration = Duration::from_millis(3);
/// Rest after a message, so that busy hubs tell some fifty times a second and not as often as they change something.
const TELL_REST: Duration = Duration::from_millis(17);
/// Runs in one message, which may have 8,000 bytes.
const RUNS_TOLD: usize = 150;
/// Runs that may have changed while nobody listened.
const RUNS_MISSED: i64 = 500;

/// What waits to be told, and to be grown.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    news: Mutex<News>,
    told: Notify,
    grown: Notify,
}

#[derive(Debug, Default)]
struct News {
    work: bool,
    leases: bool,
    runs: BTreeSet<RunId>,
}

impl News {
    /// As messages.
    fn texts(&self) -> Vec<String> {
        let mut texts = Vec::new();
        if self.work {
            texts.push("work".to_owned());
        }
        if self.leases {
            texts.push("leases".to_owned());
        }
        let runs: Vec<String> = self.runs.iter().map(RunId::to_string).collect();
        texts.extend(runs.chunks(RUNS_TOLD).map(|runs| runs.join(" ")));
        texts
    }
}

impl Inner {
    /// Says what a transaction changed that is on the disk now: here at once, elsewhere soon.
    pub(super) fn announce(&self, told: Told) {
        if told.work {
            self.notifications.notify_work();
        }
        if told.leases {
            self.notifications.notify_leases();
        }
        told.runs.iter().for_each(|run| self.notifications.notify_run(*run));
        if !told.growing.is_empty() {
            self.outbox.grown.notify_one();
        }
        let mut news = self.outbox.news.lock().unwrap_or_else(PoisonError::into_inner);
        news.work |= told.work;
        news.leases |= told.leases;
        news.runs.extend(told.runs);
        drop(news);
        self.outbox.told.notify_one();
    }

    fn take_news(&self) -> News {
        std::mem::take(&mut self.outbox.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another hub said this.
    fn hear(&self, text: &str) {
        match text {
            "work" => self.notifications.notify_work(),
            "leases" => self.notifications.notify_leases(),
            runs => {
                runs.split(' ').filter_map(|run| run.parse().ok()).for_each(|run| self.notifications.notify_run(run))
            }
        }
    }
}

/// Listens for ever; subscribes again after every break.
pub(super) async fn listen(inner: Arc<Inner>) {
    let mut heard = true;
    loop {
        if let Err(error) = listen_once(&inner, &mut heard).await
            && std::mem::take(&mut heard)
        {
            tracing::warn!(%error, "lost the connection that hears of other hubs' changes; connecting again");
        }
        sleep(REST).await;
    }
}

/// `heard` becomes true once it listens.
async fn listen_once(inner: &Arc<Inner>, heard: &mut bool) -> Result<(), HubError> {
    let (client, mut connection) = inner.address.config.connect(inner.address.tls.clone()).await?;
    let mut messages = poll_fn(move |context| connection.poll_message(context));
    let (broken, mut breaks) = oneshot::channel();
    let hearing = inner.clone();
    tokio::spawn(async move {
        while let Some(message) = messages.next().await {
            match message {
                Ok(AsyncMessage::Notification(note)) => hearing.hear(note.payload()),
                Ok(_) => {}
                Err(error) => {
                    // the other end may be gone as well
                    let _ = broken.send(error);
                    return;
                }
            }
        }
    });
    inner.in_time(async { Ok(client.batch_execute("LISTEN bue").await?) }).await?;
    if !std::mem::replace(heard, true) {
        tracing::info!("hear of other hubs' changes again");
    }
    inner.in_time(catch_up(inner, &client, true)).await?;
    loop {
        tokio::select! {
            error = &mut breaks => return error.map_or(Ok(()), |error| Err(error.into())),
            () = inner.outbox.told.notified() => {
                sleep(GATHER).await;
                for text in inner.take_news().texts() {
                    inner.in_time(async { Ok(client.execute("SELECT pg_notify('bue', $1)", &[&text]).await?) }).await?;
                }
                sleep(TELL_REST).await;
            }
            () = sleep(LOOK_AGAIN) => inner.in_time(catch_up(inner, &client, false)).await?,
        }
    }
}

/// Looks for what was not told: by a hub that died, or while nobody listened.
async fn catch_up(inner: &Inner, client: &Client, missed: bool) -> Result<(), HubError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM job WHERE state IN (1, 2)), EXISTS (SELECT 1 FROM job WHERE state = 3)";
    let row = client.query_one(sql, &[]).await?;
    if row.try_get(0)? {
        inner.notifications.notify_work();
    }
    if row.try_get(1)? {
        inner.notifications.notify_leases();
    }
    if missed {
        for row in client.query("SELECT id FROM run ORDER BY key DESC LIMIT $1", &[&RUNS_MISSED]).await? {
            inner.notifications.notify_run(RunId(row.try_get(0)?));
        }
    }
    Ok(())
}

/// Makes rounds for ever: those that a transaction had no room for, and those that a hub left behind that died.
pub(super) async fn grow(inner: Arc<Inner>) {
    loop {
        match inner.in_time(grow_some(&inner)).await {
            Ok(0) => {
                // told, or time to look
                let _ = timeout(LOOK_AGAIN, inner.outbox.grown.notified()).await;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(%error, "could not make the next rounds of a loop");
                sleep(REST).await;
            }
        }
    }
}

/// How many fan-outs had room for more.
async fn grow_some(inner: &Inner) -> Result<usize, HubError> {
    let client = inner.client().await?;
    // as `FanOut::wants_to_grow` has it
    let sql = "SELECT fanout.id FROM fanout JOIN job ON job.id = fanout.id AND job.state = 4
         WHERE expanded < count AND expanded - settled <= least($1, greatest(1, $2 / greatest(stride, 1))) - least($3, greatest(1, $4 / greatest(stride, 1)))
         LIMIT 64";
    let rows = client.query(&client.prepare_cached(sql).await?, &[&WINDOW, &WINDOW_ROWS, &TURN, &TURN_ROWS]).await?;
    drop(client);
    for row in &rows {
        inner.grow(row.try_get(0)?).await?;
    }
    Ok(rows.len())
}
