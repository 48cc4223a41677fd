//! Carries out a request: finds its route, reads its body, calls the store, encodes the reply.

use bue_model::wire::{HubView, WIRE_VERSION};
use bue_model::{JobId, RunId};
use http::request::Parts;
use http::{Method, Response};
use hyper::body::Incoming;

use crate::api::bulk::bulk;
use crate::api::bulk_request::BulkOperation;
use crate::api::change::{ChangeRequest, audited};
use crate::api::events::event_stream;
use crate::api::hub::Hub;
use crate::api::job_reads;
use crate::api::leases;
use crate::api::lists::{Errors, list_errors, list_jobs, list_runs, list_workers};
use crate::api::log_stream::follow_run;
use crate::api::long_poll::wait_for_run;
use crate::api::pipelines;
use crate::api::records::{history, list_audit, run_audit};
use crate::api::reruns;
use crate::api::routes::{Operation, ROUTES};
use crate::api::runs::{cancel_job, cancel_run, delete_run, reset_job, reset_run, submit};
use crate::api::schedules;
use crate::api::sessions::{new_web_code, session_of};
use crate::api::views::explain_job;
use crate::auth::access::Principal;
use crate::error::HubError;
use crate::http::openapi::document::document;
use crate::http::openapi::operation_doc::Documented;
use crate::http::reply::{Body, ErrorReply, json, postcard, typed};
use crate::http::request::{expect_known_parameters, parse_parameter, query_parameter};
use crate::http::request_metrics::RequestContext;
use crate::http::routes::match_route;
use crate::schedules::request::ScheduleAction;

