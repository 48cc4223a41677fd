//! What workers request and send: leases, heartbeats, reports, pieces of lists, and lines that are followed. Tokens leave the hub
//! sealed for their worker. A heartbeat or report whose seal is wrong is answered as one of a lost lease, and does not reach the store.
//! Answers say whose lines are followed.

use bue_model::log::LogBatch;
use bue_model::wire::{
    Heartbeat, HeartbeatAnswer, LeaseRequest, ListPiece, MAX_MESSAGE, PieceVerdict, ReportBatch, Verdict,
};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Response};
use hyper::body::Incoming;

use crate::api::chosen_scopes;
use crate::api::hub::Hub;
use crate::api::hub_metrics::outcome_labels;
use crate::api::long_poll::{wait_for_leases, wait_for_room};
use crate::auth::access::Principal;
use crate::auth::lease_seal::LeaseSealer;
use crate::error::HubError;
use crate::http::reply::{Body, ErrorReply, postcard};
use crate::http::request::{decode_postcard, read_body};
use crate::http::request_metrics::RequestContext;

/// Bytes of a lease request, which holds names of scopes and what the worker can do. The hub remembers some of it of every worker.
const MAX_LEASE_REQUEST: usize = 64 * 1024;
/// Bytes of a heartbeat: some thirty per job.
const MAX_HEARTBEAT: usize = 4 * 1024 * 1024;
/// Bytes of reports beyond which their requests take turns.
const LARGE_REPORTS: usize = 1024 * 1024;
/// Bytes of a piece of a list, most of whose elements are in the bucket.
const MAX_PIECE: usize = 4 * 1024 * 1024;
/// Bytes of lines that a worker sends at once.
const MAX_LOG_BATCH: usize = 8 * 1024 * 1024;

/// Leases jobs of scopes that the sender's access token is for.
pub(super) async fn lease(
    hub: &Hub,
    head: &Parts,
    body: Incoming,
    context: &RequestContext<'_>,
) -> Result<Response<Body>, ErrorReply> {
    let request: LeaseRequest = decode_postcard(&head.headers, &read_body(body, MAX_LEASE_REQUEST).await?)?;
    if let Some(principal) = &context.principal {
        principal.expect_scopes(&request.scopes)?;
    }
    let sealer = hub.sealer().await?;
    let mut batch = wait_for_leases(hub, request).await?;
    let has_traces = hub.telemetry.has_traces();
    for lease in &mut batch.leases {
        lease.trace = lease.trace.filter(|_| has_traces);
        lease.token = sealer.seal(context.principal.as_ref(), lease.job, lease.token);
    }
    // in simulated time, a job would sleep on while a piece is on its way, and time would pass it
    if hub.simulation.is_some() {
        batch.steps.iter_mut().for_each(|step| step.reports_pieces = false);
    }
    batch.log_watches = hub.log_watches.current();
    postcard(&batch)
}

/// Extends the leases that were granted to the sender. The answer names all others as lost.
pub(super) async fn heartbeat(
    hub: &Hub,
    head: &Parts,
    body: Incoming,
    context: &RequestContext<'_>,
) -> Result<Response<Body>, ErrorReply> {
    let mut heartbeat: Heartbeat = decode_postcard(&head.headers, &read_body(body, MAX_HEARTBEAT).await?)?;
    hub.workers.record_heartbeat(&heartbeat, hub.now());
    let (sealer, holder) = (hub.sealer().await?, context.principal.as_ref());
    let mut forged = Vec::new();
    heartbeat.leases.retain_mut(|(job, token)| match sealer.open(holder, *job, *token) {
        Some(opened) => {
            *token = opened;
            true
        }
        None => {
            forged.push(*job);
            false
        }
    });
    hub.log_forged(&heartbeat.worker, forged.len());
    let mut answer: HeartbeatAnswer = hub.store.heartbeat(hub.now(), heartbeat).await?;
    answer.lost.append(&mut forged);
    answer.log_watches = hub.log_watches.current();
    postcard(&answer)
}

