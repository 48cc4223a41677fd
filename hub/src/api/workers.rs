//! [`Workers`]: the workers that the hubs of this database have heard from recently, their scopes, and what they can do. Kept in
//! memory, only to explain why jobs wait, and for metrics. `worker_sharing.rs` exchanges them with the other hubs.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bue_model::text::truncate_bytes;
use bue_model::wire::{Heartbeat, LeaseRequest, MAX_HOST, WorkerAbilities, WorkerStatus, WorkerView};
use bue_model::{Timestamp, WallPart};
use tokio::sync::Notify;
use tokio::time::Instant;

/// After this silence a worker counts as gone. A living one sends lease requests or heartbeats more often.
const WORKER_TIMEOUT: Duration = Duration::from_secs(60);
/// Workers that are remembered.
const MAX_WORKERS: usize = 4_096;
/// Bytes that may be remembered of all of them: the holder of one worker's token can invent names, and what they can do.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Milliseconds by which requests of the same process may arrive late. Its start stays at the time that was found first.
const MAX_DELAY_MS: u64 = 10_000;
/// Workers that [`Workers::serving`] names.
const MAX_NAMED: usize = 10;

/// Workers by name. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workers(Arc<WorkerTable>);

#[derive(Debug)]
struct WorkerTable {
    /// When this hub began to listen to workers.
    since: Instant,
    entries: Mutex<Entries>,
    /// Wakes the task that tells other hubs of a worker that is new here or has changed.
    has_news: Notify,
}

impl Default for WorkerTable {
    fn default() -> Self {
        Self { since: Instant::now(), entries: Mutex::default(), has_news: Notify::default() }
    }
}

#[derive(Debug, Default)]
struct Entries {
    by_name: HashMap<String, WorkerEntry>,
    /// Bytes of all of them.
    bytes: usize,
}

#[derive(Debug)]
struct WorkerEntry {
    scopes: Vec<String>,
    abilities: WorkerAbilities,
    status: WorkerStatus,
    /// When its process started, by the clock of the hub that heard of it.
    since: Timestamp,
    /// When a hub heard of it last.
    last_seen: Instant,
    /// When this hub heard of it last.
    seen_here: Option<Instant>,
}

impl Entries {
    /// Inserts a worker, or replaces what is known of it. If there are too many, forgets those that are gone, or else leaves it
    /// out.
    fn insert(&mut self, name: &str, entry: WorkerEntry) {
        if !self.has_room(name, &entry) {
            self.by_name.retain(|_, entry| entry.is_alive());
            self.bytes = self.by_name.iter().map(|(name, entry)| entry.bytes(name)).sum();
        }
        if self.has_room(name, &entry) {
            self.bytes += entry.bytes(name);
            let replaced = self.by_name.insert(name.to_owned(), entry);
            self.bytes -= replaced.map_or(0, |replaced| replaced.bytes(name));
        }
    }

    fn has_room(&self, name: &str, entry: &WorkerEntry) -> bool {
        let replaced = self.by_name.get(name);
        let count = self.by_name.len() + usize::from(replaced.is_none());
        let bytes = self.bytes - replaced.map_or(0, |replaced| replaced.bytes(name)) + entry.bytes(name);
        count <= MAX_WORKERS && bytes <= MAX_BYTES
    }
}

impl WorkerEntry {
    /// Bytes of its lists of names, as they are in memory.
    fn bytes(&self, name: &str) -> usize {
        let WorkerAbilities { version, languages, net, tcp, secrets, databases, wall, environment } = &self.abilities;
        let texts = [&self.scopes, languages, net, tcp, secrets, databases, wall, environment].into_iter().flatten();
        texts.fold(name.len() + version.len() + self.status.host.len(), |bytes, text| {
            bytes + size_of::<String>() + text.len()
        })
    }

    fn is_alive(&self) -> bool {
        self.last_seen.elapsed() < WORKER_TIMEOUT
    }

    /// Did this hub itself hear of it recently?
    fn is_alive_here(&self) -> bool {
        self.seen_here.is_some_and(|at| at.elapsed() < WORKER_TIMEOUT)
    }

