//! Changes of single runs and jobs.

use bue_model::trace::TRACEPARENT;
use bue_model::wire::{CONTENT_TYPE, Changed, Submission};
use bue_model::{JobId, RunId, TraceContext};
use http::HeaderMap;
use http::request::Parts;
use serde_json::json;

use crate::api::change::{Change, ChangeRequest, Record};
use crate::api::hub::{Hub, MAX_SUBMISSION};
use crate::error::HubError;
use crate::http::reply::{self, ErrorReply};
use crate::http::request::{content_type, decode_json, decode_postcard, parse_parameter, read_body, unsupported_type};

/// Accepts a run, in postcard, as our client sends it, or in JSON.
pub(super) async fn submit(request: ChangeRequest) -> Result<Change, ErrorReply> {
    #[derive(serde::Serialize)]
    struct Submitted {
        run: RunId,
    }
    let ChangeRequest { hub, head, body, .. } = request;
    // the body may be large, so it is dropped before the store waits for the disk
    let body = read_body(body, MAX_SUBMISSION);
    match content_type(&head.headers) {
        "application/json" => {
            let submission: Submission = decode_json(&body.await?)?;
            let record = submitted(&submission);
            Ok(Change::json(record, &Submitted { run: accept_run(&hub, &head, submission).await? }))
        }
        CONTENT_TYPE => {
            let submission: Submission = decode_postcard(&head.headers, &body.await?)?;
            let record = submitted(&submission);
            let run = accept_run(&hub, &head, submission).await?;
            Ok(Change::ready(Some(record), reply::postcard(&run)))
        }
        other => Err(unsupported_type(other, "send application/vnd.bue.postcard or application/json")),
    }
}

fn submitted(submission: &Submission) -> Record {
    Record::new("run.submit", submission.name.clone()).of_run(submission.run)
}

/// Accepts a run, as a part of the span that the request is made in. Its id must not be one that the hub derives from the key of an invocation: that key would be taken.
async fn accept_run(hub: &Hub, head: &Parts, submission: Submission) -> Result<RunId, HubError> {
    if submission.run.0.get_version_num() == 5 {
        let problem = "the id of the run is a UUID of version 5; choose a random one";
        return Err(HubError::BadRequest(problem.to_owned()));
    }
    hub.store.submit_in_trace(hub.now(), submission, client_span(&head.headers)).await
}

/// Returns the span that a request is made in. As the standard says, one that is not valid counts as none.
fn client_span(headers: &HeaderMap) -> Option<TraceContext> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let span = values.next()?.to_str().ok()?.parse().ok();
    span.filter(|_| values.next().is_none())
}

/// Cancels a run.
pub(crate) async fn cancel_run(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let (hub, run) = run_of(&request)?;
    let changed = hub.store.cancel_run(hub.now(), run).await?;
    Ok(changed_run("run.cancel", run, changed))
}

/// Resets what failed in a run, or was cancelled with it.
pub(crate) async fn reset_run(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let (hub, run) = run_of(&request)?;
    let changed = hub.store.reset_run(hub.now(), run).await?;
    Ok(changed_run("run.reset", run, changed))
}

/// Deletes a run.
pub(crate) async fn delete_run(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let (hub, run) = run_of(&request)?;
    hub.store.delete_run(run).await?;
    Ok(Change::json(Record::new("run.delete", run.to_string()).of_run(run), &()))
}

/// Cancels the call of a job.
pub(crate) async fn cancel_job(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let (hub, job) = job_of(&request)?;
    let changed = hub.store.cancel_job(hub.now(), job).await?;
    Ok(changed_job(hub, "job.cancel", job, changed).await)
}

/// Resets a job.
pub(crate) async fn reset_job(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let (hub, job) = job_of(&request)?;
    let changed = hub.store.reset_job(hub.now(), job).await?;
    Ok(changed_job(hub, "job.reset", job, changed).await)
}

fn run_of(request: &ChangeRequest) -> Result<(&Hub, RunId), ErrorReply> {
    Ok((&request.hub, parse_parameter(&request.parameter, "run id")?))
}

fn job_of(request: &ChangeRequest) -> Result<(&Hub, JobId), ErrorReply> {
    Ok((&request.hub, JobId(parse_parameter(&request.parameter, "job id")?)))
}

fn changed_run(action: &'static str, run: RunId, changed: Changed) -> Change {
    let record = Record::new(action, run.to_string()).of_run(run);
    Change::json(record.with_detail(json!({ "jobs": changed.jobs })), &changed)
}

/// The entry names the run of the job, unless it was deleted meanwhile or cannot be read: then it is recorded without.
async fn changed_job(hub: &Hub, action: &'static str, job: JobId, changed: Changed) -> Change {
    let run = hub.store.job(job).await.ok().flatten().map(|view| view.run);
    let record = Record::new(action, job.to_string()).with_detail(json!({ "jobs": changed.jobs }));
    Change::json(run.into_iter().fold(record, Record::of_run), &changed)
}
