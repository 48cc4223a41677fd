//! Results, arguments and logs: as messages for our own programs, and as JSON or text for clients that accept it.

use std::sync::Arc;

use bue_model::wire::{CONTENT_TYPE, FailedJob, JobView, LeaseBatch, ResultCursor, ResultPage};
use bue_model::{
    ArgumentSummary, Bundle, CallState, Failure, JobId, JobState, Round, RoundCounts, RunId, RunState, ValueRef,
};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use serde::Serialize;

use crate::api::hub::Hub;
use crate::api::json_values::{JsonText, ValueForm, blob_json};
use crate::api::log_stream::follow_job;
use crate::api::log_watches::Follower;
use crate::error::HubError;
use crate::http::reply::{Body, ErrorReply, Refusals, json, postcard, typed};
use crate::http::request::{accepts, query_flag, query_parameter};
use crate::store::JobResult;

/// A page of results.
#[derive(Debug, Serialize)]
pub(crate) struct ResultsJson {
    pub(crate) run: RunId,
    pub(crate) state: RunState,
    pub(crate) results: Vec<CallJson>,
    pub(crate) failed: Vec<FailedJson>,
    pub(crate) next: Option<String>,
}

/// The result of a call statement, or the part of it that is on a page.
#[derive(Debug, Serialize)]
pub(crate) struct CallJson {
    /// The number of call statements before it.
    call: u32,
    line: u32,
    name: Option<String>,
    used: bool,
    state: &'static str,
    value: JsonText,
    #[serde(skip_serializing_if = "Option::is_none")]
    rounds: Option<RoundCounts>,
    /// The number of rounds of its outermost loop on earlier pages.
    first_round: u64,
}

/// A job that failed finally.
#[derive(Debug, Serialize)]
pub(crate) struct FailedJson {
    job: JobId,
    step: String,
    line: u32,
    rounds: Vec<Round>,
    arguments: Vec<ArgumentSummary>,
    attempts: u32,
    worker: Option<String>,
    failure: Failure,
}

/// The result of a job.
#[derive(Debug, Serialize)]
pub(crate) struct JobResultJson {
    job: JobId,
    run: RunId,
    step: String,
    state: JobState,
    value: Option<JsonText>,
    failure: Option<Failure>,
}

/// What a job is called with.
#[derive(Debug, Serialize)]
pub(crate) struct InputsJson {
    job: JobId,
    run: RunId,
    step: String,
    inputs: Vec<JsonText>,
    keywords: Option<JsonText>,
    env: Option<JsonText>,
}

/// What the last attempt of a job printed.
#[derive(Debug, Serialize)]
pub(crate) struct LogJson {
    job: JobId,
    lines: Vec<LineJson>,
    /// Where the log is, if the hub does not have it.
    blob: Option<serde_json::Value>,
}

#[derive(Debug, Serialize)]
struct LineJson {
    at: Option<i64>,
    text: String,
}

/// Returns whether a client wants JSON. Without a wish it gets messages, as clients of earlier releases do.
fn wants_json(headers: &HeaderMap) -> bool {
    accepts(headers, "application/json") && !accepts(headers, CONTENT_TYPE)
}

/// Returns a page of a run's results.
pub(super) async fn results(hub: &Hub, head: &Parts, run: RunId) -> Result<Response<Body>, ErrorReply> {
    let query = head.uri.query();
    if wants_json(&head.headers) {
        return json(&results_as_json(hub, query, run).await?);
    }
    // a parameter that is wrong is refused in every format
    value_form(query)?;
    let (page, _) = result_page(hub, query, run).await?;
    postcard(&page)
}

/// Returns a page of a run's results as JSON.
pub(crate) async fn results_as_json(hub: &Hub, query: Option<&str>, run: RunId) -> Result<ResultsJson, ErrorReply> {
    let form = value_form(query)?;
    let (page, cursor) = result_page(hub, query, run).await?;
    converted(move || results_json(form, run, cursor, page)).await
}

async fn result_page(hub: &Hub, query: Option<&str>, run: RunId) -> Result<(ResultPage, ResultCursor), ErrorReply> {
    let cursor = result_cursor(query)?;
    let page = hub.store.results(run, cursor).await?.ok_or(HubError::RunNotFound(run))?;
    Ok((page, cursor))
}

