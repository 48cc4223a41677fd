//! [`HubClient`]: one method a route of the hub.

use std::time::Duration;

use bue_model::bulk::{BulkRequest, BulkView};
use bue_model::failed_jobs::{FailedJobPage, FailureGroupPage};
use bue_model::history::CountsView;
use bue_model::log::{LogBatch, LogSelection, LogWatch};
use bue_model::pipeline::{Invoked, PipelineSummary, PipelineView, Publication, Published};
use bue_model::rerun::RunPlanView;
use bue_model::schedule::{AppliedSchedule, BackfillProgress, SchedulePage, ScheduleView};
use bue_model::wire::{
    CONTENT_TYPE, Changed, Heartbeat, HeartbeatAnswer, HubView, JobPage, JobQuery, JobView, LeaseBatch, LeaseRequest,
    ListPiece, MAX_MESSAGE, PieceVerdict, ReportBatch, ResultCursor, ResultPage, RoundValue, RunPage, RunView,
    Submission, Verdict, WIRE_VERSION, WhyView, WorkerView,
};
use bue_model::{JobId, RunId, ValueRef};
use http::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::connection::Connection;
use crate::error::ClientError;
use crate::log_follower::LogFollower;
use crate::options::ClientOptions;
use crate::percent::{QUERY, percent_encoded};
use crate::reply::{Reply, decode, decode_json, encode, expect_success};
use crate::request::{Request, RetryPolicy};

/// The timeout of a heartbeat: a lease allows for several attempts.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(3);

/// The time for an answer, in addition to that of a long poll: no request takes longer than an fsync on a busy disk.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What hubs of all releases say about themselves.
#[derive(Deserialize)]
struct Release {
    #[expect(dead_code, reason = "tells a hub from other servers")]
    version: String,
    #[serde(default)]
    wire: u8,
}

/// A client of the hub, with a connection pool. Share it in an `Arc`.
///
/// Of several addresses (hubs on one database), it prefers the one that answered last and tries the next if that cannot be reached.
/// Idempotent requests are retried for about two seconds, long enough for a hub to restart.
#[derive(Debug)]
pub struct HubClient {
    connection: Connection,
}

impl HubClient {
    /// Creates a client without connecting. Addresses are `host:port`, `http://host:port` or `https://host:port`, at least one.
    ///
    /// # Errors
    /// An address is invalid.
    pub fn new(addresses: &[String]) -> Result<Self, ClientError> {
        Self::with_options(addresses, ClientOptions::default())
    }

    /// Creates a client with these options, without connecting.
    ///
    /// # Errors
    /// An address is invalid, the token has characters that a header cannot contain, or a file of certificates cannot be used.
    pub fn with_options(addresses: &[String], options: ClientOptions) -> Result<Self, ClientError> {
        Ok(Self { connection: Connection::new("hub", addresses, options)? })
    }

    /// Returns a client with the same options and connections of its own. A connection belongs to the runtime that opened it, and
    /// stands still when that is busy: a client for another runtime must not share it.
    #[must_use]
    pub fn without_connections(&self) -> Self {
        Self { connection: self.connection.without_connections() }
    }

    /// Returns the addresses of the hubs, as `host:port`.
    pub fn addresses(&self) -> impl Iterator<Item = String> {
        self.connection.addresses()
    }

    /// Returns the address of the bucket as `host:port`, if the hub knows it. A hub may know a bucket on its own machine as `localhost` or
    /// by a wildcard address; such a host is replaced by the hub's.
    ///
    /// # Errors
    /// The hub cannot be reached.
    pub async fn bucket(&self) -> Result<Option<String>, ClientError> {
        Ok(self.info().await?.bucket.map(|bucket| resolve_bucket(&bucket, self.connection.host())))
    }

    /// Submits a run. Idempotent.
    ///
    /// # Errors
    /// The plan is refused, or the hub cannot be reached.
    pub async fn submit(&self, submission: &Submission) -> Result<RunId, ClientError> {
        decode(&self.post("/v1/runs", submission, RetryPolicy::Always, REQUEST_TIMEOUT).await?)
    }

