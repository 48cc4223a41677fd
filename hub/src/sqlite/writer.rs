//! The thread that owns the database. Requests that wait together are one transaction, each behind a savepoint of its own,
//! and are answered after the commit: one fsync for all of them.

use std::collections::{BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Instant;

use bue_model::Timestamp;
use rusqlite::Connection;
use rusqlite::hooks::Wal;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use super::ledger::{Effects, Ledger};
use super::memory::Memory;
use crate::error::HubError;
use crate::notifications::Notifications;
use crate::store::StoreFuture;

/// Requests that may wait for the writer; further ones wait for their turn in line.
const QUEUE: usize = 1024;
/// Requests in one transaction. More would let the first one wait long for its answer.
const GROUP: usize = 256;
/// Rows that are changed in one transaction, after which the requests that are left wait for the next one: a thousand jobs that
/// are made, given away and reported take four thousand, and some ten milliseconds, beside which a sync counts for little.
const GROUP_ROWS: u64 = 4_000;

/// Pages in the log after which it is moved into the database when nobody waits: four megabytes.
const LOG_PAGES: i32 = 1_000;
/// Pages after which it is moved although somebody does. Reading a log of this size after a crash takes a moment.
const MAX_LOG_PAGES: i32 = 8_000;

/// Tells whoever asked: with `None` what the request came to, with an error that the commit failed.
type Deliver = Box<dyn FnOnce(Option<HubError>) + Send>;
/// A request: its part of the transaction, or of none where there is no transaction to be had.
type Work = Box<dyn FnOnce(Option<Desk<'_>>) -> (Option<Effects>, Deliver) + Send>;

/// What a transaction works on.
struct Desk<'a> {
    db: &'a Connection,
    memory: &'a mut Memory,
}

/// The way to the thread.
#[derive(Debug, Clone)]
pub(super) struct Writer(Sender<Work>);

impl Writer {
    /// Starts the thread. It ends, and closes the database, when the last `Writer` is gone and all requests are answered.
    pub(super) fn start(mut db: Connection, notifications: Arc<Notifications>) -> std::io::Result<Self> {
        let (queue, requests) = channel(QUEUE);
        let log = Arc::new(AtomicI32::new(0));
        let grows = log.clone();
        // in place of SQLite's own hook, which moves the log inside of a commit, while everybody waits for it
        let hook = db.wal_hook(Some(move |_: &mut Wal, pages| {
            grows.store(pages, Ordering::Relaxed);
            Ok(())
        }));
        hook.map_err(std::io::Error::other)?;
        let thread = std::thread::Builder::new().name("bue-store".to_owned());
        let (memory, waiting) = Default::default();
        thread.spawn(move || Loop { db, memory, requests, waiting, notifications, log }.run())?;
        Ok(Self(queue))
    }

    /// Does something with the database, in a transaction, and answers when it is on the disk.
    pub(super) fn ask<T, F>(&self, now: Option<Timestamp>, verb: F) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Ledger<'_>) -> Result<T, HubError> + Send + 'static,
    {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let work: Work = Box::new(move |desk| {
                let done = desk.map_or(Err(HubError::Stopped), |desk| carry_out(desk, now, verb));
                let (effects, result) = split(done);
                let deliver: Deliver = Box::new(move |failed| {
                    // whoever asked may have gone away
                    let _ = answer.send(failed.map_or(result, Err));
                });
                (effects, deliver)
            });
            self.0.send(work).await.map_err(|_| HubError::Stopped)?;
            answered.await.map_err(|_| HubError::Stopped)?
        })
    }
}

