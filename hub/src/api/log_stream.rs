//! `GET /v1/jobs/{id}/log?follow=1` and `GET /v1/runs/{id}/log`: what running steps print, as server-sent events, until the job or the
//! run has ended.

use std::time::Duration;

use bue_model::log::LogSelection;
use bue_model::{JobId, JobState, RunId, RunState};
use bytes::Bytes;
use futures_util::stream::unfold;
use http::Response;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde::Serialize;
use serde_json::json;
use tokio::sync::broadcast::Receiver;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::api::hub::Hub;
use crate::api::hub_metrics::GaugeGuard;
use crate::api::log_watches::{Follower, LogReader};
use crate::api::long_poll::next_change;
use crate::error::HubError;
use crate::http::reply::{Body, ErrorReply, printable_json, typed};

/// Between comments that keep the connection alive and reveal a broken one.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Shortest time between two checks whether the job or the run has ended. A large run changes all the time.
const CHECK_INTERVAL: Duration = Duration::from_millis(200);

/// A stream of events.
struct LogStream {
    hub: Hub,
    run: RunId,
    /// `None`: follows the whole run.
    job: Option<JobId>,
    reader: LogReader,
    changes: Receiver<RunId>,
    closing: watch::Receiver<bool>,
    /// The run has changed since the last check.
    has_changed: bool,
    check_at: Instant,
    /// The last event, once nothing more can be printed.
    end: Option<String>,
    _listener: GaugeGuard,
}

/// Follows the output of a run, or of one of its steps.
pub(super) async fn follow_run(
    hub: &Hub,
    run: RunId,
    step: Option<String>,
    follower: Follower,
) -> Result<Response<Body>, ErrorReply> {
    hub.store.run(run).await?.ok_or(HubError::RunNotFound(run))?;
    let reader = hub.log_watches.subscribe(LogSelection::Run { run, step }, follower)?;
    Ok(follow(hub, run, None, reader))
}

/// Follows the output of a job.
pub(super) async fn follow_job(hub: &Hub, job: JobId, follower: Follower) -> Result<Response<Body>, ErrorReply> {
    let view = hub.store.job(job).await?.ok_or(HubError::JobNotFound(job))?;
    let reader = hub.log_watches.subscribe(LogSelection::Job(job), follower)?;
    Ok(follow(hub, view.run, Some(job), reader))
}

fn follow(hub: &Hub, run: RunId, job: Option<JobId>, reader: LogReader) -> Response<Body> {
    let stream = LogStream {
        hub: hub.clone(),
        run,
        job,
        reader,
        changes: hub.store.notifications().subscribe_runs(),
        closing: hub.closing.subscribe(),
        has_changed: true,
        check_at: Instant::now(),
        end: None,
        _listener: hub.metrics.event_listener(),
    };
    let events = unfold(Some(stream), |stream| async move {
        let mut stream = stream?;
        let (text, is_last) = stream.next_event().await?;
        Some((Ok(Frame::data(Bytes::from(text))), (!is_last).then_some(stream)))
    });
    let mut response = typed("text/event-stream", Bytes::new());
    *response.body_mut() = StreamBody::new(events).boxed_unsync();
    response
}

impl LogStream {
    /// Returns the next event, and whether it is the last one. `None` if the server shuts down.
    async fn next_event(&mut self) -> Option<(String, bool)> {
        loop {
            if self.reader.take_lost() {
                return Some((event("lagged", &json!({})), false));
            }
            if let Some(end) = &self.end {
                // workers send the last lines of a job before its outcome, so all of them are here
                return match self.reader.lines.try_recv() {
                    Ok(lines) => Some((event("lines", &lines), false)),
                    Err(_) => Some((end.clone(), true)),
                };
            }
            if *self.closing.borrow() {
                return None;
            }
            tokio::select! {
                biased;
                Some(lines) = self.reader.lines.recv() => return Some((event("lines", &lines), false)),
                _ = self.closing.changed() => return None,
                () = sleep_until(self.check_at), if self.has_changed => self.check().await,
                () = next_change(&mut self.changes, self.run), if !self.has_changed => self.has_changed = true,
                () = sleep(KEEP_ALIVE_INTERVAL) => return Some((": still here\n\n".to_owned(), false)),
            }
        }
    }

    /// Checks whether the job or the run has ended. If the store cannot tell, checks again.
    async fn check(&mut self) {
        self.check_at = Instant::now() + CHECK_INTERVAL;
        if let Ok(state) = self.final_state().await {
            self.has_changed = false;
            self.end = state.map(|state| event("end", &json!({ "state": state })));
        }
    }

    /// Returns the state that the job or the run has ended in.
    async fn final_state(&self) -> Result<Option<&'static str>, HubError> {
        let store = &self.hub.store;
        match self.job {
            Some(job) => Ok(match store.job(job).await?.map(|view| view.state) {
                Some(JobState::Blocked | JobState::Available | JobState::Running) => None,
                state => Some(state.map_or("deleted", JobState::name)),
            }),
            None => Ok(match store.run(self.run).await?.map(|view| view.state) {
                Some(RunState::Running) => None,
                state => Some(state.map_or("deleted", RunState::name)),
            }),
        }
    }
}

/// An event whose data is JSON, which contains no line breaks.
fn event(name: &str, data: &impl Serialize) -> String {
    let data = printable_json(data).unwrap_or_default();
    format!("event: {name}\ndata: {data}\n\n")
}
