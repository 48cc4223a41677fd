//! Calling a run off.

use bue_model::wire::Changed;
use bue_model::{NodeId, RunId, RunState};
use rusqlite::params;

use super::ledger::Ledger;
use super::memory::Run;
use super::state::State;
use crate::error::HubError;
use crate::jobs::draft::{Known, Needs};
use crate::jobs::graph::Block;

impl Ledger<'_> {
    /// Everything of the run that is not over, except failed jobs, which stay to be read. Safe beside running jobs: their
    /// rows are gone, so their reports find nothing. A run may have many rows, so they move inside the database.
    pub(super) fn cancel_run(&mut self, id: RunId) -> Result<Changed, HubError> {
        let Some(key) = self.run_key(id)? else { return Err(HubError::RunNotFound(id)) };
        if self.run_state(key)? != RunState::Running {
            return Ok(Changed { jobs: 0 });
        }
        let run = self.run(key)?;
        let fan_outs = self.fan_outs_of(key)?;
        let mut jobs = self.clear(&run, run.first, run.first + run.graph.blocks.first().map_or(0, Block::stride))?;
        for fan_out in &fan_outs {
            jobs += self.clear(&run, fan_out.first, fan_out.round(fan_out.expanded))?;
        }
        let unmade = self.draft(Known::default(), Needs::default(), |draft| {
            let mut jobs = 0;
            for fan_out in &fan_outs {
                jobs += draft.clear_unmade(&run, fan_out)?;
            }
            draft.run_states.insert(key, (RunState::Cancelled, Some(draft.now)));
            draft.touch(key);
            Ok(jobs)
        })?;
        Ok(Changed { jobs: jobs + unmade })
    }

    /// The rows of one range of ids go to `done`.
    fn clear(&mut self, run: &Run, first: i64, end: i64) -> Result<u64, HubError> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO done (id, run, node, fanout, state, token, worker, attempts, resets, log, ended_at)
             SELECT id, run, node, fanout, 8, token, worker, attempts, resets, log, ?3
             FROM job WHERE id >= ?1 AND id < ?2 AND state <> 5",
        )?;
        insert.execute(params![first, end, self.now])?;
        let mut delete = self
            .db
            .prepare_cached("DELETE FROM job WHERE id >= ?1 AND id < ?2 AND state <> 5 RETURNING node, state")?;
        let gone: Vec<(u32, State)> =
            delete.query_map(params![first, end], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let mut jobs = 0;
        for (node, state) in gone {
            if let Some(job) = run.graph.job(NodeId(node)) {
                self.counts.moved(run.key, job.step, state, State::Cancelled);
                jobs += 1;
            }
        }
        Ok(jobs)
    }
}