    /// Publishes a version of a pipeline. Idempotent: the same content is the same version.
    ///
    /// # Errors
    /// The name or the plan is refused, or the hub cannot be reached.
    pub async fn publish(&self, pipeline: &str, publication: &Publication) -> Result<Published, ClientError> {
        let body = encode(publication)?;
        if body.len() > MAX_MESSAGE {
            return Err(ClientError::too_large("the request"));
        }
        let request = request(Method::PUT, pipeline_path(pipeline), RetryPolicy::Always, REQUEST_TIMEOUT);
        self.read_json(self.send_ok(&Request { content_type: CONTENT_TYPE, body, ..request }).await?).await
    }

    /// Removes a pipeline. Its runs go on.
    ///
    /// # Errors
    /// There is no such pipeline, or the hub cannot be reached.
    pub async fn unpublish(&self, pipeline: &str) -> Result<(), ClientError> {
        let request = request(Method::DELETE, pipeline_path(pipeline), RetryPolicy::IfUnsent, REQUEST_TIMEOUT);
        self.send_ok(&request).await.map(drop)
    }

    /// Returns the pipelines by name, at most 1,000.
    ///
    /// # Errors
    /// The hub cannot be reached.
    pub async fn pipelines(&self) -> Result<Vec<PipelineSummary>, ClientError> {
        self.read_json(self.get("/v1/pipelines".to_owned(), REQUEST_TIMEOUT).await?).await
    }

    /// Returns a pipeline with its parameters, versions and latest runs.
    ///
    /// # Errors
    /// There is no such pipeline, or the hub cannot be reached.
    pub async fn pipeline(&self, pipeline: &str) -> Result<PipelineView, ClientError> {
        self.read_json(self.get(pipeline_path(pipeline), REQUEST_TIMEOUT).await?).await
    }

    /// Starts a run of a pipeline. `body` is the JSON of an invocation; with a key in it, the request is idempotent.
    ///
    /// # Errors
    /// There is no such pipeline, parameters do not fit, or the hub cannot be reached.
    pub async fn invoke(&self, pipeline: &str, body: String, has_key: bool) -> Result<Invoked, ClientError> {
        let path = format!("{}/runs", pipeline_path(pipeline));
        self.read_json(self.post_json(path, body, has_key).await?).await
    }

    /// Starts up to 1,000 runs of a pipeline, all of them or none. `body` is the JSON of the list of invocations.
    ///
    /// # Errors
    /// There is no such pipeline, parameters do not fit, or the hub cannot be reached.
    pub async fn invoke_batch(&self, pipeline: &str, body: String) -> Result<Vec<Invoked>, ClientError> {
        self.read_json(self.post_json(format!("{}/runs:batch", pipeline_path(pipeline)), body, false).await?).await
    }

    /// Starts a run that repeats another one. `body` is the JSON of the rerun, with the id of the new run, so the request is
    /// idempotent.
    ///
    /// # Errors
    /// There is no such run or it has not ended, a step or parameter does not exist or fit, or the hub cannot be reached.
    pub async fn rerun(&self, original: RunId, body: String) -> Result<Invoked, ClientError> {
        self.read_json(self.post_json(format!("/v1/runs/{original}/rerun"), body, true).await?).await
    }

    /// Returns the plan of a run: its parameters with their values, and its steps.
    ///
    /// # Errors
    /// There is no such run, or the hub cannot be reached.
    pub async fn run_plan(&self, run: RunId) -> Result<RunPlanView, ClientError> {
        self.read_json(self.get(format!("/v1/runs/{run}/plan"), REQUEST_TIMEOUT).await?).await
    }

    /// Creates or changes a schedule. `body` is its JSON. Idempotent.
    ///
    /// # Errors
    /// A field is wrong, there is no such pipeline, or the hub cannot be reached.
    pub async fn put_schedule(&self, schedule: &str, body: String) -> Result<AppliedSchedule, ClientError> {
        let request = request(Method::PUT, schedule_path(schedule), RetryPolicy::Always, REQUEST_TIMEOUT);
        let (content_type, body) = ("application/json", body.into());
        self.read_json(self.send_ok(&Request { content_type, body, ..request }).await?).await
    }