    fn serves(&self, scope: &str) -> bool {
        self.is_alive() && self.scopes.iter().any(|served| served == scope)
    }

    /// Returns when the process of a worker started that sends this status now.
    fn since(&self, status: &WorkerStatus, now: Timestamp) -> Timestamp {
        let since = started_at(status, now);
        if since.0.abs_diff(self.since.0) <= MAX_DELAY_MS { self.since } else { since }
    }

    fn view(&self, name: &str, seen_at: Instant, now: Timestamp) -> WorkerView {
        let silent_ms = u64::try_from(seen_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        let WorkerStatus { host, jobs_held, jobs_running, memory_used, memory_limit, cores, up_ms: _ } = &self.status;
        WorkerView {
            name: name.to_owned(),
            scopes: self.scopes.clone(),
            silent_ms,
            heard_at: before(now, silent_ms),
            abilities: self.abilities.clone(),
            host: host.clone(),
            since: self.since,
            jobs_held: *jobs_held,
            jobs_running: *jobs_running,
            memory_used: *memory_used,
            memory_limit: *memory_limit,
            cores: *cores,
        }
    }
}

/// Returns the time a number of milliseconds ago.
fn before(now: Timestamp, ms: u64) -> Timestamp {
    Timestamp(now.0.saturating_sub(i64::try_from(ms).unwrap_or(i64::MAX)))
}

fn started_at(status: &WorkerStatus, now: Timestamp) -> Timestamp {
    before(now, status.up_ms)
}

/// Returns a status as it is kept.
fn bounded(status: &WorkerStatus) -> WorkerStatus {
    let mut status = status.clone();
    truncate_bytes(&mut status.host, MAX_HOST);
    status
}

impl Workers {
    /// Records that a worker asked this hub for leases.
    pub(super) fn record_request(&self, request: &LeaseRequest, now: Timestamp) {
        let seen_at = Instant::now();
        let status = bounded(&request.status);
        let mut workers = self.lock();
        let known = workers.by_name.get(&request.worker);
        let since = known.map_or_else(|| started_at(&status, now), |entry| entry.since(&status, now));
        let is_known = known.is_some_and(|entry| {
            entry.is_alive_here()
                && entry.scopes == request.scopes
                && entry.abilities == request.abilities
                && entry.since == since
        });
        let (scopes, abilities) = (request.scopes.clone(), request.abilities.clone());
        let entry = WorkerEntry { scopes, abilities, status, since, last_seen: seen_at, seen_here: Some(seen_at) };
        workers.insert(&request.worker, entry);
        if !is_known {
            self.0.has_news.notify_one();
        }
    }

    /// Records that a worker sent this hub a heartbeat.
    pub(super) fn record_heartbeat(&self, heartbeat: &Heartbeat, now: Timestamp) {
        let seen_at = Instant::now();
        let status = bounded(&heartbeat.status);
        let mut workers = self.lock();
        let Entries { by_name, bytes } = &mut *workers;
        if let Some(entry) = by_name.get_mut(&heartbeat.worker) {
            (entry.last_seen, entry.seen_here) = (seen_at, Some(seen_at));
            entry.since = entry.since(&status, now);
            *bytes = *bytes + status.host.len() - entry.status.host.len();
            entry.status = status;
        }
    }

    /// Records what another hub heard of a worker. What this hub heard itself is newer.
    pub(super) fn record_announced(&self, view: WorkerView) {
        let Some(seen_at) = Instant::now().checked_sub(Duration::from_millis(view.silent_ms)) else { return };
        let mut workers = self.lock();
        if let Some(entry) = workers.by_name.get_mut(&view.name).filter(|entry| entry.is_alive_here()) {
            entry.last_seen = entry.last_seen.max(seen_at);
        } else {
            let WorkerView { host, jobs_held, jobs_running, memory_used, memory_limit, cores, .. } = view;
            let status =
                bounded(&WorkerStatus { host, up_ms: 0, jobs_held, jobs_running, memory_used, memory_limit, cores });
            let (scopes, abilities, since) = (view.scopes, view.abilities, view.since);
            let entry = WorkerEntry { scopes, abilities, status, since, last_seen: seen_at, seen_here: None };
            workers.insert(&view.name, entry);
        }
    }

