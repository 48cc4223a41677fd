//! Cancelling, resetting and deleting all runs that a filter matches. Each run is a transaction of its own, as if a client had sent one
//! request after the other: other requests have their turns in between, and what was done stays done.

use std::time::Duration;

use bue_model::bulk::{BulkExample, BulkProblem, BulkView};
use bue_model::wire::{JobQuery, RunView};
use bue_model::{JobId, JobState, RunState};
use futures_util::future::join_all;
use http::StatusCode;
use tokio::time::Instant;

use crate::api::bulk_request::{BulkOperation, BulkRequest};
use crate::api::change::{Change, ChangeRequest, Record};
use crate::api::hub::Hub;
use crate::api::pipelines::json_text;
use crate::error::HubError;
use crate::http::reply::{ErrorReply, json};
use crate::jobs::views::position::Position;

/// Runs that one request changes.
const MAX_RUNS: u64 = 1_000;
/// Time after which a request answers, and says where the next one continues. Clients wait for half a minute.
const MAX_TIME: Duration = Duration::from_secs(10);
/// Runs that an answer names.
const MAX_EXAMPLES: usize = 20;
/// Jobs that are reset at the same time.
const RESETS_AT_ONCE: usize = 32;
/// Failed jobs that are looked at together.
const JOB_PAGE: u32 = 200;

/// A request while it is carried out.
struct Progress<'a> {
    hub: &'a Hub,
    request: BulkRequest,
    deadline: Instant,
    view: BulkView,
}

/// What was changed of a run.
#[derive(Default)]
struct RunChange {
    jobs: u64,
    /// Why some jobs were not changed.
    problem: Option<HubError>,
    /// The time was over before all jobs had their turns.
    is_interrupted: bool,
}

impl From<u64> for RunChange {
    fn from(jobs: u64) -> Self {
        Self { jobs, ..Self::default() }
    }
}

/// Carries out a request as far as its limits allow.
pub(crate) async fn bulk(request: ChangeRequest, operation: BulkOperation) -> Result<Change, ErrorReply> {
    let ChangeRequest { hub, head, body, .. } = request;
    let request = BulkRequest::from_json(operation, &json_text(&head, body).await?, hub.now())?;
    let view = BulkView { dry_run: request.dry_run, ..BulkView::default() };
    let mut progress = Progress { hub: &hub, request, deadline: Instant::now() + MAX_TIME, view };
    let ended = progress.carry_out().await;
    let record = (!progress.request.dry_run).then(|| progress.record_of(operation));
    // what was changed before an error is recorded too
    let record = record.filter(|_| ended.is_ok() || progress.view.jobs + progress.view.runs > 0);
    Ok(Change::ready(record, ended.and_then(|()| json(&progress.view))))
}