    /// Sets up to 1,000 schedules, all of them or none. `body` is the JSON of the update. Idempotent.
    ///
    /// # Errors
    /// A field is wrong, there is no such pipeline, or the hub cannot be reached.
    pub async fn apply_schedules(&self, body: String) -> Result<Vec<AppliedSchedule>, ClientError> {
        self.read_json(self.post_json("/v1/schedules:apply".to_owned(), body, true).await?).await
    }

    /// Returns a page of up to 100 schedules by name, after that of this name.
    ///
    /// # Errors
    /// The hub cannot be reached.
    pub async fn schedules(&self, after: &str) -> Result<SchedulePage, ClientError> {
        let after = percent_encoded(after, QUERY);
        self.read_json(self.get(format!("/v1/schedules?after={after}"), REQUEST_TIMEOUT).await?).await
    }

    /// Returns a schedule, with its next due times and its latest runs.
    ///
    /// # Errors
    /// There is no such schedule, or the hub cannot be reached.
    pub async fn schedule(&self, schedule: &str) -> Result<ScheduleView, ClientError> {
        self.read_json(self.get(schedule_path(schedule), REQUEST_TIMEOUT).await?).await
    }

    /// Pauses a schedule. Idempotent.
    ///
    /// # Errors
    /// There is no such schedule, or the hub cannot be reached.
    pub async fn pause_schedule(&self, schedule: &str) -> Result<(), ClientError> {
        let path = format!("{}/pause", schedule_path(schedule));
        self.send_ok(&request(Method::POST, path, RetryPolicy::Always, REQUEST_TIMEOUT)).await.map(drop)
    }

    /// Resumes a schedule. Idempotent.
    ///
    /// # Errors
    /// There is no such schedule, or the hub cannot be reached.
    pub async fn resume_schedule(&self, schedule: &str) -> Result<(), ClientError> {
        let path = format!("{}/resume", schedule_path(schedule));
        self.send_ok(&request(Method::POST, path, RetryPolicy::Always, REQUEST_TIMEOUT)).await.map(drop)
    }

    /// Removes a schedule. Its runs go on.
    ///
    /// # Errors
    /// There is no such schedule, or the hub cannot be reached.
    pub async fn remove_schedule(&self, schedule: &str) -> Result<(), ClientError> {
        let request = request(Method::DELETE, schedule_path(schedule), RetryPolicy::IfUnsent, REQUEST_TIMEOUT);
        self.send_ok(&request).await.map(drop)
    }

    /// Starts a run of a schedule now.
    ///
    /// # Errors
    /// There is no such schedule, its pipeline does not take its parameters, or the hub cannot be reached. Not sent again if the
    /// answer was lost.
    pub async fn run_schedule(&self, schedule: &str) -> Result<Invoked, ClientError> {
        let path = format!("{}/runs", schedule_path(schedule));
        let request = request(Method::POST, path, RetryPolicy::IfUnsent, REQUEST_TIMEOUT);
        self.read_json(self.send_ok(&request).await?).await
    }

    /// Starts the next runs of a backfill, and returns how far it is, after at most `wait_ms` milliseconds once one of its runs has
    /// ended. `body` is its JSON. Idempotent.
    ///
    /// # Errors
    /// There is no such schedule, a field is wrong, or the hub cannot be reached.
    pub async fn backfill(&self, schedule: &str, body: String, wait_ms: u64) -> Result<BackfillProgress, ClientError> {
        let path = format!("{}/backfill?wait_ms={wait_ms}", schedule_path(schedule));
        let timeout = REQUEST_TIMEOUT.saturating_add(Duration::from_millis(wait_ms));
        let request = request(Method::POST, path, RetryPolicy::Always, timeout);
        let (content_type, body) = ("application/json", body.into());
        self.read_json(self.send_ok(&Request { content_type, body, ..request }).await?).await
    }