    /// Returns the workers that this hub itself has heard from, to tell other hubs.
    pub(super) fn seen_here(&self, now: Timestamp) -> Vec<WorkerView> {
        let workers = self.lock();
        let alive = workers.by_name.iter().filter(|(_, entry)| entry.is_alive_here());
        alive.filter_map(|(name, entry)| Some(entry.view(name, entry.seen_here?, now))).collect()
    }

    /// Waits until a worker is new to this hub or has changed.
    pub(super) async fn news(&self) {
        self.0.has_news.notified().await;
    }

    /// Returns the names of workers that serve a scope, sorted.
    pub(crate) fn serving(&self, scope: &str) -> Vec<String> {
        let workers = self.lock();
        let mut names: Vec<_> =
            workers.by_name.iter().filter(|(_, entry)| entry.serves(scope)).map(|(name, _)| name.clone()).collect();
        names.sort();
        names.truncate(MAX_NAMED);
        names
    }

    /// Returns whether a worker serves a scope.
    pub(super) fn is_served(&self, scope: &str) -> bool {
        self.lock().by_name.values().any(|entry| entry.serves(scope))
    }

    /// Returns whether every worker that is alive has had the time to send a request.
    pub(super) fn are_known(&self) -> bool {
        self.0.since.elapsed() >= WORKER_TIMEOUT
    }

    /// Returns the scopes that workers serve.
    pub(super) fn scopes(&self) -> BTreeSet<String> {
        let workers = self.lock();
        let alive = workers.by_name.values().filter(|entry| entry.is_alive());
        alive.flat_map(|entry| entry.scopes.iter().cloned()).collect()
    }

    /// Returns all workers that are alive, by name.
    pub(crate) fn views(&self, now: Timestamp) -> Vec<WorkerView> {
        let workers = self.lock();
        let alive = workers.by_name.iter().filter(|(_, entry)| entry.is_alive());
        let mut views: Vec<_> = alive.map(|(name, entry)| entry.view(name, entry.last_seen, now)).collect();
        views.sort_by(|left, right| left.name.cmp(&right.name));
        views
    }

    /// Returns the number of workers that are alive.
    pub(super) fn count(&self) -> usize {
        self.lock().by_name.values().filter(|entry| entry.is_alive()).count()
    }

    /// Returns the number of workers that are alive and use this hub.
    pub(super) fn count_here(&self) -> usize {
        self.lock().by_name.values().filter(|entry| entry.is_alive_here()).count()
    }

