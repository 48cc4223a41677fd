//! What happens to the dependants of a job that completed, failed or was called off.
//!
//! Each of the three walks to rows that are Blocked and leaves all others alone: what is completed, failed, stuck or
//! cancelled stays so, and a row that does not exist yet finds out how its parents stand when it is made.

use bue_model::{JobId, NodeId};
use rusqlite::{OptionalExtension, params};

use super::fate::Hint;
use super::ledger::{FanOut, Ledger, Slot, instance_of, node_of, slot_in, to_blob};
use super::memory::Run;
use super::state::State;
use crate::error::HubError;
use bue_model::job::Failure;

impl Ledger<'_> {
    /// The rows that wait for this one: in its own instance, and in the rounds inside it that exist.
    pub(super) fn dependants(&self, run: &Run, slot: Slot) -> Result<Vec<Slot>, HubError> {
        let instance = instance_of(run, slot)?;
        let mut found = Vec::new();
        for child in &node_of(run, slot.node)?.children {
            let block = node_of(run, *child)?.block;
            if block == instance.block {
                found.push(slot_in(run, instance, *child)?);
                continue;
            }
            let mut way: Vec<NodeId> = run.graph.loops_around(block);
            let start = way.iter().position(|step| run.graph.node(*step).is_some_and(|n| n.block == instance.block));
            way.drain(..start.unwrap_or(0));
            way.push(*child);
            let mut steps = way.into_iter();
            let Some(outermost) = steps.next() else { continue };
            let mut reached = vec![slot_in(run, instance, outermost)?];
            for step in steps {
                reached = self.inside(&reached, step)?;
            }
            found.append(&mut reached);
        }
        Ok(found)
    }

    /// The rows of a node in all rounds of these fan-outs, as far as they are not over. A scan of the fan-outs' own rows:
    /// the rounds alive at one time are few.
    fn inside(&self, fan_outs: &[Slot], node: NodeId) -> Result<Vec<Slot>, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT id FROM job WHERE id >= ?1 AND id < ?2 AND node = ?3 ORDER BY id")?;
        let mut found = Vec::new();
        for slot in fan_outs {
            let Some(FanOut { id: fanout, first, stride, expanded, .. }) = self.fan_out(slot.id)? else { continue };
            let ids = select.query_map(params![first, first + expanded * stride, node.0], |row| row.get(0))?;
            for id in ids {
                found.push(Slot { id: id?, node, fanout });
            }
        }
        Ok(found)
    }

    /// Everything that waited for this one waits for one less.
    pub(super) fn unblock(&mut self, run: &Run, slot: Slot, hint: &Hint) -> Result<(), HubError> {
        for child in self.dependants(run, slot)? {
            self.leave_hint(slot.node, child, hint)?;
            let is_job = run.graph.job(child.node).is_some();
            let free = if is_job { State::Ready } else { State::Expanding };
            if !self.parent_completed(child, free)? {
                continue;
            }
            if is_job {
                self.effects.work = true;
                self.moved(run, child.node, State::Blocked, State::Ready);
            } else {
                self.start_fan_out(run, child)?;
            }
        }
        Ok(())
    }

    /// Whether the row became free by it. Each parent completes once, a parent that starts anew is the child's only one
    /// (see [`super::reset`]), so the count reaches 0 when the last one completes and only then. A row that is over is not
    /// found.
    fn parent_completed(&self, child: Slot, free: State) -> Result<bool, HubError> {
        let mut update = self.db.prepare_cached(
            "UPDATE job SET waiting_for = waiting_for - 1,
                 state = iif(waiting_for = 1 AND state = 0, ?2, state),
                 available_at = iif(waiting_for = 1 AND state = 0, ?3, available_at)
             WHERE id = ?1 AND waiting_for > 0 RETURNING waiting_for = 0 AND state = ?2",
        )?;
        let freed = update.query_row(params![child.id, free, self.now], |row| row.get(0)).optional()?;
        Ok(freed.unwrap_or(false))
    }

    /// The child inherits, unless a node that stands later left it something already.
    fn leave_hint(&self, from: NodeId, child: Slot, hint: &Hint) -> Result<(), HubError> {
        if let Some(priority) = hint.priority {
            let mut update = self.db.prepare_cached(
                "UPDATE job SET priority = ?2, hinted = ?3 WHERE id = ?1 AND (hinted IS NULL OR hinted <= ?3)",
            )?;
            update.execute(params![child.id, priority, from.0])?;
        }
        if let Some(env) = &hint.env {
            let mut update = self.db.prepare_cached(
                "UPDATE job SET env = ?2, env_from = ?3 WHERE id = ?1 AND (env_from IS NULL OR env_from <= ?3)",
            )?;
            update.execute(params![child.id, env, from.0])?;
        }
        Ok(())
    }

    /// A job's attempts are used up. Its row is open when this is called.
    pub(super) fn fail(&mut self, run: &Run, slot: Slot, from: State, failure: &Failure) -> Result<(), HubError> {
        let mut update = self
            .db
            .prepare_cached("UPDATE job SET state = 5, failure = ?2, lease_end = NULL WHERE id = ?1 AND state < 5")?;
        update.execute(params![slot.id, to_blob(failure)?])?;
        let mut insert = self.db.prepare_cached("INSERT OR IGNORE INTO failed (run, job) VALUES (?1, ?2)")?;
        insert.execute(params![run.key, slot.id])?;
        self.moved(run, slot.node, from, State::Failed);
        self.closed(run, slot)?;
        self.hold_up(run, slot, slot.id)
    }

    /// Everything that waits for this one, directly or not, is stuck behind the failed job `by`.
    pub(super) fn hold_up(&mut self, run: &Run, slot: Slot, by: i64) -> Result<(), HubError> {
        let mut walk = vec![slot];
        while let Some(slot) = walk.pop() {
            for child in self.dependants(run, slot)? {
                let mut update =
                    self.db.prepare_cached("UPDATE job SET state = 6, blocked_by = ?2 WHERE id = ?1 AND state = 0")?;
                if update.execute(params![child.id, by])? == 1 {
                    self.closed(run, child)?;
                    walk.push(child);
                }
            }
        }
        Ok(())
    }

    /// Calls these open rows off, and everything that waits for them.
    pub(super) fn call_off(&mut self, run: &Run, slots: Vec<Slot>) -> Result<u64, HubError> {
        let (mut walk, mut jobs) = (slots, 0);
        while let Some(slot) = walk.pop() {
            let Some(from) = self.bury(slot, State::Cancelled, &Hint::default(), None)? else { continue };
            jobs += u64::from(run.graph.job(slot.node).is_some());
            self.moved(run, slot.node, from, State::Cancelled);
            self.closed(run, slot)?;
            walk.extend(self.dependants(run, slot)?);
        }
        Ok(jobs)
    }

    /// Takes an open row from `job` to `done`; the state it had, or `None` if it is not open. The token goes along, so a
    /// report that comes twice is recognised; one for a row that was called off is not, since only a completed row's token
    /// counts.
    pub(super) fn bury(
        &self,
        slot: Slot,
        state: State,
        hint: &Hint,
        value: Option<&[u8]>,
    ) -> Result<Option<State>, HubError> {
        let mut insert = self.db.prepare_cached(
            "INSERT INTO done (id, run, node, fanout, state, token, worker, attempts, resets, hint, env, value, log,
                 ended_at)
             SELECT id, run, node, fanout, ?2, token, worker, attempts, resets, ?3, ?4, ?5, log, ?6
             FROM job WHERE id = ?1 AND state < 5",
        )?;
        insert.execute(params![slot.id, state, hint.priority, hint.env, value, self.now])?;
        let mut delete = self.db.prepare_cached("DELETE FROM job WHERE id = ?1 AND state < 5 RETURNING state")?;
        Ok(delete.query_row([slot.id], |row| row.get(0)).optional()?)
    }
}

/// The failed job that a row is stuck behind, for messages.
pub(super) fn blocked_by(id: Option<i64>) -> Option<JobId> {
    id.map(super::ledger::job_id)
}
