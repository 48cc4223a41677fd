//! Schedules: setting, listing, pausing and running them, and backfills.

use bue_model::RunId;
use bue_model::pipeline::Invoked;
use bue_model::wire::FieldError;
use http::request::Parts;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use uuid::Uuid;

use crate::api::hub::Hub;
use crate::api::long_poll::{wait_for_backfill, wait_for_end};
use crate::api::pipelines::{created, idempotency_key, json_text};
use crate::error::HubError;
use crate::http::reply::{Body, ErrorReply, json};
use crate::http::request::query_parameter;
use crate::schedules::MAX_PAGE;
use crate::schedules::backfill::Backfill;
use crate::schedules::ids::run_of_key;
use crate::schedules::request::{NAME_RULE, ScheduleAction, ScheduleUpdate, is_schedule_name};
use crate::schedules::spec::ScheduleSpec;

/// Characters of a key.
const MAX_KEY: usize = 255;

/// Returns a page of the schedules.
pub(super) async fn list(hub: &Hub, query: Option<&str>) -> Result<Response<Body>, ErrorReply> {
    let after = query_parameter(query, "after")?.unwrap_or_default();
    let limit = query_parameter(query, "limit")?.unwrap_or(MAX_PAGE);
    json(&hub.store.schedules(after, limit).await?)
}

/// Creates or changes a schedule.
pub(super) async fn put(hub: &Hub, head: &Parts, body: Incoming, name: &str) -> Result<Response<Body>, ErrorReply> {
    if !is_schedule_name(name) {
        let message = format!("`{name}` cannot be the name of a schedule");
        return Err(ErrorReply::new(StatusCode::BAD_REQUEST, "bad_name", message, NAME_RULE));
    }
    let spec = parsed(json_text(head, body).await?, ScheduleSpec::from_json).await?;
    let applied = hub.store.put_schedules(hub.now(), ScheduleUpdate::one(name.to_owned(), spec)).await;
    let applied = applied.map_err(|error| refused(error, |_| String::new()))?;
    json(&applied.first())
}

/// Sets many schedules, all of them or none.
pub(super) async fn apply(hub: &Hub, head: &Parts, body: Incoming) -> Result<Response<Body>, ErrorReply> {
    let update = parsed(json_text(head, body).await?, ScheduleUpdate::from_json).await?;
    let applied = hub.store.put_schedules(hub.now(), update).await;
    json(&applied.map_err(|error| refused(error, |schedule| format!("{schedule}.")))?)
}

/// Returns a schedule.
pub(super) async fn get(hub: &Hub, name: &str) -> Result<Response<Body>, ErrorReply> {
    let schedule = hub.store.schedule(name.to_owned()).await?;
    json(&schedule.ok_or_else(|| HubError::ScheduleNotFound(name.to_owned()))?)
}

/// Pauses, resumes or removes a schedule.
pub(super) async fn change(hub: &Hub, name: &str, action: ScheduleAction) -> Result<Response<Body>, ErrorReply> {
    json(&hub.store.change_schedule(hub.now(), name.to_owned(), action).await?)
}

/// Starts a run of a schedule now. 201 with its address; with `wait_ms`, once it has ended or that time has passed.
pub(super) async fn run(hub: &Hub, head: &Parts, name: &str) -> Result<Response<Body>, ErrorReply> {
    let wait_ms = query_parameter(head.uri.query(), "wait_ms")?.unwrap_or(0);
    let run = match idempotency_key(&head.headers)? {
        Some(key) if key.is_empty() || key.len() > MAX_KEY => {
            let message = format!("the header `Idempotency-Key` has not 1 to {MAX_KEY} characters");
            return Err(ErrorReply::bad_request(message, "choose another key"));
        }
        Some(key) => run_of_key(name, &key),
        None => random_id(),
    };
    let started = hub.store.run_schedule(hub.now(), name.to_owned(), run).await;
    started.map_err(|error| refused(error, |_| String::new()))?;
    let state = wait_for_end(hub, run, wait_ms).await?;
    created(run, &Invoked { run, state })
}

/// Starts the next runs of a backfill. With `wait_ms`, answers once one of its runs has ended or that time has passed.
pub(super) async fn backfill(
    hub: &Hub,
    head: &Parts,
    body: Incoming,
    name: &str,
) -> Result<Response<Body>, ErrorReply> {
    let backfill = parsed(json_text(head, body).await?, Backfill::from_json).await?;
    let wait_ms = query_parameter(head.uri.query(), "wait_ms")?.unwrap_or(0);
    let progress = wait_for_backfill(hub, name, backfill, wait_ms).await;
    json(&progress.map_err(|error| refused(error, |_| String::new()))?)
}

/// An id that no other run has.
#[expect(clippy::disallowed_methods, reason = "a caller that chooses no key wants a new run for every request")]
fn random_id() -> RunId {
    RunId(Uuid::new_v4())
}

/// Parses a request, in a thread of its own: to search for the due times of a rare schedule takes a while.
async fn parsed<T: Send + 'static>(
    text: String,
    parse: impl FnOnce(&str) -> Result<T, Vec<FieldError>> + Send + 'static,
) -> Result<T, ErrorReply> {
    let parsed = tokio::task::spawn_blocking(move || parse(&text)).await;
    parsed.map_err(|error| HubError::damaged(format!("a request was not parsed: {error}")))?.map_err(invalid)
}

/// A refusal that has an entry for each field that is wrong. `prefix` says of which schedule.
fn refused(error: HubError, prefix: impl Fn(&str) -> String) -> ErrorReply {
    let HubError::UnfitSchedule { schedule, fields } = error else { return error.into() };
    let prefix = prefix(&schedule);
    let prefixed = |one: FieldError| FieldError { field: format!("{prefix}{}", one.field), ..one };
    invalid(fields.into_iter().map(prefixed).collect())
}

fn invalid(fields: Vec<FieldError>) -> ErrorReply {
    let all: Vec<_> = fields.iter().map(|one| format!("`{}`: {}", one.field, one.message)).collect();
    let message = format!("the request is invalid: {}", all.join("; "));
    let hint = "docs/schedules.md describes the fields";
    ErrorReply::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_schedule", message, hint).with_fields(fields)
}