/// Decodes reports; large ones in a thread of their own.
async fn decode_reports(headers: &HeaderMap, body: Bytes) -> Result<ReportBatch, ErrorReply> {
    if body.len() <= LARGE_REPORTS {
        return decode_postcard(headers, &body);
    }
    let headers = headers.clone();
    let decoded = tokio::task::spawn_blocking(move || decode_postcard(&headers, &body)).await;
    decoded.map_err(|error| HubError::damaged(format!("reports were not decoded: {error}")))?
}

/// Records the reports under leases that were granted to the sender.
pub(super) async fn report_outcomes(
    hub: &Hub,
    head: &Parts,
    body: Incoming,
    context: &RequestContext<'_>,
) -> Result<Response<Body>, ErrorReply> {
    let body = read_body(body, MAX_MESSAGE).await?;
    // Decoded reports take many times their bytes in memory. Of large ones there is one request at a time, until it is stored.
    let is_large = body.len() > LARGE_REPORTS;
    // never closed
    let _turn = if is_large { hub.large_reports.acquire().await.ok() } else { None };
    let mut batch = decode_reports(&head.headers, body).await?;
    let outcomes = outcome_labels(&batch);
    let is_genuine = open_reports(hub.sealer().await?, context.principal.as_ref(), &mut batch);
    hub.log_forged(&batch.worker, is_genuine.iter().filter(|is_genuine| !**is_genuine).count());
    chosen_scopes::refuse_unknown(hub, &mut batch).await?;
    batch.reports.iter().for_each(|report| hub.log_watches.forget(report.job, report.token));
    let mut stored = hub.store.complete(hub.now(), batch).await?.into_iter();
    let verdict = |is_genuine: bool| if is_genuine { stored.next() } else { Some(Verdict::LeaseLost) };
    let verdicts: Vec<Verdict> = is_genuine.into_iter().filter_map(verdict).collect();
    hub.metrics.record_outcomes(&outcomes, &verdicts);
    postcard(&verdicts)
}

/// Records a piece of the list of a job that was leased to the sender. If the window of a loop is full, waits for room.
pub(super) async fn record_piece(
    hub: &Hub,
    head: &Parts,
    body: Incoming,
    context: &RequestContext<'_>,
) -> Result<Response<Body>, ErrorReply> {
    let mut piece: ListPiece = decode_postcard(&head.headers, &read_body(body, MAX_PIECE).await?)?;
    let sealer = hub.sealer().await?;
    match sealer.open(context.principal.as_ref(), piece.job, piece.token) {
        Some(opened) => piece.token = opened,
        None => {
            hub.log_forged(&piece.worker, 1);
            return postcard(&PieceVerdict::LeaseLost);
        }
    }
    hub.progress.record_growth(hub.now(), piece.run);
    postcard(&wait_for_room(hub, piece).await?)
}

/// Passes on what jobs print that the sender has leases of. The answer says what is followed, as that of a heartbeat does.
pub(super) async fn receive_logs(
    hub: &Hub,
    head: &Parts,
    body: Incoming,
    context: &RequestContext<'_>,
) -> Result<Response<Body>, ErrorReply> {
    let mut batch: LogBatch = decode_postcard(&head.headers, &read_body(body, MAX_LOG_BATCH).await?)?;
    let (sealer, holder) = (hub.sealer().await?, context.principal.as_ref());
    batch.entries.retain_mut(|entry| {
        let opened = sealer.open(holder, entry.job, entry.token);
        opened.map(|opened| entry.token = opened).is_some()
    });
    hub.log_watches.publish(&*hub.store, batch).await;
    postcard(&hub.log_watches.current())
}

/// Removes the reports whose seals are wrong, and the seals of the others. Returns for each report whether it was kept.
fn open_reports(sealer: &LeaseSealer, holder: Option<&Principal>, batch: &mut ReportBatch) -> Vec<bool> {
    let mut is_genuine = Vec::with_capacity(batch.reports.len());
    batch.reports.retain_mut(|report| {
        let opened = sealer.open(holder, report.job, report.token);
        is_genuine.push(opened.is_some());
        opened.map(|opened| report.token = opened).is_some()
    });
    is_genuine
}