    /// Returns the number of those that have this part of the wall.
    pub(super) fn count_with_wall(&self, part: WallPart) -> usize {
        let has_part = |entry: &&WorkerEntry| entry.abilities.wall.iter().any(|known| known == part.name());
        self.lock().by_name.values().filter(|entry| entry.is_alive_here()).filter(has_part).count()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn request(worker: &str, scope: &str) -> LeaseRequest {
        LeaseRequest { worker: worker.to_owned(), scopes: vec![scope.to_owned()], ..LeaseRequest::default() }
    }

    fn announced(worker: &str, scope: &str, silent_ms: u64) -> WorkerView {
        WorkerView {
            name: worker.to_owned(),
            scopes: vec![scope.to_owned()],
            silent_ms,
            since: Timestamp(5),
            jobs_held: 3,
            ..WorkerView::default()
        }
    }

    fn heartbeat(worker: &str, up_ms: u64) -> Heartbeat {
        let status = WorkerStatus { up_ms, host: "h".repeat(300), jobs_held: 7, ..WorkerStatus::default() };
        Heartbeat { worker: worker.to_owned(), leases: Vec::new(), status }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_hub_heard_itself_counts_more_than_what_another_one_says() {
        let workers = Workers::default();
        workers.record_request(&request("w", "here"), NOW);
        workers.record_announced(announced("w", "elsewhere", 0));
        workers.record_announced(announced("other", "elsewhere", 59_000));
        workers.record_announced(announced("gone", "past", 60_000));
        assert_eq!((workers.serving("here"), workers.serving("elsewhere")), (vec!["w".into()], vec!["other".into()]));
        assert!(!workers.is_served("past"));
        assert_eq!(workers.seen_here(NOW).len(), 1, "only those are announced");
        assert_eq!(workers.count_here(), 1);
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(!workers.is_served("elsewhere"));
        // the worker has gone over to another hub
        workers.record_announced(announced("w", "here", 0));
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!((workers.serving("here"), workers.count_here()), (vec!["w".to_owned()], 0));
        workers.record_announced(announced("w", "elsewhere", 0));
        assert!(workers.is_served("elsewhere") && workers.seen_here(NOW).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn what_workers_say_of_themselves_is_remembered_up_to_a_size() {
        let workers = Workers::default();
        let secrets = vec![String::new(); 60_000];
        let long = |name: &str| {
            let abilities = WorkerAbilities { secrets: secrets.clone(), ..WorkerAbilities::default() };
            LeaseRequest { abilities, ..request(name, "s") }
        };
        for number in 0..200 {
            workers.record_request(&long(&format!("w{number}")), NOW);
        }
        let remembered = workers.views(NOW).len();
        assert!((10..100).contains(&remembered), "{remembered}");
        // one that says less takes less
        workers.record_request(&request("w0", "small"), NOW);
        assert!(workers.is_served("small"));
        workers.record_request(&long("w0"), NOW);
        assert_eq!(workers.views(NOW).len(), remembered);
        // those that are gone make room
        tokio::time::advance(Duration::from_secs(61)).await;
        workers.record_request(&long("new"), NOW);
        assert_eq!(workers.views(NOW).len(), 1);
        assert!(workers.lock().bytes < 2_000_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_is_news_when_it_is_new_or_has_changed() {
        let workers = Workers::default();
        let has_news = async || tokio::time::timeout(Duration::from_millis(1), workers.news()).await.is_ok();
        workers.record_request(&request("w", "a"), NOW);
        assert!(has_news().await);
        workers.record_request(&request("w", "a"), NOW);
        workers.record_heartbeat(&heartbeat("w", 0), NOW);
        assert!(!has_news().await);
        workers.record_request(&request("w", "b"), NOW);
        assert!(has_news().await);
        workers.record_announced(announced("other", "a", 0));
        assert!(!has_news().await, "another hub announces it");
        workers.record_request(&request("other", "a"), NOW);
        assert!(has_news().await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_view_shows_what_the_worker_said_last_and_when_its_process_started() {
        let workers = Workers::default();
        let mut first = request("w", "a");
        first.status = WorkerStatus { host: "box".into(), up_ms: 400_000, ..WorkerStatus::default() };
        workers.record_request(&first, NOW);
        let view = |now| workers.views(now).remove(0);
        assert_eq!((view(NOW).host, view(NOW).since, view(NOW).heard_at), ("box".into(), Timestamp(600_000), NOW));
        tokio::time::advance(Duration::from_secs(30)).await;
        let later = Timestamp(NOW.0 + 30_000);
        assert_eq!((view(later).silent_ms, view(later).heard_at), (30_000, NOW));
        // a request that took longer on its way is from the same process
        workers.record_heartbeat(&heartbeat("w", 429_900), later);
        let heard = view(later);
        assert_eq!((heard.since, heard.heard_at, heard.jobs_held), (Timestamp(600_000), later, 7));
        assert_eq!(heard.host.len(), MAX_HOST);
        // one that has been up for much less time is not
        workers.record_heartbeat(&heartbeat("w", 10), later);
        assert_eq!(view(later).since, Timestamp(later.0 - 10));
        // a worker that another hub announced, and that comes here
        workers.record_announced(announced("other", "a", 1_000));
        let announced = workers.views(later).remove(0);
        assert_eq!((announced.since, announced.jobs_held, announced.silent_ms), (Timestamp(5), 3, 1_000));
        let mut moved = request("other", "a");
        moved.status.up_ms = 50;
        workers.record_request(&moved, later);
        assert_eq!(workers.views(later)[0].since, Timestamp(later.0 - 50));
        workers.record_request(&LeaseRequest { status: WorkerStatus::default(), ..moved }, Timestamp(-9));
        assert_eq!(workers.views(Timestamp(i64::MIN))[0].heard_at, Timestamp(i64::MIN));
    }
}