    async fn post_json(&self, path: String, body: String, is_idempotent: bool) -> Result<Reply, ClientError> {
        let policy = if is_idempotent { RetryPolicy::Always } else { RetryPolicy::IfUnsent };
        let request = request(Method::POST, path, policy, REQUEST_TIMEOUT);
        let (content_type, body) = ("application/json", body.into());
        self.send_ok(&Request { content_type, body, ..request }).await
    }

    /// Leases jobs, with a long poll of up to `request.wait_ms`.
    ///
    /// # Errors
    /// The hub cannot be reached. Not retried once it was sent: if the answer was lost, the hub makes its jobs available again when their
    /// leases end.
    pub async fn lease(&self, request: &LeaseRequest) -> Result<LeaseBatch, ClientError> {
        let timeout = REQUEST_TIMEOUT.saturating_add(Duration::from_millis(request.wait_ms));
        decode(&self.post("/v1/leases", request, RetryPolicy::IfUnsent, timeout).await?)
    }

    /// Extends leases.
    ///
    /// # Errors
    /// The hub cannot be reached.
    pub async fn heartbeat(&self, heartbeat: &Heartbeat) -> Result<HeartbeatAnswer, ClientError> {
        decode(&self.post("/v1/heartbeats", heartbeat, RetryPolicy::Always, HEARTBEAT_TIMEOUT).await?)
    }

    /// Reports outcomes and returns a verdict for each, in order. Idempotent.
    ///
    /// # Errors
    /// The hub cannot be reached, or the batch is larger than the limit of a message.
    pub async fn report(&self, batch: &ReportBatch) -> Result<Vec<Verdict>, ClientError> {
        decode(&self.post("/v1/outcomes", batch, RetryPolicy::Always, REQUEST_TIMEOUT).await?)
    }

    /// Reports elements of the list of a running job. If the window of a loop is full, waits for room up to `piece.wait_ms`. Idempotent.
    ///
    /// # Errors
    /// The hub cannot be reached, or refuses the elements.
    pub async fn record_piece(&self, piece: &ListPiece) -> Result<PieceVerdict, ClientError> {
        let timeout = REQUEST_TIMEOUT.saturating_add(Duration::from_millis(piece.wait_ms));
        decode(&self.post("/v1/pieces", piece, RetryPolicy::Always, timeout).await?)
    }

    /// Returns a run. With `seen`, waits up to `wait_ms` milliseconds until its version is larger.
    ///
    /// # Errors
    /// There is no such run, or the hub cannot be reached.
    pub async fn run(&self, run: RunId, seen: Option<u64>, wait_ms: u64) -> Result<RunView, ClientError> {
        let path = match seen {
            Some(seen) => format!("/v1/runs/{run}?seen={seen}&wait_ms={wait_ms}"),
            None => format!("/v1/runs/{run}"),
        };
        let timeout = REQUEST_TIMEOUT.saturating_add(Duration::from_millis(wait_ms));
        self.read_json(self.get(path, timeout).await?).await
    }

    /// Returns the latest runs, newest first, at most a hundred.
    ///
    /// # Errors
    /// The hub cannot be reached.
    pub async fn runs(&self) -> Result<Vec<RunView>, ClientError> {
        Ok(self.run_page(&[]).await?.runs)
    }

    /// Returns a page of runs, newest first. `filters` are names and values of the parameters of `GET /v1/runs`.
    ///
    /// # Errors
    /// A filter is refused, or the hub cannot be reached.
    pub async fn run_page(&self, filters: &[(&str, &str)]) -> Result<RunPage, ClientError> {
        self.read_json(self.get(format!("/v1/runs{}", query_of(filters)), REQUEST_TIMEOUT).await?).await
    }

    /// Returns the latest run; `None` if the hub has no runs.
    ///
    /// # Errors
    /// The hub cannot be reached.
    pub async fn latest_run(&self) -> Result<Option<RunView>, ClientError> {
        Ok(self.run_page(&[("limit", "1")]).await?.runs.into_iter().next())
    }

