//! What the writer keeps beside the database: all of it can be lost at any moment.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bue_model::RunId;

use crate::graph::Graph;

/// Runs whose graphs are kept ready. More runs may be active; theirs are read again when needed.
const MAX_RUNS: usize = 256;
/// Nodes of all graphs that are kept, some 200 bytes each.
const MAX_NODES: usize = 500_000;

/// A run as the writer knows it: what never changes of it.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) key: i64,
    pub(super) id: RunId,
    /// Id of the first node of the top level.
    pub(super) first: i64,
    pub(super) graph: Graph,
}

/// Caches and soft state.
#[derive(Debug, Default)]
pub(super) struct Memory {
    runs: HashMap<i64, (Arc<Run>, u64)>,
    /// Grows with every use of `runs`.
    uses: u64,
    /// Leases extended by heartbeats, not yet written: token and end.
    pub(super) extended: HashMap<i64, (i64, i64)>,
    /// Leases given so far; decides whose turn the last one's share is.
    pub(super) granted: u64,
    /// Fan-outs with fewer rounds alive than they may have. They grow between the requests.
    pub(super) growing: BTreeSet<i64>,
    /// The latest time anybody handed in.
    pub(super) now: i64,
}

impl Memory {
    /// A run that is kept.
    pub(super) fn run(&mut self, key: i64) -> Option<Arc<Run>> {
        self.uses += 1;
        let (run, used) = self.runs.get_mut(&key)?;
        *used = self.uses;
        Some(run.clone())
    }

    /// Keeps a run, in place of those used longest ago.
    pub(super) fn keep(&mut self, run: Arc<Run>) {
        self.runs.insert(run.key, (run, self.uses));
        while self.runs.len() > MAX_RUNS || (self.runs.len() > 1 && self.nodes() > MAX_NODES) {
            let Some(oldest) = self.runs.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key) else { break };
            self.runs.remove(&oldest);
        }
    }

    /// After a rollback: a key may come to stand for another run.
    pub(super) fn forget_runs(&mut self) {
        self.runs.clear();
    }

    fn nodes(&self) -> usize {
        self.runs.values().map(|(run, _)| run.graph.len()).sum()
    }
}
