//! The hub's HTTP server: routes, long polls, and the reaper.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bue_model::wire::{
    Heartbeat, LeaseBatch, LeaseRequest, MAX_MESSAGE, ReportBatch, ResultCursor, RunView, Submission,
};
use bue_model::{JobId, RunId, RunState, Timestamp};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::clock;
use crate::error::HubError;
use crate::events::events;
use crate::reply::{Body, Refusal, json, postcard, typed};
use crate::request::{content_type, decode, decode_json, parse, query_number, read_body, wrong_type};
use crate::server::{Listener, serve};
use crate::store::{JobStore, LEASE_MS};

/// Longest wait of a long poll, whatever is asked for; proxies close what is silent for longer.
const MAX_WAIT_MS: u64 = 60_000;
/// Bytes of a plan, which hardly ever has more than some thousand nodes of ten bytes each.
const RUN_LIMIT: usize = 16 * 1024 * 1024;
/// Bytes of a lease request: names of scopes.
const LEASE_LIMIT: usize = 512 * 1024;
/// Bytes of a heartbeat: some ten a job.
const HEARTBEAT_LIMIT: usize = 4 * 1024 * 1024;
/// Runs in a list.
const MAX_RUNS: u32 = 100;
/// Rest after the store failed under the reaper.
const REAPER_REST: Duration = Duration::from_secs(1);

/// Says what time it is.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// A hub: a store, a clock, and who is waiting for it.
#[derive(Clone)]
pub struct Hub {
    store: Arc<dyn JobStore>,
    clock: Clock,
    /// True once the server stops: long polls answer at once.
    closing: watch::Sender<bool>,
}

impl Hub {
    /// A hub on a store, with this machine's clock.
    #[must_use]
    pub fn new(store: Arc<dyn JobStore>) -> Self {
        Self::with_clock(store, Arc::new(clock::now))
    }

