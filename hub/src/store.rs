//! [`JobStore`]: what the hub asks of a database. All state of runs and jobs changes here and nowhere else.
//!
//! ```text
//! Blocked --all parents completed--> Available --lease--> Running --complete--> Completed
//!    |                                  ^  ^                 |
//!    |                                  |  +-- release, reap +--> Available later (pending, retry, reset)
//!    +--parent cancelled--> Cancelled   +------ reset -------+--> Failed, Cancelled
//! ```
//! A method is one transaction: it happened and is on the disk, or nothing did. A store never asks the time, it is handed
//! `now`; time that stands still or jumps back delays things and breaks nothing.

use bue_model::wire::{
    Changed, Collection, Heartbeat, HeartbeatAnswer, JobView, LeaseBatch, LeaseRequest, ReportBatch, ResultCursor,
    ResultPage, RunView, Submission, Verdict, WhyView,
};
use bue_model::{JobId, RunId, Timestamp, ValueRef};
use futures_util::future::BoxFuture;
use tokio::sync::{broadcast, watch};

use crate::commits::Commits;
use crate::error::HubError;
use crate::tally::Tally;

pub use bue_model::wire::LEASE_MS;

/// Releases after which a job is given up: whatever runs it seems to die of it.
pub const MAX_RELEASES: u32 = 5;

/// Resets of one call, after which the job that asks for another one fails.
pub const MAX_RESETS: u32 = 25;

/// One lease of so many goes to the job that would be served last, so that low scopes and priorities do not starve.
pub const SHARE_OF_LAST: u64 = 16;

/// Rates, those that have been open longest, under which one request for leases looks for jobs.
pub(crate) const MAX_OPEN_RATES: i64 = 1_000;

/// Parents a [`WhyView`] names.
pub(crate) const MAX_PARENTS: usize = 20;

/// What a store answers, some time later.
pub type Answer<'a, T> = BoxFuture<'a, Result<T, HubError>>;

/// Runs and jobs, durable.
pub trait JobStore: Send + Sync {
    /// Takes a run in: roots Available, the rest Blocked. A run that is already there is left as it is.
    fn submit(&self, now: Timestamp, submission: Submission) -> Answer<'_, RunId>;

    /// Gives away jobs that are ready: by the scope's position in the request, then priority, then age; turned around for
    /// `reverse`; every [`SHARE_OF_LAST`]th from the other end. `wait_ms` is not looked at: the caller waits.
    fn lease(&self, now: Timestamp, request: LeaseRequest) -> Answer<'_, Leased>;

    /// Milliseconds a lease of this store lasts. Workers are told with every batch of leases.
    fn lease_ms(&self) -> u64 {
        LEASE_MS
    }

    /// Extends leases to [`JobStore::lease_ms`] from now.
    fn heartbeat(&self, now: Timestamp, heartbeat: Heartbeat) -> Answer<'_, HeartbeatAnswer>;

    /// Takes outcomes. A report under a token that is not the job's changes nothing.
    fn complete(&self, now: Timestamp, batch: ReportBatch) -> Answer<'_, Vec<Verdict>>;

    /// Puts jobs back whose leases have ended.
    fn reap(&self, now: Timestamp) -> Answer<'_, Reaped>;

    /// Calls a run off. A run that has ended is left as it is.
    fn cancel_run(&self, now: Timestamp, run: RunId) -> Answer<'_, Changed>;

    /// Puts a run's failed jobs back with fresh attempts.
    fn reset_run(&self, now: Timestamp, run: RunId) -> Answer<'_, Changed>;

    /// Calls the job's call off, and what depends on it.
    fn cancel_job(&self, now: Timestamp, job: JobId) -> Answer<'_, Changed>;

    /// Puts a failed job back with fresh attempts.
    fn reset_job(&self, now: Timestamp, job: JobId) -> Answer<'_, Changed>;