/// Carries out a request. Records what is known about it in `context`.
pub(crate) async fn dispatch(
    hub: &Hub,
    head: &Parts,
    body: Incoming,
    context: &mut RequestContext<'_>,
) -> Result<Response<Body>, ErrorReply> {
    // a session reads: what changes something goes through the pages, which check who sends it
    if head.method == Method::GET {
        context.session = session_of(hub, &head.headers).await?;
    }
    let route = match_route(ROUTES, &hub.access, head, context)?;
    expect_known_parameters(head.uri.query(), route.operation.doc().query)?;
    let run = || parse_parameter::<RunId>(route.parameter(), "run id");
    let job = || parse_parameter(route.parameter(), "job id").map(JobId);
    let parameter = route.parameter().to_owned();
    let request = |body: Incoming| ChangeRequest {
        hub: hub.clone(),
        head: head.clone(),
        body: body.into(),
        parameter: parameter.clone(),
        principal: context.principal.clone(),
    };
    let follower = context.principal.as_ref().map(|principal| principal.identity);
    let store = &*hub.store;
    expect_pipeline(hub, context.principal.as_ref(), route.operation, route.parameter()).await?;
    match route.operation {
        Operation::ListRuns => json(&list_runs(hub, head.uri.query()).await?),
        Operation::CancelRuns => audited(request(body), |request| bulk(request, BulkOperation::Cancel)).await,
        Operation::ResetRuns => audited(request(body), |request| bulk(request, BulkOperation::Reset)).await,
        Operation::DeleteRuns => audited(request(body), |request| bulk(request, BulkOperation::Delete)).await,
        Operation::ListAudit => json(&list_audit(hub, head.uri.query()).await?),
        Operation::GetRunAudit => json(&run_audit(hub, head.uri.query(), run()?).await?),
        Operation::GetHistory => json(&history(hub, head.uri.query()).await?),
        Operation::GetCounts => json(&hub.counts.read(store, hub.now(), &hub.workers).await?),
        Operation::ListErrors => match list_errors(hub, head.uri.query()).await? {
            Errors::Jobs(page) => json(&page),
            Errors::Groups(page) => json(&page),
        },
        Operation::SubmitRun => audited(request(body), submit).await,
        Operation::GetRun => json(&wait_for_run(hub, head.uri.query(), run()?).await?),
        Operation::DeleteRun => audited(request(body), delete_run).await,
        Operation::ListJobs => json(&list_jobs(hub, head.uri.query(), run()?).await?),
        Operation::GetResults => job_reads::results(hub, head, run()?).await,
        Operation::FollowRunLog => follow_run(hub, run()?, query_parameter(head.uri.query(), "step")?, follower).await,
        Operation::GetRunPlan => json(&reruns::run_plan(hub, context.principal.as_ref(), run()?).await?),
        Operation::CancelRun => audited(request(body), cancel_run).await,
        Operation::ResetRun => audited(request(body), reset_run).await,
        Operation::RerunRun => audited(request(body), reruns::rerun).await,
        Operation::GetJob => json(&expect_job(job()?, store.job(job()?).await?)?),
        Operation::ExplainJob => json(&explain_job(hub, job()?).await?),
        Operation::GetTask => postcard(&expect_job(job()?, store.task(job()?).await?)?),
        Operation::GetResult => json(&job_reads::result(hub, head.uri.query(), job()?).await?),
        Operation::GetInputs => json(&job_reads::inputs(hub, head.uri.query(), job()?).await?),
        Operation::GetLog => job_reads::log(hub, head, job()?, follower).await,
        Operation::CancelJob => audited(request(body), cancel_job).await,
        Operation::ResetJob => audited(request(body), reset_job).await,
        Operation::ListPipelines => json(&pipelines::list(hub).await?),
        Operation::Publish => audited(request(body), pipelines::publish).await,
        Operation::GetPipeline => json(&pipelines::get(hub, route.parameter()).await?),
        Operation::Unpublish => audited(request(body), pipelines::unpublish).await,
        Operation::Invoke => audited(request(body), pipelines::invoke).await,
        Operation::InvokeBatch => audited(request(body), pipelines::invoke_batch).await,
        Operation::ListSchedules => json(&schedules::list(hub, head.uri.query()).await?),
        Operation::ApplySchedules => audited(request(body), schedules::apply).await,
        Operation::PutSchedule => audited(request(body), schedules::put).await,
        Operation::GetSchedule => json(&schedules::get(hub, route.parameter()).await?),
        Operation::ListScheduleRuns => json(&schedules::runs(hub, route.parameter(), head.uri.query()).await?),
        Operation::RemoveSchedule => {
            audited(request(body), |request| schedules::change(request, ScheduleAction::Remove)).await
        }
        Operation::PauseSchedule => {
            audited(request(body), |request| schedules::change(request, ScheduleAction::Pause)).await
        }
        Operation::ResumeSchedule => {
            audited(request(body), |request| schedules::change(request, ScheduleAction::Resume)).await
        }
        Operation::RunSchedule => audited(request(body), schedules::run).await,
        Operation::Backfill => audited(request(body), schedules::backfill).await,
        Operation::ListWorkers => json(&list_workers(hub)),
        Operation::Lease => leases::lease(hub, head, body, context).await,
        Operation::Heartbeat => leases::heartbeat(hub, head, body, context).await,
        Operation::ReportOutcomes => leases::report_outcomes(hub, head, body, context).await,
        Operation::RecordPiece => leases::record_piece(hub, head, body, context).await,
        Operation::ReceiveLogs => leases::receive_logs(hub, head, body, context).await,
        Operation::StreamEvents => {
            let run = query_parameter(head.uri.query(), "run")?;
            Ok(event_stream(hub, run, hub.metrics.event_listener()))
        }
        Operation::GetInfo => {
            let scopes = context.principal.as_ref().map(|principal| principal.scopes().to_vec()).unwrap_or_default();
            json(&HubView {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                bucket: hub.bucket.clone(),
                scopes,
                wire: WIRE_VERSION,
            })
        }
        Operation::NewWebCode => json(&new_web_code(hub, context.principal.as_ref()).await?),
        Operation::GetMetrics => {
            hub.metrics.refresh(store, &hub.workers, hub.now()).await?;
            hub.request_metrics.reply()
        }
        Operation::GetOpenApi => json(&document("bue hub", ROUTES)),
        Operation::CheckHealth => Ok(typed("text/plain", "ok\n")),
        // reads one row from the store, so that a broken one is noticed
        Operation::CheckReady => {
            store.lease_key().await.map(|_| typed("text/plain", "ready\n")).map_err(ErrorReply::from)
        }
    }
}

/// Refuses pipelines, and runs of pipelines, that the sender's token is not for.
pub(crate) async fn expect_pipeline(
    hub: &Hub,
    principal: Option<&Principal>,
    operation: Operation,
    parameter: &str,
) -> Result<(), ErrorReply> {
    let Some(principal) = principal.filter(|principal| principal.reads_only_invoked()) else { return Ok(()) };
    match operation {
        Operation::Invoke | Operation::InvokeBatch | Operation::GetPipeline => {
            principal.expect_pipeline(Some(parameter))?;
        }
        Operation::GetRun
        | Operation::GetResults
        | Operation::GetRunPlan
        | Operation::GetRunAudit
        | Operation::RerunRun => {
            let run = parse_parameter::<RunId>(parameter, "run id")?;
            let pipeline = hub.store.pipeline_of(run).await?;
            // the same as for a run that does not exist
            principal.expect_pipeline(pipeline.as_deref()).map_err(|_| HubError::RunNotFound(run))?;
        }
        _ => {}
    }
    Ok(())
}

fn expect_job<T>(job: JobId, answer: Option<T>) -> Result<T, HubError> {
    answer.ok_or(HubError::JobNotFound(job))
}
