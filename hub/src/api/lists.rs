//! The lists of runs and of failed jobs.

use bue_model::RunId;
use bue_model::failed_jobs::{FailedJobPage, FailureGroupPage};
use bue_model::wire::{JobPage, JobQuery, JobView, RunPage, RunView, WorkerView};
use http::StatusCode;
use tokio::time::Instant;

use crate::api::filters::{FilterReader, MAX_PAGE, RunFields};
use crate::api::hub::Hub;
use crate::api::parameters::Parameters;
use crate::api::views::{complete_view, job_query, parse_prefix};
use crate::error::HubError;
use crate::http::reply::ErrorReply;
use crate::jobs::views::failed_list::FailedQuery;
use crate::jobs::views::run_list::RunQuery;

/// What the parameters of a query begin with that name a parameter of a script.
const PARAM_PREFIX: &str = "param.";

/// Returns a page of runs.
pub(crate) async fn list_runs(hub: &Hub, query: Option<&str>) -> Result<RunPage, ErrorReply> {
    let mut reader = FilterReader::new(hub.now(), "");
    let mut parameters = Parameters::read(query, &mut reader)?;
    if let Some(prefix) = parameters.single.remove("id") {
        return list_by_id(hub, &prefix, parameters, reader).await;
    }
    let (after, limit) = (parameters.take("after"), parameters.take("limit"));
    let (after, limit) = (reader.position("after", after.as_deref()), reader.limit(limit.as_deref()));
    let query = reader.runs(run_fields(parameters));
    reader.finish(StatusCode::BAD_REQUEST)?;
    let list = hub.store.run_page(RunQuery { after, limit, ..query }).await?;
    let runs = list.runs.into_iter().map(|listed| complete_view(hub, listed.run)).collect();
    Ok(RunPage { runs, next: list.next.map(|next| next.to_string()) })
}

/// Returns a run with its steps. `None` if there is no such run.
pub(crate) async fn find_run(hub: &Hub, run: RunId) -> Result<Option<RunView>, ErrorReply> {
    Ok(hub.store.run(run).await?.map(|view| complete_view(hub, view)))
}

/// Returns the runs whose ids begin with some digits.
async fn list_by_id(
    hub: &Hub,
    prefix: &str,
    mut parameters: Parameters,
    mut reader: FilterReader,
) -> Result<RunPage, ErrorReply> {
    let limit = parameters.take("limit");
    let limit = reader.limit(limit.as_deref());
    if !parameters.single.is_empty() || !parameters.states.is_empty() {
        reader.refuse("id", "it cannot be combined with other filters; leave them out");
    }
    reader.finish(StatusCode::BAD_REQUEST)?;
    let runs = hub.store.runs_in(parse_prefix(prefix)?, limit).await?;
    Ok(RunPage { runs: runs.into_iter().map(|view| complete_view(hub, view)).collect(), next: None })
}

/// Returns a page of the jobs of a run.
pub(crate) async fn list_jobs(hub: &Hub, query: Option<&str>, run: RunId) -> Result<JobPage, ErrorReply> {
    list_jobs_of(hub, run, job_query(query)?).await
}

/// Returns a page of the jobs of a run.
pub(crate) async fn list_jobs_of(hub: &Hub, run: RunId, query: JobQuery) -> Result<JobPage, ErrorReply> {
    Ok(hub.store.jobs(run, query).await?.ok_or(HubError::RunNotFound(run))?)
}

/// Returns jobs that workers hold, of all runs: those whose leases end last, in the order of their numbers.
pub(crate) async fn list_running_jobs(hub: &Hub, limit: u32) -> Result<Vec<JobView>, ErrorReply> {
    Ok(hub.store.running_jobs(limit).await?)
}

/// Returns the workers that asked for jobs in the last minute, by name.
pub(crate) fn list_workers(hub: &Hub) -> Vec<WorkerView> {
    hub.workers.views(hub.now())
}

/// Failed jobs one by one, or in groups.
pub(crate) enum Errors {
    Jobs(FailedJobPage),
    Groups(FailureGroupPage),
}

/// Returns a page of the failed jobs of all runs.
pub(crate) async fn list_errors(hub: &Hub, query: Option<&str>) -> Result<Errors, ErrorReply> {
    let mut reader = FilterReader::new(hub.now(), "");
    let mut parameters = Parameters::read(query, &mut reader)?;
    let limit = parameters.take("limit");
    let is_grouped = parameters.flag("group", &mut reader);
    let query = FailedQuery {
        step: reader.text("step", parameters.take("step")),
        since: reader.time("since", parameters.take("since").as_deref()),
        until: reader.time("until", parameters.take("until").as_deref()),
        after: reader.position("after", parameters.take("after").as_deref()),
        limit: reader.limit(limit.as_deref()).min(MAX_PAGE),
    };
    reader.finish(StatusCode::BAD_REQUEST)?;
    if is_grouped {
        return Ok(Errors::Groups(hub.store.failure_groups(query).await?));
    }
    let list = hub.store.failed_page(query).await?;
    Ok(Errors::Jobs(FailedJobPage { errors: list.jobs, next: list.next.map(|next| next.to_string()) }))
}

/// Returns a page of the failed jobs of all runs in groups. `may_be_old` is for refreshes of pages: if there are so many failures that
/// counting them takes a while, the groups are those of some seconds ago.
pub(crate) async fn list_error_groups(
    hub: &Hub,
    query: &str,
    may_be_old: bool,
) -> Result<FailureGroupPage, ErrorReply> {
    if let Some(page) = hub.groups.get(query).filter(|_| may_be_old) {
        return Ok(page);
    }
    let began_at = Instant::now();
    let Errors::Groups(page) = list_errors(hub, Some(query)).await? else { return Ok(FailureGroupPage::default()) };
    hub.groups.insert(query, began_at, page.clone());
    Ok(page)
}

/// Returns the filter of runs. What is left is named by parameters of scripts.
fn run_fields(mut parameters: Parameters) -> RunFields {
    let (pipeline, name) = (parameters.take("pipeline"), parameters.take("name"));
    let (since, until) = (parameters.take("since"), parameters.take("until"));
    let params = parameters.single.into_iter();
    let params = params.filter_map(|(name, value)| Some((name.strip_prefix(PARAM_PREFIX)?.to_owned(), value)));
    RunFields { states: parameters.states, pipeline, name, params: params.collect(), since, until, step: None }
}
