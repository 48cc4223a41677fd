//! [`Writer`]: the thread that changes the database (group commit). Requests that wait together share one transaction, each behind
//! a savepoint, and are answered after the commit: one fsync for all of them.

use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use bue_model::Timestamp;
use rusqlite::Connection;
use rusqlite::hooks::Wal;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use super::file_lock::FileLock;
use super::readers::ReaderThreads;
use super::write_tx::{Finished, WriteTx};
use super::writer_state::WriterState;
use crate::error::HubError;
use crate::jobs::run_cache::RunCache;
use crate::notifications::Notifications;
use crate::store::StoreFuture;

/// Requests in the queue; the senders of further ones wait (back-pressure).
const QUEUE_CAPACITY: usize = 1024;
/// Requests in one transaction. With more, the first one would wait long for its answer.
const MAX_GROUP: usize = 256;
/// Changed rows after which the remaining requests wait for the next transaction: to insert, lease and complete a thousand jobs
/// takes four thousand, and some ten milliseconds, compared to which an fsync is short.
const MAX_GROUP_ROWS: u64 = 4_000;

/// Pages in the write-ahead log that start a checkpoint when no request waits: four megabytes.
const CHECKPOINT_PAGES: i32 = 1_000;
/// Pages that start a checkpoint although requests wait, and although readers are at work. To recover a log of this size after a
/// crash takes a moment.
const FORCED_CHECKPOINT_PAGES: i32 = 8_000;

/// Answers a request: with its result, or with the error of the commit.
type Reply = Box<dyn FnOnce(Option<HubError>) + Send>;
/// A request: carries out its part of the transaction; without a context there is no transaction, and it fails.
type Request = Box<dyn FnOnce(Option<TxContext<'_>>) -> Outcome + Send>;

/// What a request came to.
struct Outcome {
    /// `None` where the request failed, and changed nothing.
    finished: Option<Finished>,
    reply: Reply,
}

/// What a transaction works on.
struct TxContext<'a> {
    db: &'a Connection,
    runs: &'a mut RunCache,
    state: &'a mut WriterState,
}

/// A handle of the thread.
#[derive(Debug, Clone)]
pub(super) struct Writer(Sender<Request>);

impl Writer {
    /// Starts the thread. When the last `Writer` is gone and all requests are answered, it waits for the readers to end, closes the
    /// database, and ends.
    pub(super) fn start(
        mut db: Connection,
        notifications: Arc<Notifications>,
        readers: ReaderThreads,
        lock: Option<FileLock>,
    ) -> std::io::Result<Self> {
        let (queue, requests) = channel(QUEUE_CAPACITY);
        let log_pages = Arc::new(AtomicI32::new(0));
        let counter = log_pages.clone();
        // in place of SQLite's own hook, which checkpoints during a commit, while requests wait for it
        let hook = db.wal_hook(Some(move |_: &mut Wal, pages| {
            counter.store(pages, Ordering::Relaxed);
            Ok(())
        }));
        hook.map_err(std::io::Error::other)?;
        let thread = std::thread::Builder::new().name("bue-store".to_owned());
        let checkpoints = Checkpoints { log_pages, done: 0, gate: readers.gate.clone() };
        let (runs, state, waiting) = Default::default();
        thread.spawn(move || {
            WriterLoop { db, runs, state, requests, waiting, notifications, checkpoints }.run(readers);
            // the connections are closed
            drop(lock);
        })?;
        Ok(Self(queue))
    }

    /// Carries out a request in a transaction, and answers once that is durable. `now` is `None` for a request that needs no time.
    pub(super) fn transact<T, F>(&self, now: Option<Timestamp>, request: F) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&mut WriteTx<'_>) -> Result<T, HubError> + Send + 'static,
    {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let request: Request = Box::new(move |context| {
                let result =
                    context.map_or(Err(HubError::Stopped), |context| execute_in_savepoint(context, now, request));
                let (finished, result) = split(result);
                let reply: Reply = Box::new(move |commit_error| {
                    // the caller may have gone away
                    let _ = answer.send(commit_error.map_or(result, Err));
                });
                Outcome { finished, reply }
            });
            self.0.send(request).await.map_err(|_| HubError::Stopped)?;
            answered.await.map_err(|_| HubError::Stopped)?
        })
    }
}