impl Progress<'_> {
    /// What the audit says of the request.
    fn record_of(&self, operation: BulkOperation) -> Record {
        let action = match operation {
            BulkOperation::Cancel => "runs.cancel",
            BulkOperation::Reset => "runs.reset",
            BulkOperation::Delete => "runs.delete",
        };
        let BulkView { runs, jobs, skipped, .. } = &self.view;
        let filter = &self.request.filter;
        Record::new(action, "")
            .with_detail(serde_json::json!({ "filter": filter, "runs": runs, "jobs": jobs, "skipped": skipped }))
    }

    async fn carry_out(&mut self) -> Result<(), ErrorReply> {
        let mut query = self.request.query.clone();
        loop {
            let list = self.hub.store.run_page(query.clone()).await?;
            for listed in list.runs {
                let is_over = self.view.runs + self.view.skipped >= MAX_RUNS || Instant::now() >= self.deadline;
                if is_over || !self.change(&listed.run).await? {
                    self.view.next = Some(query.after.unwrap_or(Position::NEWEST).to_string());
                    return Ok(());
                }
                query.after = Some(listed.position);
            }
            query.after = list.next;
            if list.next.is_none() {
                return Ok(());
            }
        }
    }

    /// Changes a run. Returns whether that is done.
    async fn change(&mut self, run: &RunView) -> Result<bool, ErrorReply> {
        let changed = match self.jobs_of(run).await? {
            Some(jobs) if jobs.is_empty() => return Ok(true),
            jobs => self.change_jobs(run, jobs).await,
        };
        let change = match changed {
            Ok(change) => change,
            Err(error) => RunChange { problem: Some(error), ..RunChange::default() },
        };
        let is_deleted = self.request.operation == BulkOperation::Delete && change.problem.is_none();
        match change.problem.map(ErrorReply::from) {
            // deleted meanwhile
            Some(error) if error.status() == StatusCode::NOT_FOUND => return Ok(true),
            Some(error) if error.status() == StatusCode::CONFLICT => self.record_problem(run, &error),
            Some(error) => return Err(error),
            None => {}
        }
        if change.is_interrupted {
            // the next request counts the run
            self.view.jobs += change.jobs;
        } else if change.jobs > 0 || is_deleted {
            self.record(run, change.jobs);
        }
        Ok(!change.is_interrupted)
    }

    /// Returns the failed jobs of a run that the request is about; `None` if it is about the run as a whole.
    async fn jobs_of(&self, run: &RunView) -> Result<Option<Vec<JobId>>, ErrorReply> {
        let failed = self.request.query.failed.as_ref().and_then(|failed| failed.step.clone());
        if failed.is_none() && !self.request.names_failures() {
            return Ok(None);
        }
        let state = Some(JobState::Failed);
        let mut query = JobQuery { step: failed, state, limit: JOB_PAGE, ..JobQuery::default() };
        let mut jobs = Vec::new();
        loop {
            let page = match self.hub.store.jobs(run.id, query.clone()).await {
                Ok(Some(page)) => page,
                Ok(None) | Err(HubError::StepNotFound { .. }) => return Ok(Some(jobs)),
                Err(error) => return Err(error.into()),
            };
            jobs.extend(page.jobs.iter().filter(|job| self.request.is_wanted(job)).map(|job| job.id));
            // of a run that is changed as a whole, one such job is enough
            let is_enough = self.request.operation != BulkOperation::Reset && !jobs.is_empty();
            match page.next {
                Some(next) if !is_enough => query.after = Some(next),
                _ => return Ok(Some(jobs)),
            }
        }
    }

    async fn change_jobs(&self, run: &RunView, jobs: Option<Vec<JobId>>) -> Result<RunChange, HubError> {
        let (store, counts) = (&self.hub.store, &run.counts);
        let jobs = jobs.filter(|_| self.request.operation == BulkOperation::Reset);
        if self.request.dry_run {
            let is_cancelled = run.state == RunState::Cancelled;
            return Ok(RunChange::from(match self.request.operation {
                BulkOperation::Cancel => counts.open(),
                BulkOperation::Delete => counts.open() + counts.finished(),
                BulkOperation::Reset => match jobs {
                    Some(jobs) => jobs.len() as u64,
                    None => counts.failed + if is_cancelled { counts.cancelled } else { 0 },
                },
            }));
        }
        let now = self.hub.now();
        match (self.request.operation, jobs) {
            (BulkOperation::Cancel, _) => Ok(store.cancel_run(now, run.id).await?.jobs.into()),
            (BulkOperation::Delete, _) => {
                store.delete_run(run.id).await?;
                Ok((counts.open() + counts.finished()).into())
            }
            (BulkOperation::Reset, None) => Ok(store.reset_run(now, run.id).await?.jobs.into()),
            (BulkOperation::Reset, Some(jobs)) => self.reset_jobs(&jobs).await,
        }
    }

    /// Resets single jobs, several at a time, because they can share a commit.
    async fn reset_jobs(&self, jobs: &[JobId]) -> Result<RunChange, HubError> {
        let mut change = RunChange::default();
        for part in jobs.chunks(RESETS_AT_ONCE) {
            if Instant::now() >= self.deadline {
                return Ok(RunChange { is_interrupted: true, ..change });
            }
            let now = self.hub.now();
            for reset in join_all(part.iter().map(|job| self.hub.store.reset_job(now, *job))).await {
                match reset {
                    Ok(changed) => change.jobs += changed.jobs,
                    // reset or deleted meanwhile
                    Err(HubError::JobNotFailed { .. } | HubError::JobNotFound(_)) => {}
                    Err(error @ (HubError::LoopEnded { .. } | HubError::RunEnding(_) | HubError::RunCancelled(_))) => {
                        change.problem = Some(error);
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(change)
    }

    fn record(&mut self, run: &RunView, jobs: u64) {
        self.view.runs += 1;
        self.view.jobs += jobs;
        if self.view.examples.len() < MAX_EXAMPLES {
            let (run, name, state) = (run.id, run.name.clone(), run.state);
            self.view.examples.push(BulkExample { run, name, state, jobs });
        }
    }

    fn record_problem(&mut self, run: &RunView, error: &ErrorReply) {
        self.view.skipped += 1;
        if self.view.problems.len() < MAX_EXAMPLES {
            let (code, message) = (error.code().to_owned(), error.message().to_owned());
            self.view.problems.push(BulkProblem { run: run.id, code, message });
        }
    }
}
