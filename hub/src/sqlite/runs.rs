//! Cancelling and deleting runs. A run may have many rows, so they are changed inside the database.

use bue_model::wire::Changed;
use bue_model::{NodeId, RunId, RunState};
use rusqlite::params;

use super::write_tx::WriteTx;
use crate::error::HubError;
use crate::jobs::changes::snapshot::{RequiredReads, Snapshot};
use crate::jobs::instance::{IdRange, Run};
use crate::jobs::state::{State, state_code};

impl WriteTx<'_> {
    /// Cancels everything of a run that has not ended, except failed jobs, which stay readable. Safe while jobs run: their
    /// rows are gone, so their reports find nothing.
    pub(super) fn cancel_run(&mut self, id: RunId) -> Result<Changed, HubError> {
        let key = self.expect_run(id)?;
        if self.run_state(key)? != RunState::Running {
            return Ok(Changed { jobs: 0 });
        }
        let run = self.run(key)?;
        let fan_outs = self.fan_outs_of(key)?;
        let mut jobs = self.cancel_rows(&run, run.top_level_ids())?;
        for fan_out in &fan_outs {
            jobs += self.cancel_rows(&run, fan_out.expanded_ids())?;
        }
        let mut snapshot = Snapshot::default();
        self.read_run(&mut snapshot, key)?;
        let unexpanded = self.change(snapshot, RequiredReads::default(), |changes| {
            let mut jobs = 0;
            for fan_out in &fan_outs {
                jobs += changes.cancel_unexpanded(&run, fan_out)?;
            }
            changes.end_cancelled(&run)?;
            Ok(jobs)
        })?;
        Ok(Changed { jobs: jobs + unexpanded })
    }

    /// Moves the rows of a range to `done`, as cancelled. Returns the number of jobs.
    fn cancel_rows(&mut self, run: &Run, (first, end): IdRange) -> Result<u64, HubError> {
        let mut insert = self.db.prepare_cached(concat!(
            "INSERT INTO done (id, run, node, fanout, state, token, worker, attempts, resets, log, started_at, earlier,
                 ended_at)
             SELECT id, run, node, fanout, ",
            state_code!(Cancelled),
            ", token, worker, attempts, resets, log, started_at, earlier, ?3
             FROM job WHERE id >= ?1 AND id < ?2 AND state <> ",
            state_code!(Failed)
        ))?;
        insert.execute(params![first, end, self.now])?;
        let mut delete = self.db.prepare_cached(concat!(
            "DELETE FROM job WHERE id >= ?1 AND id < ?2 AND state <> ",
            state_code!(Failed),
            " RETURNING node, state"
        ))?;
        let cancelled: Vec<(u32, State)> =
            delete.query_map(params![first, end], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let mut jobs = 0;
        for (node, state) in cancelled {
            if let Some(job) = run.graph.job(NodeId(node)) {
                self.counts.transition(run.key, job.step, state, State::Cancelled);
                jobs += 1;
            }
        }
        Ok(jobs)
    }

    /// Deletes all rows of a run that has ended. Safe because nothing of it is open: no lease of it is held, so no report
    /// will come, and ids are not reused.
    pub(super) fn delete_run(&mut self, id: RunId) -> Result<(), HubError> {
        let key = self.expect_run(id)?;
        if self.run_state(key)? == RunState::Running {
            return Err(HubError::RunStillRunning(id));
        }
        let run = self.run(key)?;
        let fan_outs = self.fan_outs_of(key)?;
        self.delete_rows(run.top_level_ids())?;
        for fan_out in &fan_outs {
            self.delete_rows((fan_out.first, fan_out.round_start(fan_out.count)))?;
        }
        self.delete_rates(key)?;
        self.delete_invocation(key)?;
        self.delete_scheduled(key)?;
        self.detach_audit(id)?;
        for delete in [
            "DELETE FROM counterpart WHERE fanout IN (SELECT id FROM fanout WHERE run = ?1)",
            "DELETE FROM fanout WHERE run = ?1",
            "DELETE FROM failed WHERE run = ?1",
            "DELETE FROM step_count WHERE run = ?1",
            "DELETE FROM step_usage WHERE run = ?1",
            "DELETE FROM plan WHERE run = ?1",
            "DELETE FROM rerun WHERE run = ?1",
            "DELETE FROM lender WHERE run = ?1",
            "DELETE FROM run_param WHERE run = ?1",
            "DELETE FROM run WHERE key = ?1",
        ] {
            self.db.prepare_cached(delete)?.execute([key])?;
        }
        self.grown.extend(fan_outs.iter().map(|fan_out| fan_out.id));
        self.pending_notifications.runs.insert(id);
        Ok(())
    }

    fn delete_rows(&self, (first, end): IdRange) -> Result<(), HubError> {
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
