//! [`LogWatches`]: who follows the output of which jobs at this hub, and the way of the lines from workers to them. All of it is in
//! memory and bounded; workers send lines only while somebody follows them.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bue_model::log::{LogBatch, LogEntry, LogSelection, LogView, LogWatch, MAX_LOG_ENTRY_BYTES, MAX_LOG_WATCHES};
use bue_model::{JobId, JobState, RunId, Token};
use http::StatusCode;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::http::reply::ErrorReply;
use crate::store::JobStore;

/// Entries that wait for one reader.
const MAX_QUEUED: usize = 64;
/// Logs that the holders of one token follow at most, so that others can follow some too.
const MAX_WATCHES_PER_TOKEN: usize = 16;
/// How long a worker waits for a reader that does not keep up, once. Later the reader misses lines until it has caught up.
const SLOW_READER_TIMEOUT: Duration = Duration::from_secs(10);
/// Jobs that are remembered as running on the worker that sends their lines.
const MAX_KNOWN_JOBS: usize = 16_384;

/// The identity of the token of a reader; `None` at a hub without tokens.
pub(super) type Follower = Option<[u8; 32]>;

/// The logs that are followed. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct LogWatches(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    /// Random at first, because workers compare the ids of several hubs.
    last_id: u64,
    readers: HashMap<u64, ReaderEntry>,
    known_jobs: HashMap<(JobId, Token), KnownJob>,
}

#[derive(Debug)]
struct ReaderEntry {
    follower: Follower,
    selection: LogSelection,
    lines: mpsc::Sender<LogView>,
    is_slow: bool,
    /// Lines were dropped since the reader was last told.
    lost: Arc<AtomicBool>,
}

/// Where a job belongs. The store has confirmed that the worker runs it.
#[derive(Clone, Debug)]
struct KnownJob {
    run: RunId,
    step: String,
    worker: String,
}

/// Receives the lines of a selection until it is dropped.
#[derive(Debug)]
pub(super) struct LogReader {
    id: u64,
    watches: LogWatches,
    pub(super) lines: mpsc::Receiver<LogView>,
    lost: Arc<AtomicBool>,
}

impl LogReader {
    /// Whether lines were dropped since the last call, because they were printed faster than they were read.
    pub(super) fn take_lost(&self) -> bool {
        self.lost.swap(false, Ordering::Relaxed)
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        let mut inner = self.watches.lock();
        inner.readers.remove(&self.id);
        if inner.readers.is_empty() {
            inner.known_jobs = HashMap::new();
        }
    }
}

impl Default for LogWatches {
    fn default() -> Self {
        let (readers, known_jobs) = (HashMap::new(), HashMap::new());
        // an empty hash is random because its key is
        let last_id = RandomState::new().build_hasher().finish() >> 1;
        Self(Arc::new(Mutex::new(Inner { last_id, readers, known_jobs })))
    }
}

impl LogWatches {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to follow logs.
    ///
    /// # Errors
    /// Too many are followed already, by all or under this token.
    pub(super) fn subscribe(&self, selection: LogSelection, follower: Follower) -> Result<LogReader, ErrorReply> {
        let mut inner = self.lock();
        if inner.readers.len() >= MAX_LOG_WATCHES {
            return Err(too_many_readers(MAX_LOG_WATCHES, "of this hub"));
        }
        let under_token = inner.readers.values().filter(|reader| reader.follower == follower).count();
        if follower.is_some() && under_token >= MAX_WATCHES_PER_TOKEN {
            return Err(too_many_readers(MAX_WATCHES_PER_TOKEN, "under your token"));
        }
        let (sender, lines) = mpsc::channel(MAX_QUEUED);
        inner.last_id += 1;
        let id = inner.last_id;
        let lost = Arc::<AtomicBool>::default();
        let entry = ReaderEntry { follower, selection, lines: sender, is_slow: false, lost: Arc::clone(&lost) };
        inner.readers.insert(id, entry);
        drop(inner);
        Ok(LogReader { id, watches: self.clone(), lines, lost })
    }

