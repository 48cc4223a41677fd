//! The hub's HTTP server: routes, long polls, and the reaper.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bue_model::wire::{
    Heartbeat, HubView, LeaseBatch, LeaseRequest, MAX_MESSAGE, ReportBatch, ResultCursor, RunView, Submission, WhyView,
};
use bue_model::{JobId, RunId, RunState, Timestamp};
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::api::events::events;
use crate::api::hub_metrics::{HubMetrics, outcomes_of};
use crate::api::workers::Workers;
use crate::auth::access::Access;
use crate::auth::role::Need;
use crate::clock::{Clock, system_clock};
use crate::error::HubError;
use crate::http::openapi::document;
use crate::http::reply::{Body, Refusal, json, postcard, typed};
use crate::http::request::{content_type, decode, decode_json, parse, query_number, read_body, wrong_type};
use crate::http::request_metrics::{Front, Visit};
use crate::http::routes::{Route, RouteView, find, route, views};
use crate::http::server::{Listener, serve};
use crate::http::tls::Tls;
use crate::store::JobStore;

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

/// A hub: a store, a clock, who may use it, and who is waiting for it.
#[derive(Clone)]
pub struct Hub {
    store: Arc<dyn JobStore>,
    clock: Clock,
    access: Access,
    bucket: Option<String>,
    tls: Option<Tls>,
    workers: Workers,
    metrics: HubMetrics,
    front: Front,
    /// True once the server stops: long polls answer at once.
    closing: watch::Sender<bool>,
}

impl Hub {
    /// A hub on a store, with this machine's clock, open to whoever reaches it.
    #[must_use]
    pub fn new(store: Arc<dyn JobStore>) -> Self {
        Self::with_clock(store, system_clock())
    }

    /// A hub on a store, with a clock that may be wrong, stand still and jump.
    #[must_use]
    pub fn with_clock(store: Arc<dyn JobStore>, clock: Clock) -> Self {
        let (access, workers, closing) = (Access::open(), Workers::default(), watch::Sender::new(false));
        let (metrics, registry) = HubMetrics::new(store.notifications().commit_metrics());
        let front = Front::new("hub", registry);
        Self { store, clock, access, bucket: None, tls: None, workers, metrics, front, closing }
    }

    /// The same for those whom `access` lets in.
    #[must_use]
    pub fn with_access(self, access: Access) -> Self {
        Self { access, ..self }
    }

    /// The same, telling whoever asks where the bucket is.
    #[must_use]
    pub fn with_bucket(self, bucket: Option<String>) -> Self {
        Self { bucket, ..self }
    }

    /// The same over TLS, where there are files for it.
    #[must_use]
    pub fn with_tls(self, tls: Option<Tls>) -> Self {
        Self { tls, ..self }
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// When the hub's clock will show this time, if it is not set.
    fn instant_of(&self, at: Timestamp) -> Instant {
        Instant::now() + Duration::from_millis(at.since_ms(self.now()))
    }
}

/// What a route does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Runs,
    Submit,
    Run,
    DeleteRun,
    Results,
    CancelRun,
    ResetRun,
    Job,
    Why,
    Task,
    Log,
    CancelJob,
    ResetJob,
    Lease,
    Heartbeat,
    Outcomes,
    Events,
    Info,
    Metrics,
    OpenApi,
    Health,
    Ready,
}

