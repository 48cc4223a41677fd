//! [`JobStore`]: what the hub needs from a database. All state of runs and jobs changes here and nowhere else.
//!
//! ```text
//! Blocked --all parents completed--> Available --lease--> Running --complete--> Completed
//!    |                                  ^  ^ `--expire--> Failed
//!    |                                  |  |                 |
//!    |                                  |  +-- release, reap +--> Available later (pending, retry, reset)
//!    +--parent cancelled--> Cancelled   +------ reset -------+--> Failed, Cancelled
//! ```
//! Each method is one transaction: either all of it happened and is durable, or none of it. A store never reads the clock; it
//! is given `now`. A clock that stops or jumps back delays work and breaks nothing.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use bue_model::failed_jobs::FailureGroupPage;
use bue_model::history::{HistorySample, HistoryView};
use bue_model::pipeline::{Invoked, PipelineSummary, PipelineView, Publication, Published};
use bue_model::schedule::{AppliedSchedule, BackfillProgress, SchedulePage, ScheduleView, ScheduledRun};
use bue_model::wire::{
    Changed, Collection, Heartbeat, HeartbeatAnswer, JobPage, JobQuery, JobView, LeaseBatch, LeaseRequest, ListPiece,
    PieceVerdict, ReportBatch, ResultCursor, ResultPage, RunView, Submission, Verdict, WhyView, WorkerView,
};
use bue_model::{JobId, RunId, Timestamp, TraceContext, ValueRef};
use futures_util::future::BoxFuture;

use crate::error::HubError;
use crate::jobs::counts::tally::Tally;
use crate::jobs::views::failed_list::{FailedList, FailedQuery};
use crate::jobs::views::run_list::{RunList, RunQuery};
use crate::lease_key::LeaseKey;
use crate::notifications::Notifications;
use crate::pipelines::Invocation;
use crate::records::audit::{AuditEntry, AuditList, AuditQuery};
use crate::reruns::{Rerun, StoredPlan};
use crate::schedules::backfill::Backfill;
use crate::schedules::firing::FiredSchedules;
use crate::schedules::request::{ScheduleAction, ScheduleUpdate};

pub use bue_model::wire::LEASE_MS;

/// Releases after which a job fails: it seems to kill every worker that runs it. Releases that other jobs of the worker may have
/// caused are counted up to [`SUSPECT_RELEASES`] only.
pub const MAX_RELEASES: u32 = 5;

/// Releases in a row after which a job is a suspect: it is leased alone, so that its next release has no other cause. A death of
/// a machine or two, or a deployment, makes none.
pub const SUSPECT_RELEASES: u32 = 3;

/// Milliseconds that a suspect waits for a worker that holds no other job. After that it is leased together with others, because
/// a busy worker may never be without a job.
pub const ISOLATION_MS: u64 = 60_000;

/// Resets of one call, after which a job that requests another reset fails.
pub const MAX_RESETS: u32 = 25;

/// Rates under which one lease request looks for jobs: those that have been open the longest.
pub(crate) const MAX_OPEN_RATES: i64 = 1_000;

/// Parents that a [`WhyView`] names.
pub(crate) const MAX_PARENTS: usize = 20;

/// The future that every method of a store returns.
pub type StoreFuture<'a, T> = BoxFuture<'a, Result<T, HubError>>;