    /// Returns what is followed, for workers.
    pub(super) fn current(&self) -> Vec<LogWatch> {
        let inner = self.lock();
        inner.readers.iter().map(|(id, reader)| LogWatch { id: *id, selection: reader.selection.clone() }).collect()
    }

    /// Passes the lines of a worker on to those who follow them. Lines of jobs that the worker does not run are dropped.
    pub(super) async fn publish(&self, store: &dyn JobStore, batch: LogBatch) {
        for entry in batch.entries {
            if entry.lines.len() > MAX_LOG_ENTRY_BYTES {
                continue;
            }
            if let Some(job) = self.known_job(store, &batch.worker, &entry).await {
                self.send(&job, entry).await;
            }
        }
    }

    /// Forgets a job whose attempt has ended.
    pub(super) fn forget(&self, job: JobId, token: Token) {
        self.lock().known_jobs.remove(&(job, token));
    }

    async fn known_job(&self, store: &dyn JobStore, worker: &str, entry: &LogEntry) -> Option<KnownJob> {
        let key = (entry.job, entry.token);
        {
            let inner = self.lock();
            match inner.known_jobs.get(&key) {
                Some(job) if job.worker == worker => return Some(job.clone()),
                _ if inner.readers.is_empty() => return None,
                _ => {}
            }
        }
        // if the store fails, the readers miss lines; the positions show it
        let view = store.job(entry.job).await.ok().flatten()?;
        let runs_here = view.state == JobState::Running && view.worker.as_deref() == Some(worker);
        let job = runs_here.then(|| KnownJob { run: view.run, step: view.step, worker: worker.to_owned() })?;
        let mut inner = self.lock();
        if inner.known_jobs.len() >= MAX_KNOWN_JOBS {
            inner.known_jobs.clear();
        }
        inner.known_jobs.insert(key, job.clone());
        Some(job)
    }

    async fn send(&self, job: &KnownJob, entry: LogEntry) {
        for (id, lines, is_slow) in self.readers(job, entry.job) {
            let view = LogView {
                job: entry.job,
                step: job.step.clone(),
                attempt: entry.token.number,
                position: entry.position,
                lines: entry.lines.clone(),
            };
            let sent = match is_slow {
                true => lines.try_send(view).is_ok(),
                false => timeout(SLOW_READER_TIMEOUT, lines.send(view)).await.is_ok(),
            };
            if let Some(reader) = self.lock().readers.get_mut(&id) {
                reader.is_slow = !sent;
                reader.lost.fetch_or(!sent, Ordering::Relaxed);
            }
        }
    }

    fn readers(&self, known: &KnownJob, job: JobId) -> Vec<(u64, mpsc::Sender<LogView>, bool)> {
        let inner = self.lock();
        let follows = |reader: &ReaderEntry| reader.selection.contains(job, known.run, &known.step);
        let readers = inner.readers.iter().filter(|(_, reader)| follows(reader));
        readers.map(|(id, reader)| (*id, reader.lines.clone(), reader.is_slow)).collect()
    }
}

fn too_many_readers(max: usize, whose: &str) -> ErrorReply {
    let message = format!("{max} logs {whose} are followed already, the maximum");
    let hint = "end a `bue logs -f`; without -f it prints the log of a job that has ended";
    ErrorReply::new(StatusCode::TOO_MANY_REQUESTS, "too_many_readers", message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_takes_all_places() {
        let watches = LogWatches::default();
        let subscribe = |follower| watches.subscribe(LogSelection::Job(JobId(1)), follower);
        let mut readers: Vec<_> =
            (0..MAX_WATCHES_PER_TOKEN).map(|_| subscribe(Some([1; 32])).expect("a place")).collect();
        assert!(subscribe(Some([1; 32])).expect_err("the maximum").message().contains("16 logs under your token"));
        let others = (0..MAX_LOG_WATCHES - MAX_WATCHES_PER_TOKEN).map(|_| subscribe(None).expect("a place"));
        readers.extend(others);
        assert!(subscribe(Some([2; 32])).expect_err("the maximum").message().contains("64 logs of this hub"));
        drop(readers.pop());
        subscribe(Some([2; 32])).expect("the place that is free again");
    }
}