    /// A hub on a store, with a clock that may be wrong, stand still and jump.
    #[must_use]
    pub fn with_clock(store: Arc<dyn JobStore>, clock: Clock) -> Self {
        Self { store, clock, closing: watch::Sender::new(false) }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// When the hub's clock will show this time, if it is not set.
    fn instant_of(&self, at: Timestamp) -> Instant {
        Instant::now() + Duration::from_millis(at.since_ms(self.now()))
    }
}

/// Serves the hub until `shutdown`, then answers long polls and lets requests under way end, which takes at most ten
/// seconds. Puts jobs of dead workers back meanwhile.
pub async fn serve_hub(listener: impl Listener, hub: Hub, shutdown: impl Future<Output = ()>) {
    let closing = hub.closing.clone();
    let shutdown = async {
        shutdown.await;
        closing.send_replace(true);
    };
    let reaper = reap(hub.clone());
    let handler = move |request| handle(hub.clone(), request);
    tokio::join!(serve(listener, handler, shutdown), reaper);
}

async fn handle(hub: Hub, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    route(&hub, &head, body).await.unwrap_or_else(Refusal::into_response)
}

async fn route(hub: &Hub, head: &Parts, body: Incoming) -> Result<Response<Body>, Refusal> {
    const GET: &[Method] = &[Method::GET];
    const POST: &[Method] = &[Method::POST];
    const BOTH: &[Method] = &[Method::GET, Method::POST];
    let path = head.uri.path();
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let allowed = match parts.as_slice() {
        ["v1", "runs"] => BOTH,
        ["v1", "runs", _, "cancel" | "reset"] | ["v1", "jobs", _, "cancel" | "reset"] => POST,
        ["v1", "leases" | "heartbeats" | "outcomes"] => POST,
        ["v1", "runs", _] | ["v1", "runs", _, "results"] | ["v1", "jobs", _] | ["v1", "jobs", _, "log"] => GET,
        ["v1", "events"] | ["healthz" | "readyz"] => GET,
        _ => return Err(Refusal::no_such_route(path)),
    };
    if !allowed.contains(&head.method) {
        return Err(Refusal::method_not_allowed(&head.method, allowed));
    }
    let store = &*hub.store;
    match parts.as_slice() {
        ["v1", "runs"] if head.method == Method::GET => json(&store.runs(MAX_RUNS).await?),
        ["v1", "runs"] => submit(hub, head, body).await,
        ["v1", "runs", run] => json(&view_run(hub, head, run_id(run)?).await?),
        ["v1", "runs", run, "results"] => results(store, head, run_id(run)?).await,
        ["v1", "runs", run, "cancel"] => json(&store.cancel_run(hub.now(), run_id(run)?).await?),
        ["v1", "runs", run, "reset"] => json(&store.reset_run(hub.now(), run_id(run)?).await?),
        ["v1", "jobs", job] => {
            let job = job_id(job)?;
            json(&store.job(job).await?.ok_or(HubError::JobNotFound(job))?)
        }
        ["v1", "jobs", job, "log"] => {
            let job = job_id(job)?;
            postcard(&store.log(job).await?.ok_or(HubError::JobNotFound(job))?)
        }
        ["v1", "jobs", job, "cancel"] => json(&store.cancel_job(hub.now(), job_id(job)?).await?),
        ["v1", "jobs", job, "reset"] => json(&store.reset_job(hub.now(), job_id(job)?).await?),
        ["v1", "leases"] => {
            let request: LeaseRequest = decode(&head.headers, &read_body(body, LEASE_LIMIT).await?)?;
            postcard(&lease(hub, request).await?)
        }
        ["v1", "heartbeats"] => {
            let heartbeat: Heartbeat = decode(&head.headers, &read_body(body, HEARTBEAT_LIMIT).await?)?;
            postcard(&store.heartbeat(hub.now(), heartbeat).await?)
        }
        ["v1", "outcomes"] => {
            let batch: ReportBatch = decode(&head.headers, &read_body(body, MAX_MESSAGE).await?)?;
            postcard(&store.complete(hub.now(), batch).await?)
        }
        ["v1", "events"] => Ok(events(store.changes().runs(), hub.closing.subscribe())),
        // the process answers, and for `readyz` the store does too
        ["readyz"] => store.runs(1).await.map(|_| typed("text/plain", "ready\n")).map_err(Refusal::from),
        _ => Ok(typed("text/plain", "ok\n")),
    }
}

fn run_id(text: &str) -> Result<RunId, Refusal> {
    parse(text, "run id")
}

fn job_id(text: &str) -> Result<JobId, Refusal> {
    parse(text, "job id").map(JobId)
}

/// Postcard as our client sends it, or JSON of the same.
async fn submit(hub: &Hub, head: &Parts, body: Incoming) -> Result<Response<Body>, Refusal> {
    #[derive(serde::Serialize)]
    struct Submitted {
        run: RunId,
    }
    match content_type(&head.headers) {
        "application/json" => {
            let submission: Submission = decode_json(&read_body(body, RUN_LIMIT).await?)?;
            json(&Submitted { run: hub.store.submit(hub.now(), submission).await? })
        }
        bue_model::wire::CONTENT_TYPE => {
            let body: Bytes = read_body(body, RUN_LIMIT).await?;
            let submission: Submission = decode(&head.headers, &body)?;
            // the message may be large, and the answer has to wait for a disk
            drop(body);
            postcard(&hub.store.submit(hub.now(), submission).await?)
        }
        other => Err(wrong_type(other, "send application/vnd.bue.postcard or application/json")),
    }
}

async fn results(store: &dyn JobStore, head: &Parts, run: RunId) -> Result<Response<Body>, Refusal> {
    let query = head.uri.query();
    let cursor = ResultCursor {
        call: query_number(query, "call")?.unwrap_or(0),
        round: query_number(query, "round")?.unwrap_or(0),
    };
    postcard(&store.results(run, cursor).await?.ok_or(HubError::RunNotFound(run))?)
}

/// A run, at once; or, with `seen`, when its version is larger or the time is up. Subscribes before it looks, so no change
/// falls between the two.
async fn view_run(hub: &Hub, head: &Parts, run: RunId) -> Result<RunView, Refusal> {
    let query = head.uri.query();
    let seen: Option<u64> = query_number(query, "seen")?;
    let wait: u64 = query_number(query, "wait_ms")?.unwrap_or(0);
    let deadline = Instant::now() + Duration::from_millis(wait.min(MAX_WAIT_MS));
    let mut changes = hub.store.changes().runs();
    let mut closing = hub.closing.subscribe();
    loop {
        let view = hub.store.run(run).await?.ok_or(HubError::RunNotFound(run))?;
        let is_new = seen.is_none_or(|seen| view.version > seen) || view.state != RunState::Running;
        if is_new || Instant::now() >= deadline || *closing.borrow() {
            return Ok(view);
        }
        tokio::select! {
            biased;
            () = next_change(&mut changes, run) => {}
            () = sleep_until(deadline) => {}
            _ = closing.changed() => {}
        }
    }
}

/// Returns when the run changed, or may have.
async fn next_change(changes: &mut tokio::sync::broadcast::Receiver<RunId>, run: RunId) {
    while let Ok(changed) = changes.recv().await {
        if changed == run {
            return;
        }
    }
}

/// Jobs, as soon as there are some; none when the time is up. Waits for the store's announcement and for the time at which
/// a parked job becomes ready by itself, and subscribes before it looks.
async fn lease(hub: &Hub, request: LeaseRequest) -> Result<LeaseBatch, Refusal> {
    let deadline = Instant::now() + Duration::from_millis(request.wait_ms.min(MAX_WAIT_MS));
    let mut work = hub.store.changes().work();
    let mut closing = hub.closing.subscribe();
    loop {
        work.mark_unchanged();
        let leased = hub.store.lease(hub.now(), request.clone()).await?;
        let is_over = request.count == 0 || Instant::now() >= deadline || *closing.borrow();
        if !leased.batch.leases.is_empty() || is_over {
            return Ok(leased.batch);
        }
        let wake = leased.next_at.map_or(deadline, |at| hub.instant_of(at).min(deadline));
        tokio::select! {
            biased;
            _ = work.changed() => {}
            () = sleep_until(wake) => {}
            _ = closing.changed() => {}
        }
    }
}

/// Puts jobs back whose leases end. Sleeps until the next one does; a new lease never ends before those that are known, so
/// only a hub without any listens for one. After a start it waits as long as a lease lasts, because extensions that were
/// only in memory are gone and their workers are to be heard first.
async fn reap(hub: Hub) {
    let mut leases = hub.store.changes().leases();
    let mut closing = hub.closing.subscribe();
    let mut next = Some(Instant::now() + Duration::from_millis(LEASE_MS));
    while !*closing.borrow() {
        tokio::select! {
            biased;
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            _ = leases.changed(), if next.is_none() => {}
            _ = closing.changed() => continue,
        }
        leases.mark_unchanged();
        match hub.store.reap(hub.now()).await {
            Ok(reaped) => {
                if !reaped.jobs.is_empty() {
                    tracing::warn!(jobs = reaped.jobs.len(), "put jobs back whose workers were not heard of");
                }
                next = reaped.next_at.map(|at| hub.instant_of(at));
            }
            Err(error) => {
                tracing::error!(%error, "could not look for jobs of dead workers");
                sleep(REAPER_REST).await;
            }
        }
    }
}