/// One verb and everything that follows from it, behind a savepoint.
fn carry_out<T>(
    Desk { db, memory }: Desk<'_>,
    now: Option<Timestamp>,
    verb: impl FnOnce(&mut Ledger<'_>) -> Result<T, HubError>,
) -> Result<(T, Effects), HubError> {
    db.prepare_cached("SAVEPOINT request")?.execute([])?;
    let mut ledger = Ledger::new(db, memory, now);
    let done = verb(&mut ledger).and_then(|value| Ok((value, ledger.finish()?)));
    if done.is_err() && !db.is_autocommit() {
        db.prepare_cached("ROLLBACK TO request")?.execute([])?;
        memory.runs.clear();
    }
    if !db.is_autocommit() {
        db.prepare_cached("RELEASE request")?.execute([])?;
    }
    done
}

fn split<T>(done: Result<(T, Effects), HubError>) -> (Option<Effects>, Result<T, HubError>) {
    match done {
        Ok((value, effects)) => (Some(effects), Ok(value)),
        Err(error) => (None, Err(error)),
    }
}

/// Fan-outs that an earlier process left with rounds to make. Those that have no room for more yet are looked at in vain.
fn fan_outs_to_grow(db: &Connection) -> Result<BTreeSet<i64>, HubError> {
    let mut select = db.prepare("SELECT id FROM fanout WHERE expanded < count")?;
    Ok(select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

struct Loop {
    db: Connection,
    memory: Memory,
    requests: Receiver<Work>,
    /// Requests that were taken in and had no room in the transaction.
    waiting: VecDeque<Work>,
    notifications: Arc<Notifications>,
    /// Pages in the log.
    log: Arc<AtomicI32>,
}

impl Loop {
    fn run(mut self) {
        match fan_outs_to_grow(&self.db) {
            Ok(growing) => self.memory.growing = growing,
            Err(error) => tracing::error!(%error, "could not look for loops with rounds to make"),
        }
        while self.take_in().is_continue() {
            let is_idle = self.serve();
            self.move_log(is_idle);
        }
    }

    /// What is in the log goes into the database, so that the log begins anew.
    fn move_log(&self, is_idle: bool) {
        let pages = self.log.load(Ordering::Relaxed);
        if pages < LOG_PAGES || (pages < MAX_LOG_PAGES && !is_idle) {
            return;
        }
        self.log.store(0, Ordering::Relaxed);
        if let Err(error) = self.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(())) {
            // nothing is lost: it is in the log, and is moved later
            tracing::debug!(%error, "could not move the log into the database");
        }
    }

    /// Waits for a request, unless there is something to do already, and takes in all others that are there.
    fn take_in(&mut self) -> ControlFlow<()> {
        if self.waiting.is_empty() && self.memory.growing.is_empty() {
            match self.requests.blocking_recv() {
                Some(work) => self.waiting.push_back(work),
                None => return ControlFlow::Break(()),
            }
        }
        while self.waiting.len() < GROUP {
            match self.requests.try_recv() {
                Ok(work) => self.waiting.push_back(work),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) if self.waiting.is_empty() => return ControlFlow::Break(()),
                Err(TryRecvError::Disconnected) => break,
            }
        }
        ControlFlow::Continue(())
    }

    /// One transaction. Whether nobody waits any more.
    fn serve(&mut self) -> bool {
        let (mut all, mut deliveries) = (Vec::new(), Vec::new());
        let mut transaction = self.say("BEGIN IMMEDIATE");
        let end = self.db.total_changes() + GROUP_ROWS;
        while let Some(work) = self.waiting.pop_front() {
            let desk = transaction.is_ok().then_some(Desk { db: &self.db, memory: &mut self.memory });
            let (effects, deliver) = work(desk);
            all.extend(effects);
            deliveries.push(deliver);
            transaction = transaction.and_then(|()| self.still_open());
            if self.db.total_changes() >= end {
                break;
            }
        }
        if let Some(id) = self.memory.growing.first().copied().filter(|_| transaction.is_ok()) {
            all.push(self.grow(id));
        }
        let began = Instant::now();
        let failed = transaction.and_then(|()| self.say("COMMIT")).err().map(|error| error.to_string());
        self.notifications.commit_metrics().record(deliveries.len(), began.elapsed());
        match &failed {
            None => all.into_iter().for_each(|effects| self.announce(effects)),
            Some(error) => self.undo(error),
        }
        // before those who were served ask for more
        let is_idle = self.waiting.is_empty() && self.requests.is_empty();
        for deliver in deliveries {
            deliver(failed.clone().map(HubError::NotCommitted));
        }
        is_idle
    }

    fn say(&self, statement: &str) -> Result<(), HubError> {
        self.db.prepare_cached(statement)?.execute([])?;
        Ok(())
    }

    /// A full disk ends the whole transaction, not only the statement that met it.
    fn still_open(&self) -> Result<(), HubError> {
        match self.db.is_autocommit() {
            true => Err(HubError::NotCommitted("it undid the transaction; its disk may be full".to_owned())),
            false => Ok(()),
        }
    }

    /// The next window of a fan-out that could not be made at once.
    fn grow(&mut self, id: i64) -> Effects {
        let grown = carry_out(Desk { db: &self.db, memory: &mut self.memory }, None, |ledger| ledger.grow(id));
        match grown {
            Ok(((), effects)) => effects,
            Err(error) => {
                // tried again with the next change of one of its rounds, or when the database is opened again
                tracing::error!(fan_out = id, %error, "could not make the next rounds of a loop");
                Effects { grown: [id].into(), ..Effects::default() }
            }
        }
    }

    fn undo(&mut self, failed: &str) {
        tracing::error!(error = failed, "the database did not take a transaction");
        self.memory.runs.clear();
        if !self.db.is_autocommit()
            && let Err(error) = self.db.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "the database did not undo a transaction");
        }
    }

    fn announce(&mut self, effects: Effects) {
        for id in effects.grown {
            self.memory.growing.remove(&id);
        }
        self.memory.growing.extend(effects.growing);
        if effects.work {
            self.notifications.notify_work();
        }
        if effects.leases {
            self.notifications.notify_leases();
        }
        for run in effects.runs {
            self.notifications.notify_run(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use futures_util::future::{join, join_all};

    use super::*;
    use crate::sqlite::schema;

    /// A writer on an empty database that counts its commits, and lets only so many through.
    fn writer(commits: &Arc<AtomicUsize>, allowed: usize) -> Writer {
        let mut db = Connection::open_in_memory().expect("a database");
        schema::migrate(&mut db, Path::new(":memory:")).expect("tables");
        let commits = commits.clone();
        let refuse = move || commits.fetch_add(1, Ordering::SeqCst) >= allowed;
        db.commit_hook(Some(refuse)).expect("a hook");
        Writer::start(db, Arc::default()).expect("a thread")
    }

    /// Writes a number where every test can find it.
    fn write(ledger: &mut Ledger<'_>, number: i64) -> Result<(), HubError> {
        ledger.db.execute("INSERT INTO failed (run, job) VALUES (1, ?1)", [number])?;
        Ok(())
    }

    async fn written(writer: &Writer) -> i64 {
        let count =
            |ledger: &mut Ledger<'_>| Ok(ledger.db.query_row("SELECT count(*) FROM failed", [], |row| row.get(0))?);
        writer.ask(None, count).await.expect("a count")
    }

    /// Keeps the writer busy until all these stand in line.
    async fn all_at_once<T>(writer: &Writer, requests: Vec<StoreFuture<'_, T>>) -> Vec<Result<T, HubError>> {
        let (open, gate) = mpsc::channel::<()>();
        let (begin, begun) = oneshot::channel();
        let number = requests.len();
        let first = writer.ask(None, move |_| {
            let _ = begin.send(());
            let _ = gate.recv();
            Ok(())
        });
        let gatekeeper = async {
            while writer.0.max_capacity() - writer.0.capacity() < number {
                tokio::task::yield_now().await;
            }
            open.send(()).expect("the writer waits");
        };
        let others = async {
            begun.await.expect("it begins");
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
        let requests = (0..100).map(|number| writer.ask(None, move |ledger| write(ledger, number)));
        let answers = all_at_once(&writer, requests.collect()).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(commits.load(Ordering::SeqCst), 2, "one for the request that held them up, one for all others");
        assert_eq!(written(&writer).await, 100);
    }

    #[tokio::test]
    async fn those_behind_much_work_wait_for_the_next_commit() {
        let commits = Arc::new(AtomicUsize::new(0));
        let writer = writer(&commits, usize::MAX);
        let rows = i64::try_from(GROUP_ROWS).expect("small");
        let much =
            |number| writer.ask(None, move |ledger| (0..rows).try_for_each(|at| write(ledger, number * rows + at)));
        let answers = all_at_once(&writer, (0..5).map(much).collect()).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(commits.load(Ordering::SeqCst), 6, "one for the request that held them up, and one each");
        assert_eq!(written(&writer).await, 5 * rows);
    }

    #[tokio::test]
    async fn a_request_that_fails_takes_back_its_own_part_alone() {
        let writer = writer(&Arc::default(), usize::MAX);
        let request = |number| {
            writer.ask(None, move |ledger| {
                write(ledger, number)?;
                if number % 10 == 3 { Err(HubError::BadRequest("no".to_owned())) } else { Ok(()) }
            })
        };
        let answers = all_at_once(&writer, (0..50).map(request).collect()).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 5);
        assert_eq!(written(&writer).await, 45);
    }

    #[tokio::test]
    async fn a_commit_that_fails_is_nobodys_success() {
        let writer = writer(&Arc::default(), 1);
        let requests = (0..10).map(|number| writer.ask(None, move |ledger| write(ledger, number)));
        for answer in all_at_once(&writer, requests.collect()).await {
            assert!(matches!(answer, Err(HubError::NotCommitted(_))), "{answer:?}");
        }
    }
}
