//! Cancelling and deleting runs. A run may have many rows, so they are changed inside the database.

use bue_model::wire::Changed;
use bue_model::{NodeId, RunId, RunState};
use deadpool_postgres::Transaction;

use super::change::Start;
use super::connection::retry::retry_transient;
use super::pipelines::delete_invocation;
use super::query::{execute, fan_outs_of, node, query, state};
use super::records::detach_audit;
use super::schedules::delete_scheduled;
use super::state::PostgresState;
use crate::error::HubError;
use crate::jobs::changes::change_set::ChangeSet;
use crate::jobs::changes::pending_notifications::PendingNotifications;
use crate::jobs::changes::snapshot::RequiredReads;
use crate::jobs::columns::unsigned;
use crate::jobs::instance::IdRange;
use crate::jobs::state::{State, state_code};

/// Rows that were cancelled, of one node and in one state.
struct CancelledRows {
    node: NodeId,
    state: State,
    count: i64,
}

impl PostgresState {
    /// Cancels everything of a run that has not ended, except failed jobs, which stay readable. Safe while jobs run: their
    /// rows are gone, so their reports find nothing.
    pub(super) async fn cancel_run(&self, now: i64, run: RunId) -> Result<Changed, HubError> {
        let key = self.expect_run(run).await?;
        retry_transient!(self.try_cancel_run(now, key))
    }

    async fn try_cancel_run(&self, now: i64, key: i64) -> Result<Changed, HubError> {
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let (changed, pending_notifications) = self.cancel_in(&tx, now, key).await?;
        self.commit(tx).await?;
        self.announce(pending_notifications);
        Ok(changed)
    }

    /// Cancels a run in a transaction that does more.
    pub(super) async fn cancel_in(
        &self,
        tx: &Transaction<'_>,
        now: i64,
        key: i64,
    ) -> Result<(Changed, PendingNotifications), HubError> {
        let snapshot = self.lock(tx, key).await?;
        if snapshot.run_states.get(&key) != Some(&RunState::Running) {
            return Ok((Changed { jobs: 0 }, PendingNotifications::default()));
        }
        let fan_outs = fan_outs_of(tx, key).await?;
        let run = self.run(tx, key).await?;
        let mut cancelled = cancel_rows(tx, run.top_level_ids(), now).await?;
        for fan_out in &fan_outs {
            cancelled.extend(cancel_rows(tx, fan_out.expanded_ids(), now).await?);
        }
        let cancel = |changes: &mut ChangeSet<'_>| {
            let mut jobs = 0;
            for rows in &cancelled {
                if let Some(job) = run.graph.job(rows.node) {
                    changes.counts.add(key, job.step, rows.state, -rows.count);
                    changes.counts.add(key, job.step, State::Cancelled, rows.count);
                    jobs += unsigned(rows.count);
                }
            }
            for fan_out in &fan_outs {
                jobs += changes.cancel_unexpanded(&run, fan_out)?;
            }
            changes.end_cancelled(&run)?;
            Ok(Changed { jobs })
        };
        self.apply(tx, now, Start { snapshot, required: RequiredReads::default() }, &cancel).await
    }

    /// Deletes all rows of a run that has ended. Safe because the run is locked and nothing of it is open: no lease of it is
    /// held, so no report will come, and neither ids nor keys are reused.
    pub(super) async fn delete_run(&self, run: RunId) -> Result<(), HubError> {
        retry_transient!(self.try_delete_run(run))
    }

    async fn try_delete_run(&self, id: RunId) -> Result<(), HubError> {
        let key = self.run_key(id).await?.ok_or(HubError::RunNotFound(id))?;
        let mut client = self.client().await?;
        let tx = client.transaction().await?;
        let snapshot = self.lock(&tx, key).await?;
        match snapshot.run_states.get(&key) {
            None => return Err(HubError::RunNotFound(id)),
            Some(RunState::Running) => return Err(HubError::RunStillRunning(id)),
            Some(_) => {}
        }
        let run = self.run(&tx, key).await?;
        delete_rows(&tx, run.top_level_ids()).await?;
        for fan_out in fan_outs_of(&tx, key).await? {
            delete_rows(&tx, (fan_out.first, fan_out.round_start(fan_out.count))).await?;
        }
        for delete in [
            "DELETE FROM rate_start WHERE rate IN (SELECT id FROM rate WHERE run = $1)",
            "DELETE FROM rate WHERE run = $1",
            "DELETE FROM counterpart WHERE fanout IN (SELECT id FROM fanout WHERE run = $1)",
            "DELETE FROM fanout WHERE run = $1",
            "DELETE FROM failed WHERE run = $1",
            "DELETE FROM step_count WHERE run = $1",
            "DELETE FROM step_usage WHERE run = $1",
            "DELETE FROM plan WHERE run = $1",
            "DELETE FROM rerun WHERE run = $1",
            "DELETE FROM lender WHERE run = $1",
            "DELETE FROM run_param WHERE run = $1",
            "DELETE FROM run WHERE key = $1",
        ] {
            execute(&tx, delete, &[&key]).await?;
        }
        delete_invocation(&tx, key).await?;
        delete_scheduled(&tx, key).await?;
        detach_audit(&tx, id).await?;
        self.commit(tx).await?;
        self.announce(PendingNotifications { runs: [id].into(), ..PendingNotifications::default() });
        Ok(())
    }
}

/// Moves the rows of a range to `done`, as cancelled.
async fn cancel_rows(tx: &Transaction<'_>, (first, end): IdRange, now: i64) -> Result<Vec<CancelledRows>, HubError> {
    let sql = concat!(
        "WITH cancelled AS (DELETE FROM job WHERE id >= $1 AND id < $2 AND state <> ",
        state_code!(Failed),
        " RETURNING *),
         moved AS (INSERT INTO done (id, run, node, fanout, state, token, worker, attempts, resets, log, started_at, earlier,
                 ended_at)
             SELECT id, run, node, fanout, ",
        state_code!(Cancelled),
        ", token, worker, attempts, resets, log, started_at, earlier, $3 FROM cancelled)
         SELECT node, state, count(*) FROM cancelled GROUP BY node, state"
    );
    let rows = query(tx, sql, &[&first, &end, &now]).await?;
    let cancelled = rows.iter().map(|row| {
        Ok(CancelledRows { node: node(row.try_get(0)?), state: state(row.try_get(1)?)?, count: row.try_get(2)? })
    });
    cancelled.collect()
}

async fn delete_rows(tx: &Transaction<'_>, (first, end): IdRange) -> Result<(), HubError> {
    for delete in [
        "DELETE FROM job WHERE id >= $1 AND id < $2",
        "DELETE FROM done WHERE id >= $1 AND id < $2",
        "DELETE FROM chunk WHERE source >= $1 AND source < $2",
    ] {
        execute(tx, delete, &[&first, &end]).await?;
    }
    Ok(())
}