fn result_cursor(query: Option<&str>) -> Result<ResultCursor, ErrorReply> {
    let mut refusals = Refusals::default();
    let after: Option<String> = refusals.keep(query_parameter(query, "after"));
    let call = refusals.keep(query_parameter(query, "call"));
    let round = refusals.keep(query_parameter(query, "round"));
    refusals.finish()?;
    match (after, call, round) {
        (Some(after), None, None) => read_cursor(&after),
        (Some(_), _, _) => {
            let message = "`after` names a call and a round, so `call` and `round` cannot be there too";
            let hint = "send `after` alone, with the `next` of the page before";
            Err(ErrorReply::bad_request(message, hint).about("after"))
        }
        (None, call, round) => Ok(ResultCursor { call: call.unwrap_or(0), round: round.unwrap_or(0) }),
    }
}

/// Returns the result of a job.
pub(crate) async fn result(hub: &Hub, query: Option<&str>, job: JobId) -> Result<JobResultJson, ErrorReply> {
    let form = value_form(query)?;
    let result = hub.store.job_result(job).await?.ok_or(HubError::JobNotFound(job))?;
    converted(move || job_result_json(form, result)).await
}

/// Returns what a job is called with.
pub(crate) async fn inputs(hub: &Hub, query: Option<&str>, job: JobId) -> Result<InputsJson, ErrorReply> {
    let form = value_form(query)?;
    let task = hub.store.task(job).await?.ok_or(HubError::JobNotFound(job))?;
    converted(move || inputs_json(form, &task)).await
}

/// Returns the code of a job's step. `None` if the hub cannot read it, or the job is not ready.
pub(crate) async fn code_of(hub: &Hub, job: JobId) -> Option<Arc<Bundle>> {
    // a traceback is readable without it, so that an error is no reason to show nothing
    let task = hub.store.task(job).await.ok().flatten()?;
    hub.bundles.get(task.steps.first()?.code).await
}

/// Returns the log of a job's last attempt, or follows the job.
pub(super) async fn log(hub: &Hub, head: &Parts, job: JobId, follower: Follower) -> Result<Response<Body>, ErrorReply> {
    if query_flag(head.uri.query(), "follow")? {
        return follow_job(hub, job, follower).await;
    }
    let log = stored_log(hub, job).await?;
    if wants_json(&head.headers) {
        return json(&converted(move || log_json(job, log)).await?);
    }
    if accepts(&head.headers, "text/plain") && !accepts(&head.headers, CONTENT_TYPE) {
        return text_log(job, log);
    }
    postcard(&log)
}

/// Returns the log of a job's last attempt, as it is stored; `None` if it printed nothing.
pub(crate) async fn stored_log(hub: &Hub, job: JobId) -> Result<Option<ValueRef>, ErrorReply> {
    Ok(hub.store.log(job).await?.ok_or(HubError::JobNotFound(job))?)
}

/// Converts values in a thread of its own: a page has megabytes.
async fn converted<T: Send + 'static>(
    convert: impl FnOnce() -> Result<T, HubError> + Send + 'static,
) -> Result<T, ErrorReply> {
    let converted = tokio::task::spawn_blocking(convert).await;
    Ok(converted.map_err(|error| HubError::damaged(format!("values were not converted: {error}")))??)
}

fn value_form(query: Option<&str>) -> Result<ValueForm, ErrorReply> {
    match query_parameter::<String>(query, "values")?.as_deref() {
        None | Some("json") => Ok(ValueForm::Json),
        Some("cbor") => Ok(ValueForm::Cbor),
        Some(_) => {
            let message = "`values`: there are `json` and `cbor`";
            Err(ErrorReply::bad_request(message, "send one of them, or leave it out").about("values"))
        }
    }
}