    /// Returns the runs whose ids begin with these hexadecimal digits, at most `limit`.
    ///
    /// # Errors
    /// These are no such digits, there are fewer than four, or the hub cannot be reached.
    pub async fn runs_by_prefix(&self, prefix: &str, limit: u32) -> Result<Vec<RunView>, ClientError> {
        Ok(self.run_page(&[("id", prefix), ("limit", &limit.to_string())]).await?.runs)
    }

    /// Returns a page of the failures of all runs in groups. `filters` are names and values of the parameters of `GET /v1/errors`.
    ///
    /// # Errors
    /// A filter is refused, or the hub cannot be reached.
    pub async fn failure_groups(&self, filters: &[(&str, &str)]) -> Result<FailureGroupPage, ClientError> {
        let query = query_of(&[&[("group", "1")], filters].concat());
        self.read_json(self.get(format!("/v1/errors{query}"), REQUEST_TIMEOUT).await?).await
    }

    /// Returns a page of the failed jobs of all runs, those that failed last first, with filters as for
    /// [`failure_groups`](Self::failure_groups).
    ///
    /// # Errors
    /// A filter is refused, or the hub cannot be reached.
    pub async fn failed_jobs(&self, filters: &[(&str, &str)]) -> Result<FailedJobPage, ClientError> {
        self.read_json(self.get(format!("/v1/errors{}", query_of(filters)), REQUEST_TIMEOUT).await?).await
    }

    /// Cancels runs, or counts those that would be cancelled; up to 1,000 with one request.
    ///
    /// # Errors
    /// The filter is refused, or the hub cannot be reached. Not sent again if the answer was lost.
    pub async fn cancel_runs(&self, request: &BulkRequest) -> Result<BulkView, ClientError> {
        self.bulk("/v1/runs:cancel", request).await
    }

    /// Resets failed jobs of runs, or counts those that would be reset; of up to 1,000 runs with one request.
    ///
    /// # Errors
    /// The filter is refused, or the hub cannot be reached. Not sent again if the answer was lost.
    pub async fn reset_runs(&self, request: &BulkRequest) -> Result<BulkView, ClientError> {
        self.bulk("/v1/runs:reset", request).await
    }

    /// Deletes runs that have ended, or counts those that would be deleted; up to 1,000 with one request.
    ///
    /// # Errors
    /// The filter is refused, or the hub cannot be reached. Not sent again if the answer was lost.
    pub async fn delete_runs(&self, request: &BulkRequest) -> Result<BulkView, ClientError> {
        self.bulk("/v1/runs:delete", request).await
    }

    async fn bulk(&self, path: &str, request: &BulkRequest) -> Result<BulkView, ClientError> {
        let body = serde_json::to_string(request).map_err(|error| ClientError::Encode(error.to_string()))?;
        self.read_json(self.post_json(path.to_owned(), body, request.dry_run).await?).await
    }

    /// Returns a page of a run's jobs, in the order of their numbers.
    ///
    /// # Errors
    /// There is no such run, it has no such step, or the hub cannot be reached.
    pub async fn jobs(&self, run: RunId, query: &JobQuery) -> Result<JobPage, ClientError> {
        let mut path = format!("/v1/runs/{run}/jobs?limit={}", query.limit);
        if let Some(step) = &query.step {
            path.push_str(&format!("&step={}", percent_encoded(step, QUERY)));
        }
        if let Some(state) = query.state {
            path.push_str(&format!("&state={}", state.name()));
        }
        if !query.rounds.is_empty() {
            let rounds: Vec<_> = query.rounds.iter().map(u64::to_string).collect();
            path.push_str(&format!("&round={}", rounds.join(".")));
        }
        if let Some(after) = query.after {
            path.push_str(&format!("&after={after}"));
        }
        if query.digests {
            path.push_str("&digests=1");
        }
        self.read_json(self.get(path, REQUEST_TIMEOUT).await?).await
    }

    /// Returns the workers that the hub has heard of in the last minute.
    ///
    /// # Errors
    /// The hub cannot be reached.
    pub async fn workers(&self) -> Result<Vec<WorkerView>, ClientError> {
        self.read_json(self.get("/v1/workers".to_owned(), REQUEST_TIMEOUT).await?).await
    }