    /// Forgets a run that is over: its jobs, results and counts. What it put into the bucket is collected there later.
    fn delete_run(&self, run: RunId) -> Answer<'_, ()>;

    /// Runs that ended before a time, those that ended first, at most `limit`.
    fn ended_runs(&self, before: Timestamp, limit: u32) -> Answer<'_, Vec<RunId>>;

    /// All runs, and which database this is: what the bucket must know to find out what nobody wants any more.
    fn holdings(&self) -> Answer<'_, Collection>;

    /// A run.
    fn run(&self, run: RunId) -> Answer<'_, Option<RunView>>;

    /// The latest runs, newest first, at most `limit`.
    fn runs(&self, limit: u32) -> Answer<'_, Vec<RunView>>;

    /// A page of a run's results.
    fn results(&self, run: RunId, cursor: ResultCursor) -> Answer<'_, Option<ResultPage>>;

    /// A job. Fan-outs have ids too but are no jobs.
    fn job(&self, job: JobId) -> Answer<'_, Option<JobView>>;

    /// A job and what it waits for. Who serves its scope, and what time it is, the caller knows.
    fn why(&self, job: JobId) -> Answer<'_, Option<WhyView>>;

    /// What a worker would be told of a job, under the token 0, which no lease has. Changes nothing. The environment of a
    /// job that completed is not kept.
    fn task(&self, job: JobId) -> Answer<'_, Option<LeaseBatch>>;

    /// A job's last log; the outer `None` where there is no such job.
    fn log(&self, job: JobId) -> Answer<'_, Option<Option<ValueRef>>>;

    /// How many jobs are where.
    fn tally(&self) -> Answer<'_, Tally>;

    /// Announcements of what changed, each sent after the change is on the disk. Subscribe before you look.
    fn changes(&self) -> &Changes;
}

/// What a lease request came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leased {
    /// The jobs, none if nothing is ready.
    pub batch: LeaseBatch,
    /// When the next waiting job becomes ready by itself. `None` where none does.
    pub next_at: Option<Timestamp>,
}

/// What reaping came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Jobs whose leases had ended.
    pub jobs: Vec<JobId>,
    /// When the next lease ends. `None` where nothing runs.
    pub next_at: Option<Timestamp>,
}

/// Where to hear of changes.
#[derive(Debug)]
pub struct Changes {
    commits: Commits,
    work: broadcast::Sender<()>,
    leases: watch::Sender<u64>,
    runs: broadcast::Sender<RunId>,
}

/// Announcements that a slow listener may be behind before it is told that it missed some.
const BACKLOG: usize = 1024;

impl Default for Changes {
    fn default() -> Self {
        Self {
            commits: Commits::default(),
            work: broadcast::Sender::new(1),
            leases: watch::Sender::new(0),
            runs: broadcast::Sender::new(BACKLOG),
        }
    }
}

impl Changes {
    /// Wakes when jobs became ready, or will by themselves at a time that was not known before: who has waited longest first.
    #[must_use]
    pub fn work(&self) -> broadcast::Receiver<()> {
        self.work.subscribe()
    }

    /// Wakes when leases were given.
    #[must_use]
    pub fn leases(&self) -> watch::Receiver<u64> {
        self.leases.subscribe()
    }

    /// Names every run that changed.
    #[must_use]
    pub fn runs(&self) -> broadcast::Receiver<RunId> {
        self.runs.subscribe()
    }

    /// What the store says of its commits.
    #[must_use]
    pub fn commits(&self) -> &Commits {
        &self.commits
    }

    /// Says that there may be work.
    pub fn announce_work(&self) {
        // nobody waiting is fine
        let _ = self.work.send(());
    }

    /// Says that leases were given.
    pub fn announce_leases(&self) {
        self.leases.send_modify(|epoch| *epoch = epoch.wrapping_add(1));
    }

    /// Says that a run changed.
    pub fn announce_run(&self, run: RunId) {
        // nobody listening is fine
        let _ = self.runs.send(run);
    }
}
