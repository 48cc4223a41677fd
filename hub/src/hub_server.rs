//! [`serve_hub`]: runs a hub's HTTP server, its reaper and its scheduler until shutdown. A request is for the dashboard or for the API,
//! by its path.

use std::future::Future;

use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use tokio::sync::watch;

use crate::api::dispatch::dispatch;
use crate::api::events::send_run_changes;
use crate::api::expiry::fail_expired_jobs;
use crate::api::hub::Hub;
use crate::api::reaper::reap_expired_leases;
use crate::api::records::record_token_changes;
use crate::api::sampler::{sample_history, sample_progress};
use crate::api::scheduler::fire_due_schedules;
use crate::api::worker_sharing::share_workers;
use crate::http::reply::Body;
use crate::http::request_metrics::RequestContext;
use crate::http::server::{Listener, serve};
use crate::telemetry::export::export;
use crate::web::respond::Dashboard;

/// Serves the hub until `shutdown` completes, then ends long polls and lets requests in progress finish, which takes at most
/// ten seconds. Meanwhile makes the jobs of dead workers available again, fails jobs that expire, and starts the runs of schedules
/// that are due. Then exports what is left to export, which takes at most five seconds.
pub async fn serve_hub(listener: impl Listener, hub: Hub, shutdown: impl Future<Output = ()>) {
    let closing = hub.closing.clone();
    let shutdown = async {
        shutdown.await;
        closing.send_replace(true);
    };
    let is_simulated = hub.simulation.is_some();
    let reap = reap_expired_leases(hub.clone());
    // while simulated time jumps, the worker has no time for heartbeats
    let reaper = async {
        if !is_simulated {
            reap.await;
        }
    };
    let expiries = fail_expired_jobs(hub.clone());
    let (sampler, sharing) = (sample_progress(hub.clone()), share_workers(hub.clone()));
    let scheduler = fire_due_schedules(hub.clone());
    let (history, tokens) = (sample_history(hub.clone()), record_token_changes(hub.clone()));
    let events = send_run_changes(hub.clone());
    let (stop_export, stopped) = watch::channel(false);
    let telemetry = export(hub.clone(), stopped);
    let tls = hub.tls.clone();
    let dashboard = Dashboard::new(hub);
    let handler = move |request| handle(dashboard.clone(), request);
    // what the last requests have ended is exported, too
    let server = async {
        serve(listener, tls, handler, shutdown).await;
        stop_export.send_replace(true);
    };
    tokio::join!(server, reaper, expiries, sampler, sharing, scheduler, history, tokens, events, telemetry);
}

async fn handle(dashboard: Dashboard, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    if dashboard.answers(&head) {
        return dashboard.respond(&head, body).await;
    }
    let hub = dashboard.hub();
    let mut context = RequestContext::new(&head);
    let result = dispatch(hub, &head, body, &mut context).await;
    let mut response = hub.request_metrics.finish(&context, result);
    // a browser that logged in can open these addresses, too: what they return is never run as a script or shown as a page
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