/// Carries out one request, and everything that follows from it, behind a savepoint.
fn execute_in_savepoint<T>(
    TxContext { db, runs, state }: TxContext<'_>,
    now: Option<Timestamp>,
    request: impl FnOnce(&mut WriteTx<'_>) -> Result<T, HubError>,
) -> Result<(T, Finished), HubError> {
    db.prepare_cached("SAVEPOINT request")?.execute([])?;
    let mut tx = WriteTx::new(db, runs, state, now);
    let result = request(&mut tx).and_then(|value| Ok((value, tx.finish()?)));
    if result.is_err() && !db.is_autocommit() {
        db.prepare_cached("ROLLBACK TO request")?.execute([])?;
        runs.clear();
    }
    if !db.is_autocommit() {
        db.prepare_cached("RELEASE request")?.execute([])?;
    }
    result
}

fn split<T>(result: Result<(T, Finished), HubError>) -> (Option<Finished>, Result<T, HubError>) {
    match result {
        Ok((value, finished)) => (Some(finished), Ok(value)),
        Err(error) => (None, Err(error)),
    }
}

/// Returns the fan-outs that an earlier process left with rounds to instantiate. Those without room for more yet do no harm.
fn unexpanded_fan_outs(db: &Connection) -> Result<BTreeSet<i64>, HubError> {
    let mut select = db.prepare("SELECT id FROM fanout WHERE expanded < count")?;
    Ok(select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

struct WriterLoop {
    db: Connection,
    /// Cleared after a rollback, because a key that was not committed is given to another run.
    runs: RunCache,
    state: WriterState,
    requests: Receiver<Request>,
    /// Requests that were received and had no room in the transaction.
    waiting: VecDeque<Request>,
    notifications: Arc<Notifications>,
    checkpoints: Checkpoints,
}

/// When the write-ahead log is copied into the database, so that it starts over.
struct Checkpoints {
    /// Pages in the log.
    log_pages: Arc<AtomicI32>,
    /// Pages in it when it was copied last.
    done: i32,
    /// Keeps readers out.
    gate: Arc<RwLock<()>>,
}

impl Checkpoints {
    /// Copies the log if it is long, unless somebody reads. If the log gets too long because somebody always does, waits for the
    /// readers, of whom none goes on before the checkpoint.
    ///
    /// A reader keeps what was committed since its beginning from being copied. The other part would be copied without being synced, and
    /// if a later sync failed, the database would have a part of it after a power cut, and the log nothing.
    fn run(&mut self, db: &Connection, is_idle: bool) {
        let pages = self.log_pages.load(Ordering::Relaxed);
        if pages < self.done {
            self.done = 0;
        }
        let is_forced = pages >= FORCED_CHECKPOINT_PAGES;
        if pages - self.done < CHECKPOINT_PAGES || !(is_idle || is_forced) {
            return;
        }
        let no_readers = match is_forced {
            true => Some(self.gate.write().unwrap_or_else(PoisonError::into_inner)),
            false => self.gate.try_write().ok(),
        };
        let Some(_no_readers) = no_readers else { return };
        self.done = pages;
        if let Err(error) = db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            // nothing is lost: it is in the log, and a later checkpoint copies it
            tracing::debug!(%error, "failed to checkpoint the database");
        }
    }
}

impl WriterLoop {
    fn run(mut self, readers: ReaderThreads) {
        match unexpanded_fan_outs(&self.db) {
            Ok(growing) => self.state.growing = growing,
            Err(error) => tracing::error!(%error, "failed to find the loops with rounds to start"),
        }
        while self.receive().is_continue() {
            let is_idle = self.run_transaction();
            self.checkpoints.run(&self.db, is_idle);
        }
        // the last connection that is closed leaves no log behind
        readers.join();
    }

    /// Waits for a request, unless there is something to do already, and receives all others that are in the queue.
    fn receive(&mut self) -> ControlFlow<()> {
        if self.waiting.is_empty() && self.state.growing.is_empty() {
            match self.requests.blocking_recv() {
                Some(request) => self.waiting.push_back(request),
                None => return ControlFlow::Break(()),
            }
        }
        while self.waiting.len() < MAX_GROUP {
            match self.requests.try_recv() {
                Ok(request) => self.waiting.push_back(request),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) if self.waiting.is_empty() => return ControlFlow::Break(()),
                Err(TryRecvError::Disconnected) => break,
            }
        }
        ControlFlow::Continue(())
    }

    /// Runs one transaction. Returns whether no request waits any more.
    fn run_transaction(&mut self) -> bool {
        let (mut all, mut replies) = (Vec::new(), Vec::new());
        let mut transaction = self.execute("BEGIN IMMEDIATE");
        let end = self.db.total_changes() + MAX_GROUP_ROWS;
        while let Some(request) = self.waiting.pop_front() {
            let context =
                transaction.is_ok().then_some(TxContext { db: &self.db, runs: &mut self.runs, state: &mut self.state });
            let Outcome { finished, reply } = request(context);
            all.extend(finished);
            replies.push(reply);
            transaction = transaction.and_then(|()| self.expect_open());
            if self.db.total_changes() >= end {
                break;
            }
        }
        if let Some(id) = self.state.growing.first().copied().filter(|_| transaction.is_ok()) {
            all.push(self.grow(id));
        }
        let started = Instant::now();
        let commit_error = transaction.and_then(|()| self.execute("COMMIT")).err().map(|error| error.to_string());
        self.notifications.commit_metrics().record(replies.len(), started.elapsed());
        match &commit_error {
            None => all.into_iter().for_each(|finished| self.announce(finished)),
            Some(error) => self.roll_back(error),
        }
        // before the callers send more requests
        let is_idle = self.waiting.is_empty() && self.requests.is_empty();
        for reply in replies {
            reply(commit_error.clone().map(HubError::NotCommitted));
        }
        is_idle
    }

    fn execute(&self, statement: &str) -> Result<(), HubError> {
        self.db.prepare_cached(statement)?.execute([])?;
        Ok(())
    }

    /// Fails if the transaction is not open any more: a full disk ends all of it, not only the statement that failed.
    fn expect_open(&self) -> Result<(), HubError> {
        match self.db.is_autocommit() {
            true => Err(HubError::NotCommitted("it rolled the transaction back; its disk may be full".to_owned())),
            false => Ok(()),
        }
    }

    /// Instantiates rounds of a fan-out that had no room in the transaction before.
    fn grow(&mut self, id: i64) -> Finished {
        let context = TxContext { db: &self.db, runs: &mut self.runs, state: &mut self.state };
        match execute_in_savepoint(context, None, |tx| tx.grow(id)) {
            Ok(((), finished)) => finished,
            Err(error) => {
                // tried again when one of its rounds changes, or when the database is opened again
                tracing::error!(fan_out = id, %error, "failed to start the next rounds of a loop");
                Finished { grown: [id].into(), ..Finished::default() }
            }
        }
    }

    fn roll_back(&mut self, commit_error: &str) {
        tracing::error!(error = commit_error, "failed to commit a transaction");
        self.runs.clear();
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "failed to roll a transaction back");
        }
    }

    fn announce(&mut self, Finished { pending_notifications, grown }: Finished) {
        for id in grown {
            self.state.growing.remove(&id);
        }
        self.state.growing.extend(pending_notifications.growing);
        if pending_notifications.work {
            self.notifications.notify_work();
        }
        if pending_notifications.leases {
            self.notifications.notify_leases();
        }
        if pending_notifications.schedules {
            self.notifications.notify_schedules();
        }
        if pending_notifications.expiries {
            self.notifications.notify_expiries();
        }
        for run in pending_notifications.runs {
            self.notifications.notify_run(run);
        }
        self.notifications.notify_ended(pending_notifications.ended);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use bue_test_support::wait::wait_until_async;
    use futures_util::future::{join, join_all};

    use super::*;
    use crate::sqlite::schema;

    /// A writer on an empty database that counts its commits, and allows only so many.
    fn writer(commits: &Arc<AtomicUsize>, allowed: usize) -> Writer {
        let mut db = Connection::open_in_memory().expect("a database");
        schema::migrate(&mut db, Path::new(":memory:")).expect("tables");
        let commits = commits.clone();
        let refuse = move || commits.fetch_add(1, Ordering::SeqCst) >= allowed;
        db.commit_hook(Some(refuse)).expect("a hook");
        Writer::start(db, Arc::default(), ReaderThreads::default(), None).expect("a thread")
    }

    /// Writes a number where every test can find it.
    fn write(tx: &mut WriteTx<'_>, number: i64) -> Result<(), HubError> {
        tx.db.execute("INSERT INTO failed (run, job) VALUES (1, ?1)", [number])?;
        Ok(())
    }

    async fn written(writer: &Writer) -> i64 {
        let count = |tx: &mut WriteTx<'_>| Ok(tx.db.query_row("SELECT count(*) FROM failed", [], |row| row.get(0))?);
        writer.transact(None, count).await.expect("a count")
    }

    /// Keeps the writer busy until all these requests are in its queue.
    async fn all_at_once<T>(writer: &Writer, requests: Vec<StoreFuture<'_, T>>) -> Vec<Result<T, HubError>> {
        let (open, gate) = mpsc::channel::<()>();
        let (starting, started) = oneshot::channel();
        let number = requests.len();
        let first = writer.transact(None, move |_| {
            let _ = starting.send(());
            let _ = gate.recv();
            Ok(())
        });
        let gatekeeper = async {
            let is_full = async || writer.0.max_capacity() - writer.0.capacity() >= number;
            wait_until_async("all requests are in the queue", is_full).await;
            open.send(()).expect("the writer waits");
        };
        let others = async {
            started.await.expect("it starts");
            join(join_all(requests), gatekeeper).await.0
        };
        let (first, answers) = join(first, others).await;
        first.expect("no work at all");
        answers
    }

    #[tokio::test]
    async fn requests_that_wait_together_are_one_commit() {
        let commits = Arc::new(AtomicUsize::new(0));
        let writer = writer(&commits, usize::MAX);
        let requests = (0..100).map(|number| writer.transact(None, move |tx| write(tx, number)));
        let answers = all_at_once(&writer, requests.collect()).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(commits.load(Ordering::SeqCst), 2, "one for the request that they waited for, one for all others");
        assert_eq!(written(&writer).await, 100);
    }

    #[tokio::test]
    async fn requests_behind_many_changed_rows_wait_for_the_next_commit() {
        let commits = Arc::new(AtomicUsize::new(0));
        let writer = writer(&commits, usize::MAX);
        let rows = i64::try_from(MAX_GROUP_ROWS).expect("small");
        let much = |number| writer.transact(None, move |tx| (0..rows).try_for_each(|at| write(tx, number * rows + at)));
        let answers = all_at_once(&writer, (0..5).map(much).collect()).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(commits.load(Ordering::SeqCst), 6, "one for the request that they waited for, and one each");
        assert_eq!(written(&writer).await, 5 * rows);
    }

    #[tokio::test]
    async fn a_request_that_fails_rolls_back_its_own_part_alone() {
        let writer = writer(&Arc::default(), usize::MAX);
        let request = |number| {
            writer.transact(None, move |tx| {
                write(tx, number)?;
                if number % 10 == 3 { Err(HubError::BadRequest("no".to_owned())) } else { Ok(()) }
            })
        };
        let answers = all_at_once(&writer, (0..50).map(request).collect()).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 5);
        assert_eq!(written(&writer).await, 45);
    }

    #[tokio::test]
    async fn a_commit_that_fails_fails_all_its_requests() {
        let writer = writer(&Arc::default(), 1);
        let requests = (0..10).map(|number| writer.transact(None, move |tx| write(tx, number)));
        for answer in all_at_once(&writer, requests.collect()).await {
            assert!(matches!(answer, Err(HubError::NotCommitted(_))), "{answer:?}");
        }
    }
}
