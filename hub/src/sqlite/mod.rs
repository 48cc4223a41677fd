//! [`SqliteStore`]: the [`JobStore`] on an embedded SQLite database, for one hub.
//!
//! ```text
//! SqliteStore --channel--> writer (the thread that changes the database)
//!     |                      | one transaction for all requests that wait (group commit)
//!     |                    WriteTx, one per request
//!     |  leasing           operations reruns expiry runs
//!     |     |                           |
//!     |    pick              read --> ChangeSet --> write
//!     +-----channel--> readers (threads that read what is committed)
//!                        ReadTx, one per request --> views
//! ```
//! Uses `jobs` for all rules; here are queries, statements, and the thread that runs them.

mod expiry;
mod file_lock;
mod leasing;
mod operations;
mod pipelines;
mod read;
mod read_tx;
mod readers;
mod records;
mod reruns;
mod runs;
mod schedules;
mod schema;
mod state;
mod views;
mod write;
mod write_tx;
mod writer;
mod writer_state;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bue_model::failed_jobs::FailureGroupPage;
use bue_model::history::{HistorySample, HistoryView};
use bue_model::pipeline::{Invoked, PipelineSummary, PipelineView, Publication, Published};
use bue_model::schedule::{AppliedSchedule, BackfillProgress, SchedulePage, ScheduleView, ScheduledRun};
use bue_model::wire::{
    Changed, Collection, Heartbeat, HeartbeatAnswer, JobPage, JobQuery, JobView, LeaseBatch, LeaseRequest, ListPiece,
    PieceVerdict, ReportBatch, ResultCursor, ResultPage, RunView, Submission, Verdict, WhyView,
};
use bue_model::{JobId, RunId, Timestamp, TraceContext, ValueRef};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::durability::Durability;
use crate::error::HubError;
use crate::jobs::counts::tally::Tally;
use crate::jobs::views::failed_list::{FailedList, FailedQuery};
use crate::jobs::views::run_list::{RunList, RunQuery};
use crate::lease_key::LeaseKey;
use crate::notifications::Notifications;
use crate::pipelines::Invocation;
use crate::records::audit::{AuditEntry, AuditList, AuditQuery};
use crate::records::history::{Tier, view_of};
use crate::reruns::{Rerun, StoredPlan};
use crate::schedules::backfill::Backfill;
use crate::schedules::firing::FiredSchedules;
use crate::schedules::request::{ScheduleAction, ScheduleUpdate};
use crate::store::{ExpiredJobs, JobResult, JobStore, LEASE_MS, LeaseAnswer, ReapedJobs, StoreFuture};
use file_lock::FileLock;
use read_tx::ReadTx;
use readers::{READERS, ReaderThreads, Readers};
use writer::Writer;

/// Prepared statements in the cache, more than this crate has.
const STATEMENTS: usize = 256;
/// The path of a database in memory.
const IN_MEMORY: &str = ":memory:";
/// KiB of the page caches of the writer and of each reader.
const WRITER_CACHE_KIB: i32 = 65_536;
const READER_CACHE_KIB: i32 = 16_384;
/// Time for the process before this one to close the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for that before it is reported.
const FREE_TIMEOUT: Duration = Duration::from_millis(200);

/// Runs and jobs in an SQLite database. One process at a time can have it open.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: Writer,
    /// `None` for a database in memory, which has one connection.
    readers: Option<Readers>,
    notifications: Arc<Notifications>,
    lease_ms: u64,
}

impl SqliteStore {
    /// Opens a database file, which is created if missing, or `:memory:`. Migrates an older layout.
    ///
    /// # Errors
    /// The file cannot be opened or written, is no database, is of a later release, or is in use.
    pub fn open(path: &Path, durability: Durability) -> Result<Self, HubError> {
        let opened = open(path, durability).map_err(|error| match error {
            HubError::Database(error) if is_busy(&error) => HubError::InUse(path.to_owned()),
            error => error,
        });
        let Opened { lock, writer, readers } = opened?;
        let notifications = Arc::new(Notifications::default());
        let disk_error = |source| HubError::Disk { what: path.to_owned(), source };
        let (readers, threads) = match readers.is_empty() {
            true => (None, ReaderThreads::default()),
            false => Readers::start(readers).map(|(readers, threads)| (Some(readers), threads)).map_err(disk_error)?,
        };
        let writer = Writer::start(writer, notifications.clone(), threads, lock).map_err(disk_error)?;
        Ok(Self { writer, readers, notifications, lease_ms: LEASE_MS })
    }

