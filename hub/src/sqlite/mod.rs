//! [`SqliteStore`]: the [`JobStore`] on an embedded database, for one hub.
//!
//! ```text
//! SqliteStore --channel--> writer (a thread, owns the database)
//!                            | one transaction for all that wait
//!                          Ledger, one a request
//!         lease            submit complete reap reset cancel        view results
//!           |                           |
//!          pick               read --> Draft --> write
//! ```

mod cancel_run;
mod delete;
mod holdings;
mod inputs;
mod lease;
mod ledger;
mod memory;
mod pick;
mod rate;
mod read;
mod results;
mod schema;
mod state;
mod tally;
mod verbs;
mod view;
mod why;
mod write;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bue_model::wire::{
    Changed, Collection, Heartbeat, HeartbeatAnswer, JobView, LeaseBatch, LeaseRequest, ReportBatch, ResultCursor,
    ResultPage, RunView, Submission, Verdict, WhyView,
};
use bue_model::{JobId, RunId, Timestamp, ValueRef};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use crate::durability::Durability;
use crate::error::HubError;
use crate::jobs::tally::Tally;
use crate::notifications::Notifications;
use crate::store::{JobStore, LEASE_MS, LeaseAnswer, ReapedJobs, StoreFuture};
use writer::Writer;

/// Statements kept prepared; there are fewer in this program.
const STATEMENTS: usize = 256;
/// The process before this one may still be closing the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs and jobs in an SQLite database. One process at a time may have it open.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: Writer,
    notifications: Arc<Notifications>,
    lease_ms: u64,
}

impl SqliteStore {
    /// Opens a database file, made if missing, or `:memory:`. Brings an older layout up to date.
    ///
    /// # Errors
    /// The file cannot be opened or written, is no database, or of a later release.
    pub fn open(path: &Path, durability: Durability) -> Result<Self, HubError> {
        let db = open(path, durability).map_err(|error| match error {
            HubError::Database(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                HubError::InUse(path.to_owned())
            }
            error => error,
        })?;
        let notifications = Arc::new(Notifications::default());
        let writer = Writer::start(db, notifications.clone())
            .map_err(|source| HubError::Disk { what: path.to_owned(), source })?;
        Ok(Self { writer, notifications, lease_ms: LEASE_MS })
    }

    /// The same with leases that last so many milliseconds, instead of [`LEASE_MS`].
    #[must_use]
    pub fn with_lease_ms(self, lease_ms: u64) -> Self {
        Self { lease_ms, ..self }
    }
}

fn open(path: &Path, durability: Durability) -> Result<Connection, HubError> {
    let mut db = Connection::open(path)?;
    configure(&db, durability)?;
    schema::migrate(&mut db, path)?;
    Ok(db)
}

fn configure(db: &Connection, durability: Durability) -> Result<(), HubError> {
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.busy_timeout(BUSY_TIMEOUT)?;
    // what the writer remembers of the file must not change behind its back
    db.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
    // a log beside the file: commits append to it, and one fsync makes them durable
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Off => "OFF",
    };
    db.pragma_update(None, "synchronous", synchronous)?;
    // a statement is prepared once, not again for every other value of a LIMIT
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // pages are kept for 64 MiB; temporary tables and sorts stay in memory
    db.pragma_update(None, "cache_size", -65_536)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(())
}

impl JobStore for SqliteStore {
    fn submit(&self, now: Timestamp, submission: Submission) -> StoreFuture<'_, RunId> {
        self.writer.ask(Some(now), |ledger| ledger.submit(submission))
    }

    fn lease(&self, now: Timestamp, request: LeaseRequest) -> StoreFuture<'_, LeaseAnswer> {
        let lease_ms = self.lease_ms;
        self.writer.ask(Some(now), move |ledger| ledger.lease(request, lease_ms))
    }

    fn lease_ms(&self) -> u64 {
        self.lease_ms
    }

    fn heartbeat(&self, now: Timestamp, heartbeat: Heartbeat) -> StoreFuture<'_, HeartbeatAnswer> {
        let lease_ms = self.lease_ms;
        self.writer.ask(Some(now), move |ledger| ledger.heartbeat(&heartbeat, lease_ms))
    }

    fn complete(&self, now: Timestamp, batch: ReportBatch) -> StoreFuture<'_, Vec<Verdict>> {
        self.writer.ask(Some(now), move |ledger| ledger.complete(&batch.reports))
    }

    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone stands for one lifetime only")]
    fn reap(&self, now: Timestamp) -> StoreFuture<'_, ReapedJobs> {
        self.writer.ask(Some(now), |ledger| ledger.reap())
    }

    fn cancel_run(&self, now: Timestamp, run: RunId) -> StoreFuture<'_, Changed> {
        self.writer.ask(Some(now), move |ledger| ledger.cancel_run(run))
    }

    fn reset_run(&self, now: Timestamp, run: RunId) -> StoreFuture<'_, Changed> {
        self.writer.ask(Some(now), move |ledger| ledger.reset_run(run))
    }

    fn cancel_job(&self, now: Timestamp, job: JobId) -> StoreFuture<'_, Changed> {
        self.writer.ask(Some(now), move |ledger| ledger.cancel_job(job))
    }

    fn reset_job(&self, now: Timestamp, job: JobId) -> StoreFuture<'_, Changed> {
        self.writer.ask(Some(now), move |ledger| ledger.reset_job(job))
    }

    fn delete_run(&self, run: RunId) -> StoreFuture<'_, ()> {
        self.writer.ask(None, move |ledger| ledger.delete_run(run))
    }

    fn ended_runs(&self, before: Timestamp, limit: u32) -> StoreFuture<'_, Vec<RunId>> {
        self.writer.ask(None, move |ledger| ledger.ended_runs(before, limit))
    }

    fn gc_roots(&self) -> StoreFuture<'_, Collection> {
        self.writer.ask(None, |ledger| ledger.gc_roots())
    }

    fn run(&self, run: RunId) -> StoreFuture<'_, Option<RunView>> {
        self.writer.ask(None, move |ledger| ledger.run_view(run))
    }

    fn runs(&self, limit: u32) -> StoreFuture<'_, Vec<RunView>> {
        self.writer.ask(None, move |ledger| ledger.run_views(limit))
    }

    fn results(&self, run: RunId, cursor: ResultCursor) -> StoreFuture<'_, Option<ResultPage>> {
        self.writer.ask(None, move |ledger| ledger.results(run, cursor))
    }

    fn job(&self, job: JobId) -> StoreFuture<'_, Option<JobView>> {
        self.writer.ask(None, move |ledger| ledger.job_view(job))
    }

    fn why(&self, job: JobId) -> StoreFuture<'_, Option<WhyView>> {
        self.writer.ask(None, move |ledger| ledger.why(job))
    }

    fn task(&self, job: JobId) -> StoreFuture<'_, Option<LeaseBatch>> {
        self.writer.ask(None, move |ledger| ledger.task(job))
    }

    fn log(&self, job: JobId) -> StoreFuture<'_, Option<Option<ValueRef>>> {
        self.writer.ask(None, move |ledger| ledger.log(job))
    }

    #[expect(clippy::redundant_closure_for_method_calls, reason = "the method alone stands for one lifetime only")]
    fn tally(&self) -> StoreFuture<'_, Tally> {
        self.writer.ask(None, |ledger| ledger.tally())
    }

    fn notifications(&self) -> &Notifications {
        &self.notifications
    }
}
