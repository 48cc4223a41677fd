//! Forgetting a run that is over.

use bue_model::{RunId, RunState};
use deadpool_postgres::Transaction;

use super::Inner;
use super::read::{FAN_OUT, ask, fan_out_row, tell};
use super::verbs::{Told, patiently};
use crate::error::HubError;
use crate::jobs::draft::Known;
use crate::jobs::graph::Block;

impl Inner {
    pub(super) async fn delete_run(&self, run: RunId) -> Result<(), HubError> {
        patiently!(self.try_delete_run(run))
    }

    /// Takes every row of a run away. Safe because the run is locked and nothing of it is open: no lease of it holds, so no
    /// report will come, and neither ids nor keys are given twice.
    async fn try_delete_run(&self, id: RunId) -> Result<(), HubError> {
        let key = self.run_key(id).await?.ok_or(HubError::RunNotFound(id))?;
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let mut known = Known::default();
        self.lock(&tx, &[key], &mut known).await?;
        match known.run_states.get(&key) {
            None => return Err(HubError::RunNotFound(id)),
            Some(RunState::Running) => return Err(HubError::RunStillRunning(id)),
            Some(_) => {}
        }
        let run = self.run(&tx, key).await?;
        let mut stretches = vec![(run.first, run.first + run.graph.blocks.first().map_or(0, Block::stride))];
        for row in ask(&tx, &format!("SELECT {FAN_OUT} FROM fanout WHERE run = $1"), &[&key]).await? {
            let fan_out = fan_out_row(&row)?;
            stretches.push((fan_out.first, fan_out.round(fan_out.count)));
        }
        for (first, end) in stretches {
            delete_stretch(&tx, first, end).await?;
        }
        for delete in [
            "DELETE FROM rate_start WHERE rate IN (SELECT id FROM rate WHERE run = $1)",
            "DELETE FROM rate WHERE run = $1",
            "DELETE FROM fanout WHERE run = $1",
            "DELETE FROM failed WHERE run = $1",
            "DELETE FROM step_count WHERE run = $1",
            "DELETE FROM plan WHERE run = $1",
            "DELETE FROM run WHERE key = $1",
        ] {
            tell(&tx, delete, &[&key]).await?;
        }
        self.commit(tx).await?;
        self.announce(Told { runs: [id].into(), ..Told::default() });
        Ok(())
    }
}

async fn delete_stretch(tx: &Transaction<'_>, first: i64, end: i64) -> Result<(), HubError> {
    for delete in [
        "DELETE FROM job WHERE id >= $1 AND id < $2",
        "DELETE FROM done WHERE id >= $1 AND id < $2",
        "DELETE FROM chunk WHERE source >= $1 AND source < $2",
    ] {
        tell(tx, delete, &[&first, &end]).await?;
    }
    Ok(())
}
