//! [`RunCache`]: runs whose graphs are kept ready. All of it can be lost at any moment.

use std::collections::HashMap;
use std::sync::Arc;

use crate::jobs::instance::Run;

/// Runs whose graphs are kept ready. More runs may be active; theirs are read again when needed.
const MAX_RUNS: usize = 256;
/// Nodes of all graphs that are kept, some 200 bytes each.
const MAX_NODES: usize = 500_000;

/// Runs by their keys.
#[derive(Debug, Default)]
pub(crate) struct RunCache {
    runs: HashMap<i64, (Arc<Run>, u64)>,
    /// Grows with every use of `runs`.
    uses: u64,
}

impl RunCache {
    /// A run that is kept.
    pub(crate) fn get(&mut self, key: i64) -> Option<Arc<Run>> {
        self.uses += 1;
        let (run, used) = self.runs.get_mut(&key)?;
        *used = self.uses;
        Some(run.clone())
    }

    /// Keeps a run, in place of those used longest ago.
    pub(crate) fn keep(&mut self, run: Arc<Run>) {
        self.runs.insert(run.key, (run, self.uses));
        while self.runs.len() > MAX_RUNS || (self.runs.len() > 1 && self.nodes() > MAX_NODES) {
            let Some(oldest) = self.runs.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| *key) else { break };
            self.runs.remove(&oldest);
        }
    }

    /// After a rollback: a key may come to stand for another run.
    pub(crate) fn clear(&mut self) {
        self.runs.clear();
    }

    fn nodes(&self) -> usize {
        self.runs.values().map(|(run, _)| run.graph.len()).sum()
    }
}
