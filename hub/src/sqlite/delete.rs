//! Forgetting a run that is over.

use bue_model::{RunId, RunState};
use rusqlite::params;

use super::ledger::Ledger;
use crate::error::HubError;
use crate::jobs::graph::Block;

impl Ledger<'_> {
    /// Takes every row of a run away. Safe because nothing of it is open: no lease of it holds, so no report will come, and
    /// no id is given twice.
    pub(super) fn delete_run(&mut self, id: RunId) -> Result<(), HubError> {
        let Some(key) = self.run_key(id)? else { return Err(HubError::RunNotFound(id)) };
        if self.run_state(key)? == RunState::Running {
            return Err(HubError::RunStillRunning(id));
        }
        let run = self.run(key)?;
        let fan_outs = self.fan_outs_of(key)?;
        self.delete_stretch(run.first, run.first + run.graph.blocks.first().map_or(0, Block::stride))?;
        for fan_out in &fan_outs {
            self.delete_stretch(fan_out.first, fan_out.round(fan_out.count))?;
        }
        self.drop_rates(key)?;
        for delete in [
            "DELETE FROM fanout WHERE run = ?1",
            "DELETE FROM failed WHERE run = ?1",
            "DELETE FROM step_count WHERE run = ?1",
            "DELETE FROM plan WHERE run = ?1",
            "DELETE FROM run WHERE key = ?1",
        ] {
            self.db.prepare_cached(delete)?.execute([key])?;
        }
        // the next run may get this key
        self.memory.runs.clear();
        self.effects.grown.extend(fan_outs.iter().map(|fan_out| fan_out.id));
        self.effects.runs.insert(id);
        Ok(())
    }

    fn delete_stretch(&self, first: i64, end: i64) -> Result<(), HubError> {
        for delete in [
            "DELETE FROM job WHERE id >= ?1 AND id < ?2",
            "DELETE FROM done WHERE id >= ?1 AND id < ?2",
            "DELETE FROM chunk WHERE source >= ?1 AND source < ?2",
        ] {
            self.db.prepare_cached(delete)?.execute(params![first, end])?;
        }
        Ok(())
    }
}
