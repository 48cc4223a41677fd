//! [`Readers`]: threads that read what people and scripts ask for, each with a connection of its own, so that no list holds up the
//! [`Writer`](super::writer::Writer).
//!
//! A request sees what was committed before it was sent: its transaction begins when a thread takes it from the queue, and the writer
//! answers after its commit. It sees all of one commit or nothing, and later commits not at all. Every request is bounded, in rows
//! that it looks at, so that the log is soon free to start over (see `Checkpoints` in `writer.rs`).

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::oneshot;

use super::read_tx::ReadTx;
use crate::error::HubError;
use crate::jobs::run_cache::RunCache;
use crate::store::StoreFuture;

/// Threads: while one is busy with a long list, another one reads single jobs and runs.
pub(super) const READERS: usize = 2;
/// Requests in the queue; the senders of further ones wait (back-pressure).
const QUEUE_CAPACITY: usize = 1024;
/// Bytes of the graphs that each reader caches.
const MAX_GRAPH_BYTES: usize = 32 * 1024 * 1024;

/// Carries out a request and answers it; without a transaction, it fails.
type Request = Box<dyn FnOnce(Result<ReadTx<'_>, HubError>) + Send>;

/// A handle of the threads, which end when the last one is gone and all requests are answered.
#[derive(Clone, Debug)]
pub(super) struct Readers(Sender<Request>);

/// What the writer needs of the threads.
#[derive(Debug, Default)]
pub(super) struct ReaderThreads {
    /// Held shared during every request.
    pub(super) gate: Arc<RwLock<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl ReaderThreads {
    /// Waits until all have ended and closed their connections.
    pub(super) fn join(self) {
        for thread in self.threads {
            // one that panicked has closed its connection too
            let _ = thread.join();
        }
    }
}

impl Readers {
    /// Starts a thread for each connection.
    pub(super) fn start(connections: Vec<Connection>) -> std::io::Result<(Self, ReaderThreads)> {
        let (queue, requests) = channel(QUEUE_CAPACITY);
        let requests = Arc::new(Mutex::new(requests));
        let mut started = ReaderThreads::default();
        for db in connections {
            let thread = std::thread::Builder::new().name("bue-reader".to_owned());
            let (requests, gate) = (Arc::clone(&requests), Arc::clone(&started.gate));
            started.threads.push(thread.spawn(move || serve(&db, &requests, &gate))?);
        }
        Ok((Self(queue), started))
    }

    /// Carries out a request in a transaction.
    pub(super) fn read<T, F>(&self, request: F) -> StoreFuture<'_, T>
    where
        T: Send + 'static,
        F: FnOnce(&mut ReadTx<'_>) -> Result<T, HubError> + Send + 'static,
    {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let request: Request = Box::new(move |tx| {
                // the caller may have gone away
                let _ = answer.send(tx.and_then(|mut tx| request(&mut tx)));
            });
            self.0.send(request).await.map_err(|_| HubError::Stopped)?;
            answered.await.map_err(|_| HubError::Stopped)?
        })
    }
}

/// Carries out requests until no handle is left.
fn serve(db: &Connection, requests: &Mutex<Receiver<Request>>, gate: &RwLock<()>) {
    let mut runs = RunCache::with_max_bytes(MAX_GRAPH_BYTES);
    loop {
        // the other threads wait for the lock while one waits for a request
        let request = requests.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(request) = request else { return };
        let _open = gate.read().unwrap_or_else(PoisonError::into_inner);
        match db.unchecked_transaction() {
            Ok(_transaction) => request(Ok(ReadTx { db, runs: &mut runs })),
            Err(error) => request(Err(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    use bue_model::plan::PLAN_VERSION;
    use bue_model::wire::{ResultCursor, Submission};
    use bue_model::{Plan, RunId, Timestamp};
    use bue_test_support::wait::within_deadline;
    use futures_util::future::join;
    use tempfile::TempDir;
    use uuid::Uuid;

    use crate::durability::Durability;
    use crate::sqlite::SqliteStore;
    use crate::store::JobStore;

    fn store(folder: &TempDir) -> SqliteStore {
        SqliteStore::open(&folder.path().join("hub.db"), Durability::Off).expect("a store")
    }

    /// A run of nothing.
    fn submission(number: u128) -> Submission {
        let (steps, nodes, calls, params) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let plan = Plan { version: PLAN_VERSION, steps, nodes, calls, params };
        Submission { run: RunId(Uuid::from_u128(number)), name: String::new(), plan, code: Vec::new() }
    }

    fn log_bytes(folder: &TempDir) -> u64 {
        let log = folder.path().join("hub.db-wal");
        std::fs::metadata(Path::new(&log)).map_or(0, |log| log.len())
    }

    #[tokio::test]
    async fn lists_are_read_while_a_request_writes() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder);
        let run = store.submit(Timestamp(1), submission(1)).await.expect("a run");
        let (open, gate) = mpsc::channel::<()>();
        let busy = store.writer.transact(None, move |_| {
            let _ = gate.recv();
            Ok(())
        });
        let reads = async {
            assert_eq!(within_deadline("a list", store.runs(10)).await.expect("runs").len(), 1);
            assert!(within_deadline("a run", store.run(run)).await.expect("an answer").is_some());
            let results = within_deadline("results", store.results(run, ResultCursor::default()));
            assert!(results.await.expect("an answer").is_some());
            open.send(()).expect("the writer waits");
        };
        join(busy, reads).await.0.expect("it ends");
    }

    #[tokio::test]
    async fn a_change_is_seen_by_what_is_read_after_its_answer() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder);
        for number in 1..=200 {
            let run = store.submit(Timestamp(1), submission(number)).await.expect("a run");
            assert!(store.run(run).await.expect("an answer").is_some(), "run {number}");
            if number % 3 == 0 {
                store.delete_run(run).await.expect("deleted");
                assert!(store.run(run).await.expect("an answer").is_none(), "run {number}");
            }
        }
    }

    /// There is always a reader at work, and yet the log starts over.
    #[tokio::test]
    async fn readers_do_not_keep_the_log_from_being_copied() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder);
        for number in 1..=100 {
            store.submit(Timestamp(1), submission(number)).await.expect("a run");
        }
        let is_done = AtomicBool::new(false);
        let read = async || {
            while !is_done.load(Ordering::Relaxed) {
                store.runs(100).await.expect("runs");
            }
        };
        let write = async {
            let mut largest = 0;
            // 300 MB, of which the log has 32 MB at most, and what one transaction adds
            for _ in 0..300 {
                let written = store.writer.transact(None, |tx| {
                    let sql = "INSERT OR REPLACE INTO chunk (source, first, count, value) VALUES (-1, 0, 0, zeroblob(1000000))";
                    Ok(tx.db.execute(sql, [])?)
                });
                written.await.expect("written");
                largest = largest.max(log_bytes(&folder));
            }
            is_done.store(true, Ordering::Relaxed);
            largest
        };
        let (largest, ..) = tokio::join!(write, read(), read(), read());
        assert!(largest < 64 * 1024 * 1024, "the log had {largest} bytes");
    }
}