    /// Returns how many runs, jobs and workers there are.
    ///
    /// # Errors
    /// The hub cannot be reached.
    pub async fn counts(&self) -> Result<CountsView, ClientError> {
        self.read_json(self.get("/v1/counts".to_owned(), REQUEST_TIMEOUT).await?).await
    }

    /// Returns what the hub says about itself and about the token.
    ///
    /// # Errors
    /// The hub cannot be reached.
    pub async fn info(&self) -> Result<HubView, ClientError> {
        self.read_json(self.get("/v1/info".to_owned(), REQUEST_TIMEOUT).await?).await
    }

    /// Returns a link that opens the hub's dashboard. If the hub has tokens, it logs in the holder of this client's token, once and
    /// within a minute.
    ///
    /// # Errors
    /// The hub serves no dashboard, or cannot be reached.
    pub async fn web_link(&self) -> Result<String, ClientError> {
        #[derive(Deserialize)]
        struct WebCode {
            path: String,
        }
        let request = request(Method::POST, "/v1/web-codes".to_owned(), RetryPolicy::Always, REQUEST_TIMEOUT);
        let code: WebCode = self.read_json(self.send_ok(&request).await?).await?;
        Ok(format!("{}{}", self.connection.base_url()?, code.path))
    }

    /// Returns all results of a run, from all pages. They are all in memory.
    ///
    /// # Errors
    /// There is no such run, or the hub cannot be reached.
    pub async fn results(&self, run: RunId) -> Result<ResultPage, ClientError> {
        let mut all = self.result_page(run, ResultCursor::default()).await?;
        while let Some(cursor) = all.next {
            append(&mut all, self.result_page(run, cursor).await?, cursor);
        }
        Ok(all)
    }

    /// Returns a page of a run's results, from `cursor` on.
    ///
    /// # Errors
    /// There is no such run, or the hub cannot be reached.
    pub async fn result_page(&self, run: RunId, cursor: ResultCursor) -> Result<ResultPage, ClientError> {
        let ResultCursor { call, round } = cursor;
        decode(&self.get(format!("/v1/runs/{run}/results?call={call}&round={round}"), REQUEST_TIMEOUT).await?)
    }

    /// Returns a job.
    ///
    /// # Errors
    /// There is no such job, or the hub cannot be reached.
    pub async fn job(&self, job: JobId) -> Result<JobView, ClientError> {
        self.read_json(self.get(format!("/v1/jobs/{job}"), REQUEST_TIMEOUT).await?).await
    }

    /// Returns what a job waits for, or how it ended.
    ///
    /// # Errors
    /// There is no such job, or the hub cannot be reached.
    pub async fn why(&self, job: JobId) -> Result<WhyView, ClientError> {
        self.read_json(self.get(format!("/v1/jobs/{job}/why"), REQUEST_TIMEOUT).await?).await
    }

    /// Returns a job as a worker gets it, but without a lease: the hub expects no report.
    ///
    /// # Errors
    /// There is no such job, its arguments do not exist yet, or the hub cannot be reached.
    pub async fn task(&self, job: JobId) -> Result<LeaseBatch, ClientError> {
        decode(&self.get(format!("/v1/jobs/{job}/task"), REQUEST_TIMEOUT).await?)
    }

    /// Returns the log of a job's last attempt, in UTF-8. `None` if it printed nothing.
    ///
    /// # Errors
    /// There is no such job, or the hub cannot be reached.
    pub async fn logs(&self, job: JobId) -> Result<Option<ValueRef>, ClientError> {
        decode(&self.get(format!("/v1/jobs/{job}/log"), REQUEST_TIMEOUT).await?)
    }

