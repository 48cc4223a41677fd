//! Publishing scripts, and starting runs of them by name.

use bue_model::param::{ParamError, RunTime};
use bue_model::pipeline::{MAX_BATCH, PipelineSummary, PipelineView, Publication, is_pipeline_name};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use jiff::tz::TimeZone;
use serde_json::json;

use crate::api::change::{Change, ChangeRequest, Record};
use crate::api::hub::{Hub, MAX_SUBMISSION};
use crate::error::HubError;
use crate::http::reply::{self, ErrorReply, FieldError};
use crate::http::request::{
    RequestBody, content_type, decode_json, decode_postcard, query_parameter, read_body, unsupported_type,
};
use crate::pipelines::request::InvocationRequest;

/// Bytes of an invocation. Larger values belong in the bucket, and their names in the parameters.
const MAX_INVOCATION: usize = 16 * 1024 * 1024;

/// Bytes of an invocation beyond which it is not parsed beside all other requests.
const LARGE_INVOCATION: usize = 64 * 1024;

/// Adds a version of a pipeline.
pub(super) async fn publish(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let ChangeRequest { hub, head, body, parameter: name, .. } = request;
    if !is_pipeline_name(&name) {
        return Err(HubError::BadPipelineName(name).into());
    }
    let body = read_body(body, MAX_SUBMISSION).await?;
    let publication: Publication = match content_type(&head.headers) {
        "application/json" => decode_json(&body)?,
        _ => decode_postcard(&head.headers, &body)?,
    };
    drop(body);
    let published = hub.store.publish(hub.now(), name.clone(), publication).await?;
    let detail = json!({ "version": published.version, "created": published.created });
    Ok(Change::json(Record::new("pipeline.publish", name).with_detail(detail), &published))
}

/// Returns the pipelines by name.
pub(crate) async fn list(hub: &Hub) -> Result<Vec<PipelineSummary>, ErrorReply> {
    Ok(hub.store.pipelines().await?)
}

/// Returns a pipeline with its versions and its latest runs.
pub(crate) async fn get(hub: &Hub, name: &str) -> Result<PipelineView, ErrorReply> {
    find(hub, name).await?.ok_or_else(|| HubError::PipelineNotFound(name.to_owned()).into())
}

/// Returns a pipeline as [`get`] does. `None` if there is none of this name.
pub(crate) async fn find(hub: &Hub, name: &str) -> Result<Option<PipelineView>, ErrorReply> {
    Ok(hub.store.pipeline(name.to_owned()).await?)
}

/// Removes a pipeline.
pub(crate) async fn unpublish(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let ChangeRequest { hub, parameter: name, .. } = request;
    hub.store.unpublish(name.clone()).await?;
    Ok(Change::json(Record::new("pipeline.unpublish", name), &()))
}

/// Starts a run. 201 with its address; with `wait_ms`, once it has ended or that time has passed.
pub(crate) async fn invoke(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let ChangeRequest { hub, head, body, parameter: pipeline, .. } = request;
    let wait_ms = query_parameter(head.uri.query(), "wait_ms")?.unwrap_or(0);
    let mut request = parsed(json_text(&head, body).await?, InvocationRequest::from_json).await?;
    if let Some(key) = idempotency_key(&head.headers)? {
        request.set_key(key).map_err(one_problem)?;
    }
    let invocation = request.invocation(&pipeline, run_time(&hub));
    let run = invocation.run;
    hub.store.invoke(hub.now(), vec![invocation]).await.map_err(|error| refused(error, |_| String::new()))?;
    Ok(Change::started(hub, Record::new("run.invoke", pipeline), run, wait_ms))
}

/// Starts up to a thousand runs, all of them or none.
pub(super) async fn invoke_batch(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let ChangeRequest { hub, head, body, parameter: pipeline, .. } = request;
    let text = json_text(&head, body).await?;
    let requests = parsed(text, |text| InvocationRequest::batch_from_json(text, MAX_BATCH)).await?;
    if requests.is_empty() && hub.store.pipeline(pipeline.clone()).await?.is_none() {
        return Err(HubError::PipelineNotFound(pipeline).into());
    }
    let time = run_time(&hub);
    let invocations = requests.into_iter().map(|request| request.invocation(&pipeline, time.clone())).collect();
    let invoked = hub.store.invoke(hub.now(), invocations).await;
    let invoked = invoked.map_err(|error| refused(error, |position| format!("runs[{position}].")))?;
    let ends = (invoked.first().map(|one| one.run), invoked.last().map(|one| one.run));
    let detail = json!({ "runs": invoked.len(), "first": ends.0, "last": ends.1 });
    let record = (!invoked.is_empty()).then(|| Record::new("runs.invoke", pipeline).with_detail(detail));
    let reply = reply::json(&invoked).map(|mut response| {
        *response.status_mut() = StatusCode::CREATED;
        response
    });
    Ok(Change::ready(record, reply))
}

/// The hub's time, when the run is accepted.
fn run_time(hub: &Hub) -> RunTime {
    let at = jiff::Timestamp::from_millisecond(hub.now().0).unwrap_or_default();
    RunTime { at, zone: TimeZone::UTC }
}

pub(super) async fn json_text(head: &Parts, body: RequestBody) -> Result<String, ErrorReply> {
    let body = read_body(body, MAX_INVOCATION).await?;
    match content_type(&head.headers) {
        "application/json" => {}
        "" if body.is_empty() => {}
        other => return Err(unsupported_type(other, "send application/json")),
    }
    String::from_utf8(body.into()).map_err(|_| ErrorReply::bad_request("the body is not UTF-8", "send JSON in UTF-8"))
}

/// Parses a request, in a thread of its own if that may take a while.
async fn parsed<T: Send + 'static>(
    text: String,
    parse: impl FnOnce(&str) -> Result<T, FieldError> + Send + 'static,
) -> Result<T, ErrorReply> {
    if text.len() <= LARGE_INVOCATION {
        return parse(&text).map_err(one_problem);
    }
    let parsed = tokio::task::spawn_blocking(move || parse(&text)).await;
    parsed.map_err(|error| HubError::damaged(format!("a request was not parsed: {error}")))?.map_err(one_problem)
}

pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, ErrorReply> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    match key.to_str() {
        Ok(key) => Ok(Some(key.to_owned())),
        Err(_) => Err(ErrorReply::bad_request("the header `Idempotency-Key` is not ASCII", "use letters and digits")),
    }
}

fn one_problem(problem: FieldError) -> ErrorReply {
    let message = format!("the invocation is invalid: `{}`: {}", problem.field, problem.message);
    let hint = "send {\"params\": {\"NAME\": VALUE}}; `priority` and `key` may be next to `params`";
    ErrorReply::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_params", message, hint).with_fields(vec![problem])
}

/// A refusal that has an entry for each parameter that does not fit. `prefix` says of which invocation.
pub(super) fn refused(error: HubError, prefix: impl Fn(usize) -> String) -> ErrorReply {
    let HubError::UnfitParams { position, errors } = &error else { return error.into() };
    let prefix = prefix(*position);
    let field = |ParamError { name, problem }: &ParamError| FieldError {
        field: format!("{prefix}{name}"),
        message: problem.to_string(),
    };
    let fields: Vec<FieldError> = errors.iter().map(field).collect();
    let all: Vec<_> = fields.iter().map(|one| format!("`{}`: {}", one.field, one.message)).collect();
    let message = format!("the parameters do not fit the pipeline: {}", all.join("; "));
    ErrorReply::from(error).with_message(message).with_fields(fields)
}