/// All routes of the hub.
const ROUTES: &[Route<Call>] = &[
    route(Method::GET, "/v1/runs", Need::Look, Call::Runs),
    route(Method::POST, "/v1/runs", Need::Submit, Call::Submit),
    route(Method::GET, "/v1/runs/{id}", Need::Look, Call::Run),
    route(Method::DELETE, "/v1/runs/{id}", Need::Operate, Call::DeleteRun),
    route(Method::GET, "/v1/runs/{id}/results", Need::Look, Call::Results),
    route(Method::POST, "/v1/runs/{id}/cancel", Need::Operate, Call::CancelRun),
    route(Method::POST, "/v1/runs/{id}/reset", Need::Operate, Call::ResetRun),
    route(Method::GET, "/v1/jobs/{id}", Need::Look, Call::Job),
    route(Method::GET, "/v1/jobs/{id}/why", Need::Look, Call::Why),
    route(Method::GET, "/v1/jobs/{id}/task", Need::Look, Call::Task),
    route(Method::GET, "/v1/jobs/{id}/log", Need::Look, Call::Log),
    route(Method::POST, "/v1/jobs/{id}/cancel", Need::Operate, Call::CancelJob),
    route(Method::POST, "/v1/jobs/{id}/reset", Need::Operate, Call::ResetJob),
    route(Method::POST, "/v1/leases", Need::Work, Call::Lease),
    route(Method::POST, "/v1/heartbeats", Need::Work, Call::Heartbeat),
    route(Method::POST, "/v1/outcomes", Need::Work, Call::Outcomes),
    route(Method::GET, "/v1/events", Need::Look, Call::Events),
    route(Method::GET, "/v1/info", Need::Know, Call::Info),
    route(Method::GET, "/metrics", Need::Look, Call::Metrics),
    route(Method::GET, "/openapi.json", Need::Know, Call::OpenApi),
    route(Method::GET, "/healthz", Need::Health, Call::Health),
    route(Method::GET, "/readyz", Need::Health, Call::Ready),
];

/// The routes of the hub, and who may use them.
#[must_use]
pub fn hub_routes() -> Vec<RouteView> {
    views(ROUTES)
}

/// Serves the hub until `shutdown`, then answers long polls and lets requests under way end, which takes at most ten
/// seconds. Puts jobs of dead workers back meanwhile.
pub async fn serve_hub(listener: impl Listener, hub: Hub, shutdown: impl Future<Output = ()>) {
    let closing = hub.closing.clone();
    let shutdown = async {
        shutdown.await;
        closing.send_replace(true);
    };
    let (reaper, tls) = (reap(hub.clone()), hub.tls.clone());
    let handler = move |request| handle(hub.clone(), request);
    tokio::join!(serve(listener, tls, handler, shutdown), reaper);
}

async fn handle(hub: Hub, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let mut visit = Visit::new(&head);
    let answer = answer(&hub, &head, body, &mut visit).await;
    hub.front.close(&visit, answer)
}