    /// Follows what the jobs of a selection print while they run.
    ///
    /// # Errors
    /// There is no such run or job, too many logs are followed, or the hub cannot be reached.
    pub async fn follow_log(&self, selection: &LogSelection) -> Result<LogFollower, ClientError> {
        let path = match selection {
            LogSelection::Job(job) => format!("/v1/jobs/{job}/log?follow=1"),
            LogSelection::Run { run, step: None } => format!("/v1/runs/{run}/log"),
            LogSelection::Run { run, step: Some(step) } => {
                format!("/v1/runs/{run}/log?step={}", percent_encoded(step, QUERY))
            }
        };
        let probe = request(Method::GET, "/healthz".to_owned(), RetryPolicy::Always, REQUEST_TIMEOUT);
        let request = request(Method::GET, path, RetryPolicy::Always, REQUEST_TIMEOUT);
        match self.connection.open(&probe, &request).await? {
            Ok(download) => Ok(LogFollower::new(download)),
            Err(reply) => Err(expect_success(reply).err().unwrap_or(ClientError::Token)),
        }
    }

    /// Sends what watched jobs have printed, and returns what is watched now. Idempotent.
    ///
    /// # Errors
    /// The hub cannot be reached.
    pub async fn send_logs(&self, batch: &LogBatch) -> Result<Vec<LogWatch>, ClientError> {
        decode(&self.post("/v1/logs", batch, RetryPolicy::Always, REQUEST_TIMEOUT).await?)
    }

    /// Cancels a run. Returns the number of jobs that were cancelled.
    ///
    /// # Errors
    /// There is no such run, or the hub cannot be reached.
    pub async fn cancel_run(&self, run: RunId) -> Result<u64, ClientError> {
        self.change(format!("/v1/runs/{run}/cancel")).await
    }

    /// Cancels a run together with its `finally` block, so that it has ended. [`HubClient::cancel_run`] starts that block.
    ///
    /// # Errors
    /// There is no such run, or the hub cannot be reached.
    pub async fn end_run(&self, run: RunId) -> Result<(), ClientError> {
        self.cancel_run(run).await?;
        self.cancel_run(run).await.map(drop)
    }

    /// Deletes a run that has ended.
    ///
    /// # Errors
    /// There is no such run, it is still running, or the hub cannot be reached.
    pub async fn delete_run(&self, run: RunId) -> Result<(), ClientError> {
        let path = format!("/v1/runs/{run}");
        let request = request(Method::DELETE, path, RetryPolicy::IfUnsent, REQUEST_TIMEOUT);
        self.send_ok(&request).await.map(drop)
    }

    /// Resets a run's failed jobs, with new attempts, and those that were cancelled with it. Returns their number.
    ///
    /// # Errors
    /// There is no such run, or the hub cannot be reached.
    pub async fn reset_run(&self, run: RunId) -> Result<u64, ClientError> {
        self.change(format!("/v1/runs/{run}/reset")).await
    }

    /// Cancels a job's call and everything that depends on it. Returns the number of jobs that were cancelled.
    ///
    /// # Errors
    /// There is no such job, it has ended, or the hub cannot be reached.
    pub async fn cancel_job(&self, job: JobId) -> Result<u64, ClientError> {
        self.change(format!("/v1/jobs/{job}/cancel")).await
    }

    /// Resets a failed job, with new attempts, or a cancelled one with the rest of its call and what depends on it. Returns the number
    /// of jobs.
    ///
    /// # Errors
    /// There is no such job, it has neither failed nor been cancelled, what is around it has ended, or the hub cannot be reached.
    pub async fn reset_job(&self, job: JobId) -> Result<u64, ClientError> {
        self.change(format!("/v1/jobs/{job}/reset")).await
    }

    async fn change(&self, path: String) -> Result<u64, ClientError> {
        let request = request(Method::POST, path, RetryPolicy::IfUnsent, REQUEST_TIMEOUT);
        let changed: Changed = self.read_json(self.send_ok(&request).await?).await?;
        Ok(changed.jobs)
    }

    /// Sends a request and returns the answer, if it is a success.
    async fn send_ok(&self, request: &Request) -> Result<Reply, ClientError> {
        match self.connection.send_ok(request).await {
            Err(error) => Err(self.explained(error).await),
            success => success,
        }
    }

    /// Decodes the message of a JSON answer.
    async fn read_json<T: DeserializeOwned>(&self, reply: Reply) -> Result<T, ClientError> {
        match decode_json(&reply) {
            Err(error) => Err(self.explained(error).await),
            message => message,
        }
    }

