//! [`RunCache`]: an LRU cache of runs with their graphs. Losing it costs time and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use crate::jobs::instance::Run;
use crate::jobs::views::run_summary::RunSummary;

/// Runs in the cache. More may be active; theirs are read again when needed.
const MAX_RUNS: usize = 256;
/// Bytes of all graphs in the cache by default, but for one run. A plan may have sixteen megabytes.
const MAX_BYTES: usize = 128 * 1024 * 1024;

/// Summaries in the cache, at most some 20 kB each. Adding up a run's steps anew takes as long as reading its rows.
const MAX_SUMMARIES: usize = 1_000;

/// Runs by key.
#[derive(Debug)]
pub(crate) struct RunCache {
    runs: HashMap<i64, CachedRun>,
    max_bytes: usize,
    /// Grows with every lookup.
    clock: u64,
    /// Summaries by key, and the versions of the runs that they are of.
    summaries: HashMap<i64, (i64, RunSummary)>,
}

#[derive(Debug)]
struct CachedRun {
    run: Arc<Run>,
    bytes: usize,
    last_used: u64,
}

impl Default for RunCache {
    fn default() -> Self {
        Self::with_max_bytes(MAX_BYTES)
    }
}

impl RunCache {
    /// Creates a cache for graphs of this many bytes, or of one run.
    pub(crate) fn with_max_bytes(max_bytes: usize) -> Self {
        Self { runs: HashMap::new(), max_bytes, clock: 0, summaries: HashMap::new() }
    }

    /// Returns a cached run.
    pub(crate) fn get(&mut self, key: i64) -> Option<Arc<Run>> {
        self.clock += 1;
        let cached = self.runs.get_mut(&key)?;
        cached.last_used = self.clock;
        Some(cached.run.clone())
    }

    /// Inserts a run and evicts those used least recently.
    pub(crate) fn insert(&mut self, run: Arc<Run>) {
        let bytes = run.graph.bytes();
        self.runs.insert(run.key, CachedRun { run, bytes, last_used: self.clock });
        while self.runs.len() > MAX_RUNS || (self.runs.len() > 1 && self.bytes() > self.max_bytes) {
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

    fn bytes(&self) -> usize {
        self.runs.values().map(|cached| cached.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use bue_model::language::Language;
    use bue_model::plan::{Call, JobNode, Node, PLAN_VERSION, Settings, Source, Step};
    use bue_model::{BlobHash, BlobRef, CallIndex, NodeId, Plan, RunId, StepIndex};
    use uuid::Uuid;

    use super::*;
    use crate::jobs::graph::Graph;

    const MIB: usize = 1024 * 1024;

    /// A run of one step, whose code and requirements are this long.
    fn run(key: i64, code: usize, requirement: usize) -> Arc<Run> {
        let step = Step {
            name: "a".to_owned(),
            language: Language::Python,
            function: "a".to_owned(),
            source: Source::Inline { text: "x".repeat(code), line: 1 },
            line: 1,
            settings: Settings { requires: vec!["x".repeat(requirement)], ..Settings::default() },
        };
        let node = JobNode { id: NodeId(0), step: StepIndex(0), call: CallIndex(0), inputs: Vec::new() };
        let call = Call { line: 1, name: None, first: NodeId(0), last: NodeId(0), nested: false };
        let plan = Plan {
            version: PLAN_VERSION,
            steps: vec![step],
            nodes: vec![Node::Job(node)],
            calls: vec![call],
            params: Vec::new(),
        };
        let graph = Graph::new(plan, vec![BlobRef { hash: BlobHash([1; 32]), len: 1 }]).expect("a graph");
        Arc::new(Run { key, id: RunId(Uuid::from_u128(1)), first: 1, graph, original: None, parent: None })
    }

    #[test]
    fn the_bytes_of_plans_are_limited_and_their_code_is_not_kept() {
        let mut cache = RunCache::default();
        assert!(run(0, 20 * MIB, 0).graph.bytes() < MIB);
        for key in 0..20 {
            cache.get(0);
            cache.insert(run(key, 0, 20 * MIB));
        }
        assert!(cache.bytes() <= MAX_BYTES, "{} bytes", cache.bytes());
        assert_eq!(cache.runs.len(), 6);
        assert!(
            cache.get(0).is_some() && cache.get(19).is_some() && cache.get(1).is_none(),
            "the least recently used go"
        );
        cache.insert(run(20, 0, 2 * MAX_BYTES));
        assert!(cache.get(20).is_some_and(|_| cache.runs.len() == 1), "one run is kept, whatever its size");
    }
}
