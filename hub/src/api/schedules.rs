//! Schedules: setting, listing, pausing and running them, and backfills.

use std::collections::BTreeMap;

use bue_model::RunId;
use bue_model::schedule::{AppliedSchedule, ScheduleChange, SchedulePage, ScheduleView, ScheduledRun};
use bue_model::wire::FieldError;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::api::backfill_task::carry_on;
use crate::api::backfills::Occupied;
use crate::api::change::{Change, ChangeRequest, Record};
use crate::api::hub::Hub;
use crate::api::long_poll::wait_for_backfill;
use crate::api::pipelines::{idempotency_key, json_text};
use crate::error::HubError;
use crate::http::reply::{ErrorReply, Refusals, json};
use crate::http::request::query_parameter;
use crate::schedules::MAX_PAGE;
use crate::schedules::backfill::Backfill;
use crate::schedules::ids::run_of_key;
use crate::schedules::request::{NAME_RULE, ScheduleAction, ScheduleUpdate, UpdateMode, is_schedule_name};
use crate::schedules::spec::ScheduleSpec;

/// Characters of a key.
const MAX_KEY: usize = 255;
/// Schedules that one entry of the audit names.
const MAX_NAMED: usize = 20;

/// The latest runs of a schedule, by their due times, the last one first.
#[derive(Debug, Serialize)]
pub(crate) struct ScheduleRuns {
    pub(crate) runs: Vec<ScheduledRun>,
}

/// Returns a page of the schedules.
pub(crate) async fn list(hub: &Hub, query: Option<&str>) -> Result<SchedulePage, ErrorReply> {
    let mut refusals = Refusals::default();
    let after = refusals.keep(query_parameter(query, "after")).unwrap_or_default();
    let limit = refusals.keep(page_limit(query));
    refusals.finish()?;
    Ok(hub.store.schedules(after, limit).await?)
}

/// Returns the largest number of entries of a page.
fn page_limit(query: Option<&str>) -> Result<u32, ErrorReply> {
    match query_parameter(query, "limit")? {
        Some(0) => Err(ErrorReply::bad_request("`limit` is 0", "send a number from 1, or leave it out").about("limit")),
        limit => Ok(limit.unwrap_or(MAX_PAGE)),
    }
}

/// Creates or changes a schedule.
pub(super) async fn put(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let ChangeRequest { hub, head, body, parameter: name, .. } = request;
    if !is_schedule_name(&name) {
        let message = format!("`{name}` cannot be the name of a schedule");
        return Err(ErrorReply::new(StatusCode::BAD_REQUEST, "bad_name", message, NAME_RULE));
    }
    let spec = parsed(json_text(&head, body).await?, ScheduleSpec::from_json).await?;
    let applied = hub.store.put_schedules(hub.now(), ScheduleUpdate::one(name.clone(), spec)).await;
    let applied = applied.map_err(|error| refused(error, |_| String::new()))?;
    let detail = serde_json::json!({ "change": applied.first().map(|one| one.change.name()) });
    Ok(Change::json(Record::new("schedule.put", name).with_detail(detail), &applied.first()))
}

/// Sets many schedules, all of them or none.
pub(super) async fn apply(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let ChangeRequest { hub, head, body, .. } = request;
    let update = parsed(json_text(&head, body).await?, ScheduleUpdate::from_json).await?;
    let is_applied = update.mode == UpdateMode::Apply;
    let applied = hub.store.put_schedules(hub.now(), update).await;
    let applied = applied.map_err(|error| refused(error, |schedule| format!("{schedule}.")))?;
    let record = is_applied.then(|| Record::new("schedules.apply", "").with_detail(applied_detail(&applied)));
    Ok(Change::ready(record, json(&applied)))
}

/// What the audit says of many schedules: how many there are of each change, and the first of those that differ.
fn applied_detail(applied: &[AppliedSchedule]) -> Value {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for one in applied {
        *counts.entry(one.change.name()).or_default() += 1;
    }
    let differing = applied.iter().filter(|one| one.change != ScheduleChange::Unchanged);
    let names: Vec<&str> = differing.take(MAX_NAMED).map(|one| one.name.as_str()).collect();
    serde_json::json!({ "counts": counts, "schedules": names })
}

/// Returns a schedule.
pub(crate) async fn get(hub: &Hub, name: &str) -> Result<ScheduleView, ErrorReply> {
    let schedule = hub.store.schedule(name.to_owned()).await?;
    Ok(schedule.ok_or_else(|| HubError::ScheduleNotFound(name.to_owned()))?)
}

