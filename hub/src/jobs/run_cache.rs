//! [`RunCache`]: an LRU cache of runs with their graphs. Losing it costs time and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use crate::jobs::instance::Run;
use crate::jobs::views::run_summary::RunSummary;

/// Runs in the cache. More may be active; theirs are read again when needed.
const MAX_RUNS: usize = 256;
/// Nodes of all graphs in the cache, some 200 bytes each.
const MAX_NODES: usize = 500_000;

/// Summaries in the cache, at most some 20 kB each. Adding up a run's steps anew takes as long as reading its rows.
const MAX_SUMMARIES: usize = 1_000;

/// Runs by key.
#[derive(Debug, Default)]
pub(crate) struct RunCache {
    runs: HashMap<i64, CachedRun>,
    /// Grows with every lookup.
    clock: u64,
    /// Summaries by key, and the versions of the runs that they are of.
    summaries: HashMap<i64, (i64, RunSummary)>,
}

#[derive(Debug)]
struct CachedRun {
    run: Arc<Run>,
    last_used: u64,
}

impl RunCache {
    /// Returns a cached run.
    pub(crate) fn get(&mut self, key: i64) -> Option<Arc<Run>> {
        self.clock += 1;
        let cached = self.runs.get_mut(&key)?;
        cached.last_used = self.clock;
        Some(cached.run.clone())
    }

    /// Inserts a run and evicts those used least recently.
    pub(crate) fn insert(&mut self, run: Arc<Run>) {
        self.runs.insert(run.key, CachedRun { run, last_used: self.clock });
        while self.runs.len() > MAX_RUNS || (self.runs.len() > 1 && self.nodes() > MAX_NODES) {
            let oldest = self.runs.iter().min_by_key(|(_, cached)| cached.last_used).map(|(key, _)| *key);
            let Some(oldest) = oldest else { break };
            self.runs.remove(&oldest);
        }
    }

    /// Empties the cache, as after a rollback: its keys may be given to other runs.
    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.summaries.clear();
    }

    /// Returns the summary of a version of a run.
    pub(crate) fn summary(&self, key: i64, version: i64) -> Option<&RunSummary> {
        self.summaries.get(&key).filter(|(cached, _)| *cached == version).map(|(_, summary)| summary)
    }

    /// Inserts the summary of a version of a run.
    pub(crate) fn insert_summary(&mut self, key: i64, version: i64, summary: RunSummary) {
        if self.summaries.len() >= MAX_SUMMARIES {
            self.summaries.clear();
        }
        self.summaries.insert(key, (version, summary));
    }

    fn nodes(&self) -> usize {
        self.runs.values().map(|cached| cached.run.graph.len()).sum()
    }
}