fn read_cursor(text: &str) -> Result<ResultCursor, ErrorReply> {
    let cursor = text
        .split_once('.')
        .and_then(|(call, round)| Some(ResultCursor { call: call.parse().ok()?, round: round.parse().ok()? }));
    cursor.ok_or_else(|| {
        let shown: String = text.chars().take(100).collect();
        let hint = "leave it out to begin with the first result";
        ErrorReply::bad_request(format!("`after`: `{shown}` is not the `next` of an earlier page"), hint).about("after")
    })
}

fn results_json(form: ValueForm, run: RunId, cursor: ResultCursor, page: ResultPage) -> Result<ResultsJson, HubError> {
    let calls = (cursor.call..).zip(page.results).map(|(call, result)| {
        let mut state = CallState::default();
        state.add(&result.value);
        Ok(CallJson {
            call,
            line: result.line,
            name: result.name,
            used: result.is_used,
            state: state.name(),
            value: form.rounds(&result.value)?,
            rounds: state.rounds(),
            first_round: if call == cursor.call { cursor.round } else { 0 },
        })
    });
    Ok(ResultsJson {
        run,
        state: page.state,
        results: calls.collect::<Result<_, HubError>>()?,
        failed: page.failed.into_iter().map(failed_json).collect(),
        next: page.next.map(|next| format!("{}.{}", next.call, next.round)),
    })
}

fn failed_json(failed: FailedJob) -> FailedJson {
    let FailedJob { job, step, line, rounds, arguments, attempts, worker, failure, log: _ } = failed;
    FailedJson { job, step, line, rounds, arguments, attempts, worker, failure }
}

fn job_result_json(form: ValueForm, JobResult { job, value }: JobResult) -> Result<JobResultJson, HubError> {
    let JobView { id, run, step, state, failure, .. } = job;
    let value = value.map(|value| form.value(&value)).transpose()?;
    Ok(JobResultJson { job: id, run, step, state, value, failure })
}

fn inputs_json(form: ValueForm, task: &LeaseBatch) -> Result<InputsJson, HubError> {
    let (lease, step) =
        task.leases.first().zip(task.steps.first()).ok_or_else(|| HubError::damaged("an empty task"))?;
    Ok(InputsJson {
        job: lease.job,
        run: lease.run,
        step: step.name.clone(),
        inputs: lease.inputs.iter().map(|input| form.input(input)).collect::<Result<_, _>>()?,
        keywords: step.keywords.as_deref().map(|bytes| form.bytes(bytes)).transpose()?,
        env: lease.env.as_deref().map(|bytes| form.bytes(bytes)).transpose()?,
    })
}

fn log_json(job: JobId, log: Option<ValueRef>) -> Result<LogJson, HubError> {
    let (lines, blob) = match log {
        None => (Vec::new(), None),
        Some(ValueRef::Inline(bytes)) => (String::from_utf8_lossy(&bytes).lines().map(line_json).collect(), None),
        Some(ValueRef::Blob(blob)) => (Vec::new(), Some(blob_json(&blob))),
        Some(ValueRef::List(_)) => return Err(HubError::damaged("a log is a list")),
    };
    Ok(LogJson { job, lines, blob })
}

/// A line begins with its time.
fn line_json(line: &str) -> LineJson {
    let timed = line.split_once(' ').and_then(|(at, text)| Some((at.parse::<jiff::Timestamp>().ok()?, text)));
    match timed {
        Some((at, text)) => LineJson { at: Some(at.as_millisecond()), text: text.to_owned() },
        None => LineJson { at: None, text: line.to_owned() },
    }
}

fn text_log(job: JobId, log: Option<ValueRef>) -> Result<Response<Body>, ErrorReply> {
    const TEXT: &str = "text/plain; charset=utf-8";
    match log {
        None => Ok(typed(TEXT, "")),
        Some(ValueRef::Inline(bytes)) => Ok(typed(TEXT, bytes)),
        Some(ValueRef::Blob(blob)) => {
            let message = format!("the log of job {job} has {} bytes and is in the bucket", blob.len);
            let hint =
                "with `Accept: application/json` the answer has its hash; GET /v1/blobs/HASH of the bucket returns it";
            Err(ErrorReply::new(StatusCode::CONFLICT, "in_bucket", message, hint))
        }
        Some(ValueRef::List(_)) => Err(HubError::damaged("a log is a list").into()),
    }
}