    /// Sets how many milliseconds a lease lasts, instead of [`LEASE_MS`].
    #[must_use]
    pub fn with_lease_ms(self, lease_ms: u64) -> Self {
        Self { lease_ms, ..self }
    }

    /// Carries out a request that only reads.
    fn read<T, F>(&self, request: F) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&mut ReadTx<'_>) -> Result<T, HubError> + Send + 'static,
    {
        match &self.readers {
            Some(readers) => readers.read(request),
            None => self.writer.transact(None, move |tx| request(tx)),
        }
    }
}

/// The connections to a database.
struct Opened {
    lock: Option<FileLock>,
    writer: Connection,
    readers: Vec<Connection>,
}

/// Opens the file. Waits while another process has it open, and says so.
fn open(path: &Path, durability: Durability) -> Result<Opened, HubError> {
    match open_within(path, durability, FREE_TIMEOUT) {
        Err(error) if is_in_use(&error) => {
            tracing::warn!(file = %path.display(), "another process has the database open; waiting {BUSY_TIMEOUT:?} for it to end");
            open_within(path, durability, BUSY_TIMEOUT)
        }
        opened => opened,
    }
}

fn is_in_use(error: &HubError) -> bool {
    match error {
        HubError::Database(error) => is_busy(error),
        HubError::InUse(_) => true,
        _ => false,
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

fn open_within(path: &Path, durability: Durability, busy_timeout: Duration) -> Result<Opened, HubError> {
    let is_in_memory = path == Path::new(IN_MEMORY);
    let lock = if is_in_memory { None } else { Some(FileLock::acquire(path, busy_timeout)?) };
    let mut writer = connect(path, busy_timeout)?;
    configure(&writer, durability)?;
    schema::migrate(&mut writer, path)?;
    let readers = if is_in_memory { 0 } else { READERS };
    let readers = (0..readers).map(|_| open_reader(path, busy_timeout)).collect::<Result<_, _>>()?;
    Ok(Opened { lock, writer, readers })
}

/// Opens a connection. The file system layer `unix-excl` locks the file for this process, so that no other one can change what is cached
/// of it, and coordinates the connections of the process in memory, without a file beside the database.
fn connect(path: &Path, busy_timeout: Duration) -> Result<Connection, HubError> {
    let db = Connection::open_with_flags_and_vfs(path, OpenFlags::default(), c"unix-excl")?;
    db.busy_timeout(busy_timeout)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    // a statement is prepared once, not again for every other value of a LIMIT
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // temporary tables and sorts stay in memory
    db.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(db)
}

fn configure(db: &Connection, durability: Durability) -> Result<(), HubError> {
    // commits append to a log beside the file, and one fsync makes them durable
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    db.pragma_update(None, "synchronous", durability.synchronous())?;
    db.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    Ok(())
}

/// Opens a connection that reads. It is not read-only to SQLite, whose lock on the file would then be another one.
fn open_reader(path: &Path, busy_timeout: Duration) -> Result<Connection, HubError> {
    let db = connect(path, busy_timeout)?;
    db.pragma_update(None, "query_only", true)?;
    db.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    Ok(db)
}

impl JobStore for SqliteStore {
    fn submit_in_trace(
        &self,
        now: Timestamp,
        submission: Submission,
        parent: Option<TraceContext>,
    ) -> StoreFuture<'_, RunId> {
        self.writer.transact(Some(now), move |tx| tx.submit(submission, parent))
    }

    fn lease(&self, now: Timestamp, request: LeaseRequest) -> StoreFuture<'_, LeaseAnswer> {
        let lease_ms = self.lease_ms;
        self.writer.transact(Some(now), move |tx| tx.lease(request, lease_ms))
    }

    fn lease_ms(&self) -> u64 {
        self.lease_ms
    }

    fn heartbeat(&self, now: Timestamp, heartbeat: Heartbeat) -> StoreFuture<'_, HeartbeatAnswer> {
        let lease_ms = self.lease_ms;
        self.writer.transact(Some(now), move |tx| tx.heartbeat(&heartbeat, lease_ms))
    }

    fn complete(&self, now: Timestamp, batch: ReportBatch) -> StoreFuture<'_, Vec<Verdict>> {
        self.writer.transact(Some(now), move |tx| tx.complete(&batch.reports))
    }

    fn record_piece(&self, now: Timestamp, piece: ListPiece) -> StoreFuture<'_, PieceVerdict> {
        self.writer.transact(Some(now), move |tx| tx.record_piece(&piece))
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method path has one lifetime, and is not general enough"
    )]
    fn reap(&self, now: Timestamp) -> StoreFuture<'_, ReapedJobs> {
        self.writer.transact(Some(now), |tx| tx.reap())
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method path has one lifetime, and is not general enough"
    )]
    fn expire(&self, now: Timestamp) -> StoreFuture<'_, ExpiredJobs> {
        self.writer.transact(Some(now), |tx| tx.expire())
    }

    fn publish(&self, now: Timestamp, name: String, publication: Publication) -> StoreFuture<'_, Published> {
        self.writer.transact(Some(now), move |tx| tx.publish(&name, &publication))
    }

    fn unpublish(&self, name: String) -> StoreFuture<'_, ()> {
        self.writer.transact(None, move |tx| tx.unpublish(&name))
    }

    fn pipelines(&self) -> StoreFuture<'_, Vec<PipelineSummary>> {
        self.read(|tx| tx.pipelines())
    }

    fn pipeline(&self, name: String) -> StoreFuture<'_, Option<PipelineView>> {
        self.read(move |tx| tx.pipeline(&name))
    }

    fn pipeline_of(&self, run: RunId) -> StoreFuture<'_, Option<String>> {
        self.read(move |tx| tx.pipeline_of(run))
    }

    fn invoke(&self, now: Timestamp, invocations: Vec<Invocation>) -> StoreFuture<'_, Vec<Invoked>> {
        self.writer.transact(Some(now), move |tx| tx.invoke(&invocations))
    }

    fn rerun(&self, now: Timestamp, rerun: Rerun) -> StoreFuture<'_, Invoked> {
        self.writer.transact(Some(now), move |tx| tx.rerun(&rerun))
    }

    fn stored_plan(&self, run: RunId) -> StoreFuture<'_, Option<StoredPlan>> {
        self.read(move |tx| tx.stored_plan(run))
    }

    fn put_schedules(&self, now: Timestamp, update: ScheduleUpdate) -> StoreFuture<'_, Vec<AppliedSchedule>> {
        self.writer.transact(Some(now), move |tx| tx.put_schedules(&update))
    }

    fn change_schedule(&self, now: Timestamp, name: String, action: ScheduleAction) -> StoreFuture<'_, ()> {
        self.writer.transact(Some(now), move |tx| tx.change_schedule(&name, action))
    }

    fn schedules(&self, after: String, limit: u32) -> StoreFuture<'_, SchedulePage> {
        self.read(move |tx| tx.schedules(&after, limit))
    }

    fn schedule(&self, name: String) -> StoreFuture<'_, Option<ScheduleView>> {
        self.read(move |tx| tx.schedule(&name))
    }

    fn schedule_runs(&self, name: String, limit: u32) -> StoreFuture<'_, Vec<ScheduledRun>> {
        self.read(move |tx| tx.schedule_runs(&name, limit))
    }

    fn run_schedule(&self, now: Timestamp, name: String, run: RunId) -> StoreFuture<'_, Invoked> {
        self.writer.transact(Some(now), move |tx| tx.run_schedule(&name, run))
    }

    fn backfill(&self, now: Timestamp, name: String, backfill: Backfill) -> StoreFuture<'_, BackfillProgress> {
        self.writer.transact(Some(now), move |tx| tx.backfill(&name, &backfill))
    }

    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "the method path has one lifetime, and is not general enough"
    )]
    fn fire_schedules(&self, now: Timestamp) -> StoreFuture<'_, FiredSchedules> {
        self.writer.transact(Some(now), |tx| tx.fire_schedules())
    }

    fn cancel_run(&self, now: Timestamp, run: RunId) -> StoreFuture<'_, Changed> {
        self.writer.transact(Some(now), move |tx| tx.cancel_run(run))
    }

    fn reset_run(&self, now: Timestamp, run: RunId) -> StoreFuture<'_, Changed> {
        self.writer.transact(Some(now), move |tx| tx.reset_run(run))
    }

    fn cancel_job(&self, now: Timestamp, job: JobId) -> StoreFuture<'_, Changed> {
        self.writer.transact(Some(now), move |tx| tx.cancel_job(job))
    }

    fn reset_job(&self, now: Timestamp, job: JobId) -> StoreFuture<'_, Changed> {
        self.writer.transact(Some(now), move |tx| tx.reset_job(job))
    }

    fn delete_run(&self, run: RunId) -> StoreFuture<'_, ()> {
        self.writer.transact(None, move |tx| tx.delete_run(run))
    }

    fn ended_runs(&self, before: Timestamp, limit: u32) -> StoreFuture<'_, Vec<RunId>> {
        self.read(move |tx| tx.ended_runs(before, limit))
    }

    fn gc_roots(&self) -> StoreFuture<'_, Collection> {
        self.writer.transact(None, |tx| tx.gc_roots())
    }

    fn run(&self, run: RunId) -> StoreFuture<'_, Option<RunView>> {
        self.read(move |tx| tx.run_view(run))
    }

    fn run_page(&self, query: RunQuery) -> StoreFuture<'_, RunList> {
        self.read(move |tx| tx.run_page(&query))
    }

    fn failed_page(&self, query: FailedQuery) -> StoreFuture<'_, FailedList> {
        self.read(move |tx| tx.failed_page(&query))
    }

    fn failure_groups(&self, query: FailedQuery) -> StoreFuture<'_, FailureGroupPage> {
        self.read(move |tx| tx.failure_groups(&query))
    }

    fn runs_in(&self, ids: RangeInclusive<RunId>, limit: u32) -> StoreFuture<'_, Vec<RunView>> {
        self.read(move |tx| tx.runs_in(&ids, limit))
    }

    fn jobs(&self, run: RunId, query: JobQuery) -> StoreFuture<'_, Option<JobPage>> {
        self.read(move |tx| tx.jobs(run, &query))
    }

    fn results(&self, run: RunId, cursor: ResultCursor) -> StoreFuture<'_, Option<ResultPage>> {
        self.read(move |tx| tx.results(run, cursor))
    }

    fn job(&self, job: JobId) -> StoreFuture<'_, Option<JobView>> {
        self.read(move |tx| tx.job_view(job))
    }

    fn running_jobs(&self, limit: u32) -> StoreFuture<'_, Vec<JobView>> {
        self.read(move |tx| tx.running_jobs(limit))
    }

    fn job_result(&self, job: JobId) -> StoreFuture<'_, Option<JobResult>> {
        self.read(move |tx| tx.job_result(job))
    }

    fn why(&self, job: JobId) -> StoreFuture<'_, Option<WhyView>> {
        self.writer.transact(None, move |tx| tx.why(job))
    }

    fn task(&self, job: JobId) -> StoreFuture<'_, Option<LeaseBatch>> {
        self.read(move |tx| tx.task(job))
    }

    fn script_scopes(&self, job: JobId) -> StoreFuture<'_, Option<BTreeSet<String>>> {
        self.read(move |tx| tx.script_scopes(job))
    }

    fn log(&self, job: JobId) -> StoreFuture<'_, Option<Option<ValueRef>>> {
        self.read(move |tx| tx.log(job))
    }

    fn tally(&self, now: Timestamp) -> StoreFuture<'_, Tally> {
        self.read(move |tx| tx.tally(now))
    }

    fn record_audit(&self, now: Timestamp, entry: AuditEntry) -> StoreFuture<'_, ()> {
        self.writer.transact(Some(now), move |tx| tx.record_audit(&entry))
    }

    fn audit_page(&self, query: AuditQuery) -> StoreFuture<'_, AuditList> {
        self.read(move |tx| tx.audit_page(&query))
    }

    fn delete_audit(&self, before: Timestamp, limit: u32) -> StoreFuture<'_, u64> {
        self.writer.transact(None, move |tx| tx.delete_audit(before, limit))
    }

    fn record_sample(&self, sample: HistorySample) -> StoreFuture<'_, ()> {
        self.writer.transact(None, move |tx| tx.record_sample(&sample))
    }

    fn history(&self, now: Timestamp, period: RangeInclusive<Timestamp>) -> StoreFuture<'_, HistoryView> {
        let tier = Tier::of_age(*period.start(), now);
        self.read(move |tx| Ok(view_of(tier, &period, tx.history(tier, &period)?)))
    }

    fn lease_key(&self) -> StoreFuture<'_, LeaseKey> {
        self.writer.transact(None, |tx| tx.lease_key())
    }

    fn notifications(&self) -> &Notifications {
        &self.notifications
    }
}
