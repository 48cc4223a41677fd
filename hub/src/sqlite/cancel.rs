//! Calling off what a person does not want any more.

use bue_model::wire::Changed;
use bue_model::{JobId, RunId, RunState};
use rusqlite::params;

use super::ledger::{FanOut, Ledger, instance_of, row_id, slot_in};
use super::memory::Run;
use super::reset::run_state_of;
use super::state::{State, run_state_code};
use crate::error::HubError;
use crate::graph::Block;

impl Ledger<'_> {
    /// As if the step had said so: the job's call, and what depends on it. The first job of the call that is open stands
    /// before all others that are.
    pub(super) fn cancel_job(&mut self, job: JobId) -> Result<Changed, HubError> {
        let (key, state) = self.state_of(job)?;
        if state == State::Cancelled {
            return Ok(Changed { jobs: 0 });
        }
        let run = self.run(key)?;
        let row = self.job_row(row_id(job))?.filter(|row| row.state.is_open());
        let node = row.as_ref().and_then(|row| run.graph.job(row.slot.node));
        let (Some(row), Some(node)) = (row, node) else { return Err(HubError::Ended { job, state: state.shown() }) };
        let instance = instance_of(&run, row.slot)?;
        let mut start = row.slot;
        for node in run.graph.chain(node.call) {
            let slot = slot_in(&run, instance, *node)?;
            if self.job_row(slot.id)?.is_some_and(|row| row.state.is_open()) {
                start = slot;
                break;
            }
        }
        Ok(Changed { jobs: self.call_off(&run, vec![start])? })
    }

    /// Everything of the run that is not over, except failed jobs, which stay to be read. Safe beside running jobs: their
    /// rows are gone, so their reports find nothing.
    pub(super) fn cancel_run(&mut self, id: RunId) -> Result<Changed, HubError> {
        let Some(key) = self.run_key(id)? else { return Err(HubError::RunNotFound(id)) };
        if run_state_of(self, key)? != RunState::Running {
            return Ok(Changed { jobs: 0 });
        }
        let run = self.run(key)?;
        let mut jobs = self.clear(&run, run.first, run.first + run.graph.blocks.first().map_or(0, Block::stride))?;
        let mut select = self.db.prepare_cached(
            "SELECT id, run, node, outer, source, first, stride, count, expanded, settled, failed
             FROM fanout WHERE run = ?1",
        )?;
        let fan_outs: Vec<FanOut> = select.query_map([key], FanOut::read)?.collect::<Result<_, _>>()?;
        for fan_out in fan_outs {
            jobs += self.clear(&run, fan_out.first, fan_out.round(fan_out.expanded))?;
            jobs += self.clear_unmade(&run, &fan_out)?;
        }
        let mut update = self.db.prepare_cached("UPDATE run SET state = ?2, finished_at = ?3 WHERE key = ?1")?;
        update.execute(params![key, run_state_code(RunState::Cancelled), self.now])?;
        self.drop_rates(key)?;
        self.touch(key);
        Ok(Changed { jobs })
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
            if let Some(job) = run.graph.job(bue_model::NodeId(node)) {
                self.counts.moved(run.key, job.step, state, State::Cancelled);
                jobs += 1;
            }
        }
        Ok(jobs)
    }

    /// Rounds that were never made were counted as blocked.
    fn clear_unmade(&mut self, run: &Run, fan_out: &FanOut) -> Result<u64, HubError> {
        let unmade = fan_out.count - fan_out.expanded;
        let body = fan_out.body(run)?;
        self.count_rounds(run, body, State::Blocked, -unmade)?;
        self.count_rounds(run, body, State::Cancelled, unmade)?;
        let jobs = run
            .graph
            .blocks
            .get(body)
            .map_or(0, |block| block.nodes.iter().filter(|node| run.graph.job(**node).is_some()).count());
        Ok(super::ledger::unsigned(unmade) * jobs as u64)
    }
}
