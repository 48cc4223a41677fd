//! What the hub adds to the store's views, and the queries of lists.

use std::ops::RangeInclusive;

use bue_model::wire::{JobQuery, RunView, UnservedScope, WhyView};
use bue_model::{JobId, JobState, RunId, RunState};
use uuid::Uuid;

use crate::api::hub::Hub;
use crate::api::workers::Workers;
use crate::error::HubError;
use crate::http::reply::{ErrorReply, Refusals};
use crate::http::request::{query_flag, query_parameter};

/// The largest number of jobs on a page.
pub(super) const MAX_JOBS: u32 = 200;
/// Jobs on a page if the request names no number.
const DEFAULT_JOBS: u32 = 100;
/// Loops inside each other that `round` can name, which a plan bounds.
const MAX_DEPTH: usize = 64;
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

/// Returns what a job waits for, or how it ended. The store knows the former; the hub adds the time and the workers that could run it.
pub(crate) async fn explain_job(hub: &Hub, job: JobId) -> Result<WhyView, HubError> {
    let view = hub.store.why(job).await?.ok_or(HubError::JobNotFound(job))?;
    let served_by = hub.workers.serving(&view.scope);
    Ok(WhyView { now: hub.now(), served_by, ..view })
}

/// Returns those of the scopes with waiting jobs that no worker serves. A scope with a running job has one, perhaps at another hub,
/// and is not among them.
fn unserved(mut idle: Vec<UnservedScope>, workers: &Workers) -> Vec<UnservedScope> {
    idle.retain(|idle| !workers.is_served(&idle.scope));
    idle
}

/// Parses the first digits of a run's id, with or without hyphens, and returns the ids that begin with them.
pub(super) fn parse_prefix(text: &str) -> Result<RangeInclusive<RunId>, ErrorReply> {
    let digits: String = text.chars().filter(|char| *char != '-').collect();
    let bound = |fill: &str| Uuid::try_parse(&format!("{digits}{}", fill.repeat(32 - digits.len()))).ok().map(RunId);
    let is_length_valid = (MIN_PREFIX..=32).contains(&digits.len()) && digits.is_ascii();
    let bounds = is_length_valid.then(|| bound("0").zip(bound("f"))).flatten();
    let (first, last) = bounds.ok_or_else(|| {
        let message = format!("`{text}` is not the beginning of a run's id");
        ErrorReply::bad_request(message, "send 4 to 32 hexadecimal digits, with or without hyphens").about("id")
    })?;
    Ok(first..=last)
}

/// Reads the query of a list of jobs.
pub(super) fn job_query(query: Option<&str>) -> Result<JobQuery, ErrorReply> {
    let mut refusals = Refusals::default();
    let state =
        query_parameter::<String>(query, "state").and_then(|name| name.map(|name| parse_state(&name)).transpose());
    let rounds =
        query_parameter::<String>(query, "round").and_then(|text| text.map(|text| parse_rounds(&text)).transpose());
    let query = JobQuery {
        state: refusals.keep(state),
        rounds: refusals.keep(rounds).unwrap_or_default(),
        limit: refusals.keep(job_limit(query)),
        after: refusals.keep(query_parameter(query, "after")).map(JobId),
        digests: refusals.keep(query_flag(query, "digests")),
        step: refusals.keep(query_parameter(query, "step")),
    };
    refusals.finish()?;
    Ok(query)
}

fn job_limit(query: Option<&str>) -> Result<u32, ErrorReply> {
    match query_parameter::<u32>(query, "limit")?.unwrap_or(DEFAULT_JOBS) {
        0 => {
            Err(ErrorReply::bad_request("the limit is at least 1", "send a number from 1, or leave it out")
                .about("limit"))
        }
        limit => Ok(limit.min(MAX_JOBS)),
    }
}

/// Parses `3`, or `3.17` for a round of a loop inside a round.
fn parse_rounds(text: &str) -> Result<Vec<u64>, ErrorReply> {
    let rounds: Option<Vec<u64>> = text.split('.').map(|round| round.parse().ok().filter(|round| *round > 0)).collect();
    rounds.filter(|rounds| rounds.len() <= MAX_DEPTH).ok_or_else(|| {
        let shown: String = text.chars().take(100).collect();
        let hint = "send the number of a round from 1, as the jobs in the list have it; 3.17 is round 17 of a loop inside round 3";
        ErrorReply::bad_request(format!("`round`: `{shown}` is not a round"), hint).about("round")
    })
}

fn parse_state(name: &str) -> Result<JobState, ErrorReply> {
    JobState::ALL.into_iter().find(|state| state.name() == name).ok_or_else(|| {
        let names = JobState::ALL.map(JobState::name).join(", ");
        ErrorReply::bad_request(format!("`{name}` is not a state of jobs; those are {names}"), "").about("state")
    })
}

#[cfg(test)]
mod tests {
    use bue_model::Timestamp;
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
        let now = Timestamp(1);
        workers.record_request(&LeaseRequest { scopes: vec!["served".to_owned()], ..LeaseRequest::default() }, now);
        assert_eq!(unserved(vec![idle("heavy"), idle("served")], &workers), [idle("heavy")]);
        let abilities = WorkerAbilities { version: "1".to_owned(), ..WorkerAbilities::default() };
        let scopes = vec!["heavy".to_owned()];
        let request = LeaseRequest { scopes, abilities, worker: "w".to_owned(), ..LeaseRequest::default() };
        workers.record_request(&request, now);
        assert_eq!(unserved(vec![idle("heavy")], &workers), []);
    }
}
