//! What the hub adds to the store's views, and the queries of lists.

use std::ops::RangeInclusive;

use bue_model::wire::{JobQuery, RunView, UnservedScope};
use bue_model::{JobId, JobState, RunId, RunState};
use uuid::Uuid;

use crate::api::hub::Hub;
use crate::api::workers::Workers;
use crate::error::HubError;
use crate::http::reply::ErrorReply;
use crate::http::request::query_parameter;

/// The largest number of runs in a list, and the number if the request names none.
pub(super) const MAX_RUNS: u32 = 100;
/// The largest number of jobs on a page.
pub(super) const MAX_JOBS: u32 = 200;
/// Jobs on a page if the request names no number.
const DEFAULT_JOBS: u32 = 100;
/// The fewest hexadecimal digits that name a run.
pub(super) const MIN_PREFIX: usize = 4;

/// Adds the time, the estimated end, and the scopes without a worker. The view of a run that has ended does not change.
pub(super) fn complete_view(hub: &Hub, view: RunView) -> RunView {
    if view.state != RunState::Running {
        return RunView { now: view.finished_at.unwrap_or(view.created_at), unserved: Vec::new(), ..view };
    }
    let now = hub.now();
    let eta = hub.progress.eta(now, &view);
    RunView { now, eta, unserved: unserved(view.unserved, &hub.workers), ..view }
}

/// Returns those of the scopes with waiting jobs that no worker serves. A scope with a running job has one, perhaps at another hub,
/// and is not among them.
fn unserved(mut idle: Vec<UnservedScope>, workers: &Workers) -> Vec<UnservedScope> {
    idle.retain(|idle| !workers.is_served(&idle.scope));
    idle
}

/// Returns the runs that a request asks for: the latest, or those whose ids begin with `id`.
pub(super) async fn list_runs(hub: &Hub, query: Option<&str>) -> Result<Vec<RunView>, ErrorReply> {
    let limit = query_parameter(query, "limit")?.unwrap_or(MAX_RUNS).min(MAX_RUNS);
    let runs = match query_parameter::<String>(query, "id")? {
        Some(prefix) => hub.store.runs_in(parse_prefix(&prefix)?, limit).await?,
        None => hub.store.runs(limit).await?,
    };
    Ok(runs.into_iter().map(|view| complete_view(hub, view)).collect())
}

/// Parses the first digits of a run's id, with or without hyphens, and returns the ids that begin with them.
fn parse_prefix(text: &str) -> Result<RangeInclusive<RunId>, ErrorReply> {
    let digits: String = text.chars().filter(|char| *char != '-').collect();
    let bound = |fill: &str| Uuid::try_parse(&format!("{digits}{}", fill.repeat(32 - digits.len()))).ok().map(RunId);
    let is_length_valid = (MIN_PREFIX..=32).contains(&digits.len()) && digits.is_ascii();
    let bounds = is_length_valid.then(|| bound("0").zip(bound("f"))).flatten();
    let (first, last) = bounds.ok_or_else(|| {
        let message = format!("`{text}` is not the beginning of a run's id");
        ErrorReply::bad_request(message, "send 4 to 32 hexadecimal digits, with or without hyphens")
    })?;
    Ok(first..=last)
}

/// Reads the query of a list of jobs.
pub(super) fn job_query(query: Option<&str>) -> Result<JobQuery, ErrorReply> {
    let state = query_parameter::<String>(query, "state")?.map(|name| parse_state(&name)).transpose()?;
    let limit: u32 = query_parameter(query, "limit")?.unwrap_or(DEFAULT_JOBS);
    if limit == 0 {
        return Err(HubError::BadRequest("the limit is at least 1".to_owned()).into());
    }
    let after = query_parameter(query, "after")?.map(JobId);
    let digests = query_parameter::<u8>(query, "digests")?.is_some_and(|digests| digests != 0);
    Ok(JobQuery { step: query_parameter(query, "step")?, state, after, limit: limit.min(MAX_JOBS), digests })
}

fn parse_state(name: &str) -> Result<JobState, ErrorReply> {
    JobState::ALL.into_iter().find(|state| state.name() == name).ok_or_else(|| {
        let names = JobState::ALL.map(JobState::name).join(", ");
        ErrorReply::bad_request(format!("`{name}` is not a state of jobs; those are {names}"), "")
    })
}

#[cfg(test)]
mod tests {
    use bue_model::wire::{LeaseRequest, WorkerAbilities};

    use super::*;

    #[test]
    fn a_prefix_is_a_range_of_ids() {
        let range = parse_prefix("00Ff-1").expect("a range");
        assert_eq!(range.start().to_string(), "00ff1000-0000-0000-0000-000000000000");
        assert_eq!(range.end().to_string(), "00ff1fff-ffff-ffff-ffff-ffffffffffff");
        let whole = "00ff1000-0000-4000-8000-000000000001";
        let range = parse_prefix(whole).expect("a range");
        assert_eq!((range.start().to_string(), range.start()), (whole.to_owned(), range.end()));
        for text in ["", "abc", "a-b-c-", "xyzw", "é000", &"0".repeat(33)] {
            assert!(parse_prefix(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_scope_is_unserved_if_no_worker_asks_for_it() {
        let idle = |scope: &str| UnservedScope { scope: scope.to_owned(), steps: Vec::new(), more_steps: 1, jobs: 7 };
        let workers = Workers::default();
        workers.record_request(&LeaseRequest { scopes: vec!["served".to_owned()], ..LeaseRequest::default() });
        assert_eq!(unserved(vec![idle("heavy"), idle("served")], &workers), [idle("heavy")]);
        let abilities = WorkerAbilities { version: "1".to_owned(), ..WorkerAbilities::default() };
        let scopes = vec!["heavy".to_owned()];
        workers.record_request(&LeaseRequest { scopes, abilities, worker: "w".to_owned(), ..LeaseRequest::default() });
        assert_eq!(unserved(vec![idle("heavy")], &workers), []);
    }
}
