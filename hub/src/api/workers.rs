//! [`Workers`]: the workers that the hubs of this database have heard from recently, their scopes, and what they can do. Kept in
//! memory, only to explain why jobs wait, and for metrics. `worker_sharing.rs` exchanges them with the other hubs.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bue_model::WallPart;
use bue_model::wire::{LeaseRequest, WorkerAbilities, WorkerView};
use tokio::sync::Notify;
use tokio::time::Instant;

/// After this silence a worker counts as gone. A living one sends lease requests or heartbeats more often.
const WORKER_TIMEOUT: Duration = Duration::from_secs(60);
/// Workers that are remembered.
const MAX_WORKERS: usize = 4_096;
/// Bytes that may be remembered of all of them: the holder of one worker's token can invent names, and what they can do.
const MAX_BYTES: usize = 32 * 1024 * 1024;
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
        texts.fold(name.len() + version.len(), |bytes, text| bytes + size_of::<String>() + text.len())
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

    fn view(&self, name: &str, seen_at: Instant) -> WorkerView {
        WorkerView {
            name: name.to_owned(),
            scopes: self.scopes.clone(),
            silent_ms: u64::try_from(seen_at.elapsed().as_millis()).unwrap_or(u64::MAX),
            abilities: self.abilities.clone(),
        }
    }
}

impl Workers {
    /// Records that a worker asked this hub for leases.
    pub(super) fn record_request(&self, request: &LeaseRequest) {
        let now = Instant::now();
        let mut workers = self.lock();
        let is_known = workers.by_name.get(&request.worker).is_some_and(|entry| {
            entry.is_alive_here() && entry.scopes == request.scopes && entry.abilities == request.abilities
        });
        let (scopes, abilities) = (request.scopes.clone(), request.abilities.clone());
        let entry = WorkerEntry { scopes, abilities, last_seen: now, seen_here: Some(now) };
        workers.insert(&request.worker, entry);
        if !is_known {
            self.0.has_news.notify_one();
        }
    }

    /// Records that a worker sent this hub a heartbeat.
    pub(super) fn record_heartbeat(&self, worker: &str) {
        let now = Instant::now();
        if let Some(entry) = self.lock().by_name.get_mut(worker) {
            (entry.last_seen, entry.seen_here) = (now, Some(now));
        }
    }

    /// Records what another hub heard of a worker. What this hub heard itself is newer.
    pub(super) fn record_announced(&self, view: WorkerView) {
        let Some(seen_at) = Instant::now().checked_sub(Duration::from_millis(view.silent_ms)) else { return };
        let mut workers = self.lock();
        if let Some(entry) = workers.by_name.get_mut(&view.name).filter(|entry| entry.is_alive_here()) {
            entry.last_seen = entry.last_seen.max(seen_at);
        } else {
            let (scopes, abilities) = (view.scopes, view.abilities);
            workers.insert(&view.name, WorkerEntry { scopes, abilities, last_seen: seen_at, seen_here: None });
        }
    }

    /// Returns the workers that this hub itself has heard from, to tell other hubs.
    pub(super) fn seen_here(&self) -> Vec<WorkerView> {
        let workers = self.lock();
        let alive = workers.by_name.iter().filter(|(_, entry)| entry.is_alive_here());
        alive.filter_map(|(name, entry)| Some(entry.view(name, entry.seen_here?))).collect()
    }

    /// Waits until a worker is new to this hub or has changed.
    pub(super) async fn news(&self) {
        self.0.has_news.notified().await;
    }

    /// Returns the names of workers that serve a scope, sorted.
    pub(super) fn serving(&self, scope: &str) -> Vec<String> {
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
    pub(super) fn views(&self) -> Vec<WorkerView> {
        let workers = self.lock();
        let alive = workers.by_name.iter().filter(|(_, entry)| entry.is_alive());
        let mut views: Vec<_> = alive.map(|(name, entry)| entry.view(name, entry.last_seen)).collect();
        views.sort_by(|left, right| left.name.cmp(&right.name));
        views
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

    fn request(worker: &str, scope: &str) -> LeaseRequest {
        LeaseRequest { worker: worker.to_owned(), scopes: vec![scope.to_owned()], ..LeaseRequest::default() }
    }

    fn announced(worker: &str, scope: &str, silent_ms: u64) -> WorkerView {
        let abilities = WorkerAbilities::default();
        WorkerView { name: worker.to_owned(), scopes: vec![scope.to_owned()], silent_ms, abilities }
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_hub_heard_itself_counts_more_than_what_another_one_says() {
        let workers = Workers::default();
        workers.record_request(&request("w", "here"));
        workers.record_announced(announced("w", "elsewhere", 0));
        workers.record_announced(announced("other", "elsewhere", 59_000));
        workers.record_announced(announced("gone", "past", 60_000));
        assert_eq!((workers.serving("here"), workers.serving("elsewhere")), (vec!["w".into()], vec!["other".into()]));
        assert!(!workers.is_served("past"));
        assert_eq!(workers.seen_here().len(), 1, "only those are announced");
        assert_eq!(workers.count_here(), 1);
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(!workers.is_served("elsewhere"));
        // the worker has gone over to another hub
        workers.record_announced(announced("w", "here", 0));
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!((workers.serving("here"), workers.count_here()), (vec!["w".to_owned()], 0));
        workers.record_announced(announced("w", "elsewhere", 0));
        assert!(workers.is_served("elsewhere") && workers.seen_here().is_empty());
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
            workers.record_request(&long(&format!("w{number}")));
        }
        let remembered = workers.views().len();
        assert!((10..100).contains(&remembered), "{remembered}");
        // one that says less takes less
        workers.record_request(&request("w0", "small"));
        assert!(workers.is_served("small"));
        workers.record_request(&long("w0"));
        assert_eq!(workers.views().len(), remembered);
        // those that are gone make room
        tokio::time::advance(Duration::from_secs(61)).await;
        workers.record_request(&long("new"));
        assert_eq!(workers.views().len(), 1);
        assert!(workers.lock().bytes < 2_000_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_is_news_when_it_is_new_or_has_changed() {
        let workers = Workers::default();
        let has_news = async || tokio::time::timeout(Duration::from_millis(1), workers.news()).await.is_ok();
        workers.record_request(&request("w", "a"));
        assert!(has_news().await);
        workers.record_request(&request("w", "a"));
        workers.record_heartbeat("w");
        assert!(!has_news().await);
        workers.record_request(&request("w", "b"));
        assert!(has_news().await);
        workers.record_announced(announced("other", "a", 0));
        assert!(!has_news().await, "another hub announces it");
        workers.record_request(&request("other", "a"));
        assert!(has_news().await);
    }
}