/// Durable runs and jobs.
pub trait JobStore: Send + Sync {
    /// Creates a run that is part of no other trace.
    fn submit(&self, now: Timestamp, submission: Submission) -> StoreFuture<'_, RunId> {
        self.submit_in_trace(now, submission, None)
    }

    /// Creates a run: jobs without parents are Available, all others Blocked. Idempotent: a run that exists is left as it is. `parent` is
    /// the client's own span.
    fn submit_in_trace(
        &self,
        now: Timestamp,
        submission: Submission,
        parent: Option<TraceContext>,
    ) -> StoreFuture<'_, RunId>;

    /// Leases jobs that are ready, in the order of the scope's position in the request, then priority, then age; in the
    /// opposite order for `reverse`; every `anti_starvation_interval`th job from the other end. Ignores `wait_ms`: the caller waits.
    fn lease(&self, now: Timestamp, request: LeaseRequest) -> StoreFuture<'_, LeaseAnswer>;

    /// Milliseconds a lease of this store lasts. Each batch of leases carries it to the worker.
    fn lease_ms(&self) -> u64 {
        LEASE_MS
    }

    /// Extends leases to [`JobStore::lease_ms`] from now.
    fn heartbeat(&self, now: Timestamp, heartbeat: Heartbeat) -> StoreFuture<'_, HeartbeatAnswer>;

    /// Records outcomes. A report whose token is not the job's current one changes nothing.
    fn complete(&self, now: Timestamp, batch: ReportBatch) -> StoreFuture<'_, Vec<Verdict>>;

    /// Records a piece of the list of a running job, and starts rounds of the loops that run over it. A piece whose token is not the job's
    /// current one, or whose elements are recorded, changes nothing. Ignores `wait_ms`: the caller waits.
    fn record_piece(&self, now: Timestamp, piece: ListPiece) -> StoreFuture<'_, PieceVerdict>;

    /// Makes jobs whose leases have expired available again.
    fn reap(&self, now: Timestamp) -> StoreFuture<'_, ReapedJobs>;

    /// Fails available jobs that have not started although their `!expires` has passed, at most 1,000.
    fn expire(&self, now: Timestamp) -> StoreFuture<'_, ExpiredJobs>;

    /// Keeps a script as a version of a pipeline, and makes it the one that new runs get. Equal content is the same version.
    fn publish(&self, now: Timestamp, name: String, publication: Publication) -> StoreFuture<'_, Published>;

    /// Removes a pipeline. Its runs go on; versions that they have are kept until they are deleted.
    fn unpublish(&self, name: String) -> StoreFuture<'_, ()>;

    /// Returns the pipelines by name, at most 1,000.
    fn pipelines(&self) -> StoreFuture<'_, Vec<PipelineSummary>>;

    /// Returns a pipeline with its versions and its latest runs.
    fn pipeline(&self, name: String) -> StoreFuture<'_, Option<PipelineView>>;

    /// Returns the name of the pipeline of which this is a run. `None` if it is none, or there is no such run.
    fn pipeline_of(&self, run: RunId) -> StoreFuture<'_, Option<String>>;

    /// Starts runs of the current versions of pipelines, all of them or none. A run that exists is left as it is, even if its
    /// pipeline is gone; with other parameters or another priority it is an error. Returns the runs in the order of the
    /// invocations, with their states.
    fn invoke(&self, now: Timestamp, invocations: Vec<Invocation>) -> StoreFuture<'_, Vec<Invoked>>;

    /// Starts a run that repeats another one, which has ended, and reuses its results where nothing has changed. A rerun that exists
    /// is left as it is; under the id of any other run, it is an error.
    fn rerun(&self, now: Timestamp, rerun: Rerun) -> StoreFuture<'_, Invoked>;

    /// Returns the plan of a run.
    fn stored_plan(&self, run: RunId) -> StoreFuture<'_, Option<StoredPlan>>;

    /// Sets schedules, all of them or none; their pipelines have to take the parameters. Returns what became of each, in their
    /// order, then those that were removed. A schedule that is the same already is left as it is.
    fn put_schedules(&self, now: Timestamp, update: ScheduleUpdate) -> StoreFuture<'_, Vec<AppliedSchedule>>;

    /// Pauses, resumes or removes a schedule.
    fn change_schedule(&self, now: Timestamp, name: String, action: ScheduleAction) -> StoreFuture<'_, ()>;

    /// Returns the schedules whose names come after `after`, by name, at most `limit` and at most 100.
    fn schedules(&self, after: String, limit: u32) -> StoreFuture<'_, SchedulePage>;

    /// Returns a schedule, with its next due times and its latest runs.
    fn schedule(&self, name: String) -> StoreFuture<'_, Option<ScheduleView>>;

    /// Returns the latest runs of a schedule that are kept, also those of backfills, by their due times, the last one first: at most
    /// `limit` and at most 100. None if there is no such schedule.
    fn schedule_runs(&self, name: String, limit: u32) -> StoreFuture<'_, Vec<ScheduledRun>>;

    /// Starts a run of a schedule now, whatever its state. A run that exists is left as it is.
    fn run_schedule(&self, now: Timestamp, name: String, run: RunId) -> StoreFuture<'_, Invoked>;

    /// Starts the next runs of a backfill, and returns how far it is.
    fn backfill(&self, now: Timestamp, name: String, backfill: Backfill) -> StoreFuture<'_, BackfillProgress>;

    /// Gives schedules whose time has come their turns: starts the runs that are due. At most 32 schedules, so that other
    /// requests have their turns in between. A due time has one run, however many hubs call this.
    fn fire_schedules(&self, now: Timestamp) -> StoreFuture<'_, FiredSchedules>;

    /// Cancels a run. A run that has ended is left as it is.
    fn cancel_run(&self, now: Timestamp, run: RunId) -> StoreFuture<'_, Changed>;

    /// Makes a run's failed jobs available again, with fresh attempts, and those that were cancelled with the run.
    fn reset_run(&self, now: Timestamp, run: RunId) -> StoreFuture<'_, Changed>;

    /// Cancels the call that the job belongs to, and everything that depends on it.
    fn cancel_job(&self, now: Timestamp, job: JobId) -> StoreFuture<'_, Changed>;

    /// Makes a failed job available again, with fresh attempts, or a cancelled one with the rest of its call and what depends on it.
    fn reset_job(&self, now: Timestamp, job: JobId) -> StoreFuture<'_, Changed>;

    /// Deletes a run that has ended: its jobs, results and counts. Its blobs are garbage-collected in the bucket later.
    fn delete_run(&self, run: RunId) -> StoreFuture<'_, ()>;

    /// Returns the runs that ended before `before`, earliest end first, at most `limit`.
    fn ended_runs(&self, before: Timestamp, limit: u32) -> StoreFuture<'_, Vec<RunId>>;

    /// Returns all runs and the id of this database: the roots by which the bucket decides which blobs are garbage.
    fn gc_roots(&self) -> StoreFuture<'_, Collection>;

    /// Returns a run. The caller fills in the time, the estimated end and the scopes without a worker.
    fn run(&self, run: RunId) -> StoreFuture<'_, Option<RunView>>;

    /// Returns the latest runs, newest first, at most `limit`.
    fn runs(&self, limit: u32) -> StoreFuture<'_, Vec<RunView>> {
        let page = self.run_page(RunQuery { limit, ..RunQuery::default() });
        Box::pin(async move { Ok(page.await?.runs.into_iter().map(|listed| listed.run).collect()) })
    }

    /// Returns a page of the runs that a query matches, newest first by the time of their creation.
    fn run_page(&self, query: RunQuery) -> StoreFuture<'_, RunList>;

    /// Returns a page of the failed jobs of all runs, those that failed last first.
    fn failed_page(&self, query: FailedQuery) -> StoreFuture<'_, FailedList>;

    /// Returns the failed jobs of all runs in groups of the same step and the same first line of the message.
    fn failure_groups(&self, query: FailedQuery) -> StoreFuture<'_, FailureGroupPage>;

    /// Returns a page of a run's results.
    fn results(&self, run: RunId, cursor: ResultCursor) -> StoreFuture<'_, Option<ResultPage>>;

    /// Returns the runs whose ids are in a range, in the order of their ids, at most `limit`.
    fn runs_in(&self, ids: RangeInclusive<RunId>, limit: u32) -> StoreFuture<'_, Vec<RunView>>;

    /// Returns a page of a run's jobs, at most 200.
    fn jobs(&self, run: RunId, query: JobQuery) -> StoreFuture<'_, Option<JobPage>>;

    /// Returns a job. Fan-outs have ids too, but are not jobs.
    fn job(&self, job: JobId) -> StoreFuture<'_, Option<JobView>>;

    /// Returns jobs that workers hold, in the order of their numbers: those whose leases end last, at most `limit` and at most 200.
    fn running_jobs(&self, limit: u32) -> StoreFuture<'_, Vec<JobView>>;

    /// Returns a job with its result.
    fn job_result(&self, job: JobId) -> StoreFuture<'_, Option<JobResult>>;

    /// Returns a job and what it waits for. The caller fills in the time and the workers that serve the job's scope.
    fn why(&self, job: JobId) -> StoreFuture<'_, Option<WhyView>>;

    /// Returns what a worker would receive for a job, under the token 0, which no lease has. Changes nothing. The environment
    /// of a completed job is not kept.
    fn task(&self, job: JobId) -> StoreFuture<'_, Option<LeaseBatch>>;

    /// Returns the scopes of the steps of a job's run, each once. `None` if there is no such job.
    fn script_scopes(&self, job: JobId) -> StoreFuture<'_, Option<BTreeSet<String>>>;

    /// Returns a job's latest log; the outer `None` means that there is no such job.
    fn log(&self, job: JobId) -> StoreFuture<'_, Option<Option<ValueRef>>>;

    /// Counts the jobs in each state. The time tells which of them are delayed.
    fn tally(&self, now: Timestamp) -> StoreFuture<'_, Tally>;

    /// Records a change and who made it.
    fn record_audit(&self, now: Timestamp, entry: AuditEntry) -> StoreFuture<'_, ()>;

    /// Returns a page of the recorded changes, newest first.
    fn audit_page(&self, query: AuditQuery) -> StoreFuture<'_, AuditList>;

    /// Deletes recorded changes of a time before `before` that are about no run, or about one that is deleted, at most `limit`.
    /// Returns how many.
    fn delete_audit(&self, before: Timestamp, limit: u32) -> StoreFuture<'_, u64>;

    /// Records a sample of the history, whose time is any in its slot, and deletes those that are too old. Of the samples of a
    /// slot, the first one is kept.
    fn record_sample(&self, sample: HistorySample) -> StoreFuture<'_, ()>;

    /// Returns the samples of a period, oldest first: every ten seconds if it begins within the last hour, every minute if it begins
    /// within the last day, else every ten minutes. Those of more than a week ago are deleted.
    fn history(&self, now: Timestamp, period: RangeInclusive<Timestamp>) -> StoreFuture<'_, HistoryView>;

    /// Returns the secret that seals leases: random, created with the database, and the same for all its hubs.
    fn lease_key(&self) -> StoreFuture<'_, LeaseKey>;

    /// Tells the other hubs of this database which workers have sent requests to this hub. May be lost. A store that serves one
    /// hub does nothing.
    fn announce_workers(&self, _workers: &[WorkerView]) {}

    /// Returns the store's notifications, each sent after its change is durable. Subscribe before you read.
    fn notifications(&self) -> &Notifications;
}

/// The store's answer to a lease request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeaseAnswer {
    /// The leased jobs; empty if no job is ready.
    pub batch: LeaseBatch,
    /// When the next parked job becomes ready by itself. `None` if no job is parked.
    pub next_at: Option<Timestamp>,
}

/// A job with its result.
#[derive(Clone, Debug, PartialEq)]
pub struct JobResult {
    /// The job.
    pub job: JobView,
    /// Its result; `None` unless it has completed.
    pub value: Option<ValueRef>,
}

/// What [`JobStore::reap`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReapedJobs {
    /// The jobs whose leases had expired.
    pub jobs: Vec<JobId>,
    /// When the next lease expires. `None` if no job is running.
    pub next_at: Option<Timestamp>,
}

/// What [`JobStore::expire`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExpiredJobs {
    /// The jobs that failed because they had not started in time.
    pub jobs: Vec<JobId>,
    /// When the next available job expires. `None` if there is none that may.
    pub next_at: Option<Timestamp>,
}