async fn answer(hub: &Hub, head: &Parts, body: Incoming, visit: &mut Visit<'_>) -> Result<Response<Body>, Refusal> {
    let (call, parts) = find(ROUTES, &hub.access, head, visit)?;
    // the routes that name something name one thing
    let id = parts.first().copied().unwrap_or_default();
    let store = &*hub.store;
    match call {
        Call::Runs => json(&store.runs(MAX_RUNS).await?),
        Call::Submit => submit(hub, head, body).await,
        Call::Run => json(&view_run(hub, head, run_id(id)?).await?),
        Call::DeleteRun => json(&store.delete_run(run_id(id)?).await?),
        Call::Results => results(store, head, run_id(id)?).await,
        Call::CancelRun => json(&store.cancel_run(hub.now(), run_id(id)?).await?),
        Call::ResetRun => json(&store.reset_run(hub.now(), run_id(id)?).await?),
        Call::Job => json(&found(job_id(id)?, store.job(job_id(id)?).await?)?),
        Call::Why => why(hub, job_id(id)?).await,
        Call::Task => postcard(&found(job_id(id)?, store.task(job_id(id)?).await?)?),
        Call::Log => postcard(&found(job_id(id)?, store.log(job_id(id)?).await?)?),
        Call::CancelJob => json(&store.cancel_job(hub.now(), job_id(id)?).await?),
        Call::ResetJob => json(&store.reset_job(hub.now(), job_id(id)?).await?),
        Call::Lease => {
            let request: LeaseRequest = decode(&head.headers, &read_body(body, LEASE_LIMIT).await?)?;
            visit.visitor.as_ref().map_or(Ok(()), |visitor| visitor.expect_scopes(&request.scopes))?;
            postcard(&lease(hub, request).await?)
        }
        Call::Heartbeat => {
            let heartbeat: Heartbeat = decode(&head.headers, &read_body(body, HEARTBEAT_LIMIT).await?)?;
            hub.workers.lives(&heartbeat.worker);
            postcard(&store.heartbeat(hub.now(), heartbeat).await?)
        }
        Call::Outcomes => {
            let batch: ReportBatch = decode(&head.headers, &read_body(body, MAX_MESSAGE).await?)?;
            let outcomes = outcomes_of(&batch);
            let verdicts = store.complete(hub.now(), batch).await?;
            hub.metrics.reported(&outcomes, &verdicts);
            postcard(&verdicts)
        }
        Call::Events => {
            Ok(events(store.notifications().subscribe_runs(), hub.closing.subscribe(), hub.metrics.listener()))
        }
        Call::Info => json(&HubView { version: env!("CARGO_PKG_VERSION").to_owned(), bucket: hub.bucket.clone() }),
        Call::Metrics => {
            hub.metrics.count(store, &hub.workers).await?;
            hub.front.metrics()
        }
        Call::OpenApi => json(&document("bue hub", ROUTES)),
        Call::Health => Ok(typed("text/plain", "ok\n")),
        // the store answers too
        Call::Ready => store.runs(1).await.map(|_| typed("text/plain", "ready\n")).map_err(Refusal::from),
    }
}

fn found<T>(job: JobId, answer: Option<T>) -> Result<T, HubError> {
    answer.ok_or(HubError::JobNotFound(job))
}

/// The store knows what a job waits for, this hub who might run it.
async fn why(hub: &Hub, job: JobId) -> Result<Response<Body>, Refusal> {
    let view = found(job, hub.store.why(job).await?)?;
    let served_by = hub.workers.serving(&view.scope);
    json(&WhyView { now: hub.now(), served_by, ..view })
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
    let mut changes = hub.store.notifications().subscribe_runs();
    let mut closing = hub.closing.subscribe();
    loop {
        let view = hub.store.run(run).await?.ok_or(HubError::RunNotFound(run))?;
        let is_new = seen.is_none_or(|seen| view.version > seen) || view.state != RunState::Running;
        if is_new || Instant::now() >= deadline || *closing.borrow() {
            return Ok(view);
        }
        let _waiting = hub.metrics.poll();
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
    hub.workers.asked(&request);
    let mut closing = hub.closing.subscribe();
    loop {
        let mut work = hub.store.notifications().subscribe_work();
        let leased = hub.store.lease(hub.now(), request.clone()).await?;
        let is_over = request.count == 0 || Instant::now() >= deadline || *closing.borrow();
        if !leased.batch.leases.is_empty() || is_over {
            hub.metrics.leased(leased.batch.leases.len());
            return Ok(leased.batch);
        }
        let _waiting = hub.metrics.poll();
        let wake = leased.next_at.map_or(deadline, |at| hub.instant_of(at).min(deadline));
        tokio::select! {
            biased;
            // told, or too late to be told of everything
            _ = work.recv() => {}
            () = sleep_until(wake) => {}
            _ = closing.changed() => {}
        }
    }
}

/// Puts jobs back whose leases end. Sleeps until the next one does; a new lease never ends before those that are known, so
/// only a hub without any listens for one. After a start it waits as long as a lease lasts, because extensions that were
/// only in memory are gone and their workers are to be heard first.
async fn reap(hub: Hub) {
    let mut leases = hub.store.notifications().subscribe_leases();
    let mut closing = hub.closing.subscribe();
    let mut next = Some(Instant::now() + Duration::from_millis(hub.store.lease_ms()));
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
                hub.metrics.reaped(reaped.jobs.len());
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