/// Returns the latest runs of a schedule.
pub(crate) async fn runs(hub: &Hub, name: &str, query: Option<&str>) -> Result<ScheduleRuns, ErrorReply> {
    let limit = page_limit(query)?;
    get(hub, name).await?;
    Ok(ScheduleRuns { runs: hub.store.schedule_runs(name.to_owned(), limit).await? })
}

/// Pauses, resumes or removes a schedule.
pub(crate) async fn change(request: ChangeRequest, action: ScheduleAction) -> Result<Change, ErrorReply> {
    let ChangeRequest { hub, parameter: name, .. } = request;
    hub.store.change_schedule(hub.now(), name.clone(), action).await?;
    let done = match action {
        ScheduleAction::Pause => "schedule.pause",
        ScheduleAction::Resume => "schedule.resume",
        ScheduleAction::Remove => "schedule.remove",
    };
    Ok(Change::json(Record::new(done, name), &()))
}

/// Starts a run of a schedule now. 201 with its address; with `wait_ms`, once it has ended or that time has passed.
pub(crate) async fn run(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let ChangeRequest { hub, head, parameter: name, .. } = request;
    let wait_ms = query_parameter(head.uri.query(), "wait_ms")?.unwrap_or(0);
    let run = match idempotency_key(&head.headers)? {
        Some(key) if key.is_empty() || key.len() > MAX_KEY => {
            let message = format!("the header `Idempotency-Key` has not 1 to {MAX_KEY} characters");
            return Err(ErrorReply::bad_request(message, "choose another key"));
        }
        Some(key) => run_of_key(&name, &key),
        None => random_id(),
    };
    let started = hub.store.run_schedule(hub.now(), name.clone(), run).await;
    started.map_err(|error| refused(error, |_| String::new()))?;
    Ok(Change::started(hub, Record::new("schedule.run", name), run, wait_ms))
}

/// Starts the next runs of a backfill. With `wait_ms`, answers once one of its runs has ended or that time has passed.
pub(crate) async fn backfill(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let ChangeRequest { hub, head, body, parameter: name, .. } = request;
    let backfill = parsed(json_text(&head, body).await?, Backfill::from_json).await?;
    let wait_ms = query_parameter(head.uri.query(), "wait_ms")?.unwrap_or(0);
    let progress = hub.store.backfill(hub.now(), name.clone(), backfill.clone()).await.map_err(refused_backfill)?;
    let detail = serde_json::json!({ "first": progress.first, "last": progress.last, "due": progress.due });
    let record = Record::new("schedule.backfill", name.clone()).with_detail(detail);
    Ok(Change::later(record, async move {
        let progress = wait_for_backfill(&hub, &name, backfill, wait_ms).await;
        json(&progress.map_err(refused_backfill)?)
    }))
}

/// Starts the next runs of a backfill, and lets the hub carry it on: for people, who do not send requests until it is over.
pub(crate) async fn begin_backfill(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let ChangeRequest { hub, head, body, parameter: name, .. } = request;
    let backfill = parsed(json_text(&head, body).await?, Backfill::from_json).await?;
    expect_no_backfill(&hub, &name)?;
    let progress = hub.store.backfill(hub.now(), name.clone(), backfill.clone()).await.map_err(refused_backfill)?;
    carry_on(&hub, &name, backfill).map_err(occupied)?;
    let detail = serde_json::json!({ "first": progress.first, "last": progress.last, "due": progress.due });
    Ok(Change::json(Record::new("schedule.backfill", name).with_detail(detail), &progress))
}

/// Ends a backfill that the hub carries on. The runs that it has started go on.
pub(crate) async fn stop_backfill(request: ChangeRequest) -> Result<Change, ErrorReply> {
    let ChangeRequest { hub, parameter: name, .. } = request;
    get(&hub, &name).await?;
    let record = hub.backfills.stop(&name).then(|| Record::new("schedule.backfill_stop", name));
    Ok(Change::ready(record, json(&())))
}

fn expect_no_backfill(hub: &Hub, name: &str) -> Result<(), ErrorReply> {
    if hub.backfills.is_active(name) { Err(occupied(Occupied::BySchedule)) } else { Ok(()) }
}

fn occupied(occupied: Occupied) -> ErrorReply {
    let (message, hint) = match occupied {
        Occupied::BySchedule => {
            ("this schedule has a backfill that is not over", "stop that one, or wait until it is over")
        }
        Occupied::ByOthers => {
            ("the hub carries on as many backfills as it can", "wait until one is over, or use `bue schedule backfill`")
        }
    };
    ErrorReply::new(StatusCode::CONFLICT, "backfill_active", message, hint)
}

/// Why a backfill cannot go on.
fn refused_backfill(error: HubError) -> ErrorReply {
    refused(error, |_| String::new())
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