    /// Returns the error, or one that says which side is older if the cause is that the hub is of another release.
    async fn explained(&self, error: ClientError) -> ClientError {
        let ClientError::UnexpectedServer { address, .. } = &error else { return error };
        let info = request(Method::GET, "/v1/info".to_owned(), RetryPolicy::IfUnsent, REQUEST_TIMEOUT);
        let Ok(reply) = self.connection.send_ok(&info).await else { return error };
        match serde_json::from_slice(&reply.body) {
            Ok(Release { wire, .. }) if wire != WIRE_VERSION => {
                ClientError::VersionMismatch { server: "hub", address: address.clone(), theirs: wire }
            }
            _ => error,
        }
    }

    async fn get(&self, path: String, timeout: Duration) -> Result<Reply, ClientError> {
        self.send_ok(&request(Method::GET, path, RetryPolicy::Always, timeout)).await
    }

    async fn post<T: Serialize>(
        &self,
        path: &str,
        message: &T,
        retry_policy: RetryPolicy,
        timeout: Duration,
    ) -> Result<Reply, ClientError> {
        let body = encode(message)?;
        if body.len() > MAX_MESSAGE {
            return Err(ClientError::too_large("the request"));
        }
        let request = request(Method::POST, path.to_owned(), retry_policy, timeout);
        self.send_ok(&Request { content_type: CONTENT_TYPE, body, ..request }).await
    }
}

/// Returns a query, with its `?` unless it is empty.
fn query_of(parameters: &[(&str, &str)]) -> String {
    let pair =
        |(name, value): &(&str, &str)| format!("{}={}", percent_encoded(name, QUERY), percent_encoded(value, QUERY));
    match parameters.is_empty() {
        true => String::new(),
        false => format!("?{}", parameters.iter().map(pair).collect::<Vec<_>>().join("&")),
    }
}

fn pipeline_path(pipeline: &str) -> String {
    format!("/v1/pipelines/{}", percent_encoded(pipeline, QUERY))
}

fn schedule_path(schedule: &str) -> String {
    format!("/v1/schedules/{}", percent_encoded(schedule, QUERY))
}

/// Returns a request without a body.
fn request(method: Method, path: String, retry_policy: RetryPolicy, timeout: Duration) -> Request {
    Request { retry_policy, ..Request::without_body(method, path, timeout, MAX_MESSAGE) }
}

/// Appends the page that begins at `cursor`. If there are rounds before it, its first result continues our last one.
fn append(all: &mut ResultPage, page: ResultPage, cursor: ResultCursor) {
    // a cursor that does not advance would be an endless loop
    all.next = page.next.filter(|next| (next.call, next.round) > (cursor.call, cursor.round));
    let mut results = page.results.into_iter();
    if cursor.round > 0
        && let Some(RoundValue::Rounds(rounds)) = all.results.last_mut().map(|result| &mut result.value)
        && let Some(RoundValue::Rounds(more)) = results.next().map(|result| result.value)
    {
        rounds.extend(more);
    }
    all.results.extend(results);
    all.state = page.state;
}

/// Returns the bucket's address, with its host replaced by the hub's if it means the hub's own machine.
fn resolve_bucket(bucket: &str, hub: &str) -> String {
    let (scheme, address) = bucket.find("://").map_or(("", bucket), |at| bucket.split_at(at + "://".len()));
    match address.rsplit_once(':') {
        Some(("localhost" | "127.0.0.1" | "[::1]" | "0.0.0.0" | "[::]", port)) => format!("{scheme}{hub}:{port}"),
        _ => bucket.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_on_the_hubs_machine_gets_the_hubs_host() {
        assert_eq!(resolve_bucket("localhost:61535", "hub.lan"), "hub.lan:61535");
        assert_eq!(resolve_bucket("[::1]:61535", "10.0.0.7"), "10.0.0.7:61535");
        assert_eq!(resolve_bucket("https://localhost:61535", "hub.lan"), "https://hub.lan:61535");
        assert_eq!(resolve_bucket("bucket.lan:61535", "hub.lan"), "bucket.lan:61535");
    }
}
