//! When nothing is open any more: rounds settle, then their fan-out closes, then the round around it, at last the run.

use bue_model::RunState;
use rusqlite::{OptionalExtension, params};

use super::ledger::{FanOut, Instance, Ledger, Slot};
use super::memory::Run;
use super::state::run_state_code;
use crate::error::HubError;

/// Windows of rounds that one transaction makes; the rest follow between the requests, so that nobody waits for a loop over
/// a million elements that are all called off.
const MAX_WINDOWS: usize = 2;

/// What is left of an instance in `job`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// Something may still happen.
    Open,
    /// Everything is completed or cancelled.
    Nothing,
    /// Some are failed, or stuck behind this failed job.
    Dead(i64),
}

impl Ledger<'_> {
    /// Follows everything that closed to its consequences. Terminates: each pass takes an instance out, and one is put in
    /// only for a row that was open and is not any more.
    pub(super) fn settle_all(&mut self) -> Result<(), HubError> {
        let mut windows = 0;
        loop {
            while let Some(instance) = self.closings.pop_last() {
                self.settle(instance)?;
            }
            let Some(id) = self.effects.growing.first().copied().filter(|_| windows < MAX_WINDOWS) else {
                return Ok(());
            };
            windows += 1;
            self.grow(id)?;
        }
    }

    fn settle(&mut self, instance: Instance) -> Result<(), HubError> {
        let rest = self.rest(instance)?;
        match (rest, instance.fanout) {
            (Rest::Open, _) => Ok(()),
            (_, 0) => self.finish_run(instance.run, rest),
            _ => self.settle_round(instance.fanout, rest),
        }
    }

    /// Looks at the rows of an instance by their ids; most are gone to `done`, and the first open one ends the search.
    fn rest(&mut self, instance: Instance) -> Result<Rest, HubError> {
        let run = self.run(instance.run)?;
        let stride = run.graph.blocks.get(instance.block).map_or(0, crate::graph::Block::stride);
        let end = instance.first + stride;
        let mut open = self.db.prepare_cached("SELECT 1 FROM job WHERE id >= ?1 AND id < ?2 AND state < 5 LIMIT 1")?;
        if open.exists(params![instance.first, end])? {
            return Ok(Rest::Open);
        }
        Ok(self.dead_between(instance.first, end)?.map_or(Rest::Nothing, Rest::Dead))
    }

    /// Whether something in an instance may still happen by itself.
    pub(super) fn is_open(&mut self, instance: Instance) -> Result<bool, HubError> {
        Ok(self.rest(instance)? == Rest::Open)
    }

    /// A failed job among these rows, or one that they are stuck behind.
    fn dead_between(&self, first: i64, end: i64) -> Result<Option<i64>, HubError> {
        let mut dead = self.db.prepare_cached(
            "SELECT iif(state = 5, id, blocked_by) FROM job WHERE id >= ?1 AND id < ?2 AND state >= 5 LIMIT 1",
        )?;
        Ok(dead.query_row(params![first, end], |row| row.get(0)).optional()?)
    }

    /// Called once for each round: when its last open row closes, or when it is made without one.
    fn settle_round(&mut self, fanout: i64, rest: Rest) -> Result<(), HubError> {
        let failed = i64::from(matches!(rest, Rest::Dead(_)));
        let mut update = self.db.prepare_cached(
            "UPDATE fanout SET settled = settled + 1, failed = failed + ?2 WHERE id = ?1
             RETURNING id, run, node, outer, source, first, stride, count, expanded, settled, failed",
        )?;
        let fan_out = update.query_row(params![fanout, failed], FanOut::read)?;
        if fan_out.settled == fan_out.count {
            let run = self.run(fan_out.run)?;
            return self.close_fan_out(&run, &fan_out);
        }
        if fan_out.wants_to_grow() {
            self.effects.growing.insert(fanout);
            self.effects.grown.remove(&fanout);
        }
        Ok(())
    }

    fn close_fan_out(&mut self, run: &Run, fan_out: &FanOut) -> Result<(), HubError> {
        let slot = fan_out.slot();
        if fan_out.failed == 0 {
            return self.complete_fan_out(run, slot);
        }
        let by = self.dead_between(fan_out.first, fan_out.round(fan_out.expanded))?;
        let by = by.ok_or_else(|| HubError::damaged("a failed round without a failed job"))?;
        self.get_stuck(run, slot, by)
    }

    /// A fan-out with failed rounds ends like a job behind a failed one.
    fn get_stuck(&mut self, run: &Run, slot: Slot, by: i64) -> Result<(), HubError> {
        let mut update =
            self.db.prepare_cached("UPDATE job SET state = 6, blocked_by = ?2 WHERE id = ?1 AND state = 4")?;
        if update.execute(params![slot.id, by])? == 1 {
            self.closed(run, slot)?;
            self.hold_up(run, slot, by)?;
        }
        Ok(())
    }

    /// A run that was called off stays so.
    fn finish_run(&mut self, key: i64, rest: Rest) -> Result<(), HubError> {
        let state = if rest == Rest::Nothing { RunState::Completed } else { RunState::Failed };
        let mut update =
            self.db.prepare_cached("UPDATE run SET state = ?2, finished_at = ?3 WHERE key = ?1 AND state = 0")?;
        update.execute(params![key, run_state_code(state), self.now])?;
        if state == RunState::Completed {
            self.drop_rates(key)?;
        }
        self.touch(key);
        Ok(())
    }
}
