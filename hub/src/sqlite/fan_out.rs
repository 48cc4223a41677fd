//! Fan-outs: they start when their source completes, and their rounds are made a window at a time, so that a million
//! elements keep few rows alive.

use rusqlite::{OptionalExtension, params};

use super::fate::Hint;
use super::ledger::{FanOut, Instance, Ledger, Slot, instance_of, slot_in};
use super::memory::Run;
use super::state::State;
use crate::error::HubError;
use crate::graph::Block;

impl Ledger<'_> {
    /// The source has completed: now the rounds are known. The row was just set to Expanding, which happens once.
    pub(super) fn start_fan_out(&mut self, run: &Run, slot: Slot) -> Result<(), HubError> {
        let node = run.graph.fan_out(slot.node).ok_or_else(|| HubError::damaged("a job where a loop should be"))?;
        let source = slot_in(run, instance_of(run, slot)?, node.over)?.id;
        let stride = run.graph.blocks.get(node.body).map_or(0, Block::stride);
        let count = if stride == 0 { 0 } else { self.elements(source)? };
        if count == 0 {
            return self.complete_fan_out(run, slot);
        }
        let ids = count.checked_mul(stride).ok_or_else(|| HubError::damaged("a list of too many elements"))?;
        let first = self.take_ids(ids)?;
        let mut insert = self.db.prepare_cached(
            "INSERT INTO fanout (id, run, node, outer, source, first, stride, count, expanded, settled, failed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, 0, 0)",
        )?;
        insert.execute(params![slot.id, run.key, slot.node.0, slot.fanout, source, first, stride, count])?;
        self.count_rounds(run, node.body, State::Blocked, count)?;
        self.grow(slot.id)
    }

    /// Rounds that are not made yet are counted like blocked jobs, so that people see how much is to come.
    pub(super) fn count_rounds(&mut self, run: &Run, body: usize, state: State, rounds: i64) -> Result<(), HubError> {
        for node in run.graph.blocks.get(body).map_or(&[][..], |block| &block.nodes) {
            if let Some(job) = run.graph.job(*node) {
                self.counts.add(run.key, job.step, state, rounds);
            }
        }
        Ok(())
    }

    fn elements(&self, source: i64) -> Result<i64, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT first + count FROM chunk WHERE source = ?1 ORDER BY first DESC LIMIT 1")?;
        Ok(select.query_row([source], |row| row.get(0)).optional()?.unwrap_or(0))
    }

    /// Makes the next rounds: a turn, if the window has room for one. Safe to be asked at any time: rounds below `expanded` are
    /// never made again, and a fan-out that was called off is not Expanding any more.
    pub(super) fn grow(&mut self, id: i64) -> Result<(), HubError> {
        self.effects.grown.insert(id);
        self.effects.growing.remove(&id);
        let Some(mut fan_out) = self.fan_out(id)?.filter(FanOut::wants_to_grow) else { return Ok(()) };
        let mut select = self.db.prepare_cached("SELECT state FROM job WHERE id = ?1")?;
        let state: Option<State> = select.query_row([id], |row| row.get(0)).optional()?;
        if state != Some(State::Expanding) {
            return Ok(());
        }
        let run = self.run(fan_out.run)?;
        let end = fan_out.next_end();
        let block = run.graph.fan_out(fan_out.node).map_or(0, |node| node.body);
        let instance = |round| Instance { run: run.key, fanout: id, block, first: fan_out.round(round) };
        let around = self.surroundings(&run, instance(fan_out.expanded), fan_out.slot())?;
        for round in fan_out.expanded..end {
            self.make(&run, instance(round), &around)?;
        }
        self.db.prepare_cached("UPDATE fanout SET expanded = ?2 WHERE id = ?1")?.execute(params![id, end])?;
        fan_out.expanded = end;
        if fan_out.wants_to_grow() {
            self.effects.growing.insert(id);
        }
        Ok(())
    }

    /// No round, or every round is over and none failed: what gathers them may run.
    pub(super) fn complete_fan_out(&mut self, run: &Run, slot: Slot) -> Result<(), HubError> {
        let hint = self.hint_of(slot)?;
        if self.bury(slot, State::Completed, &hint, None)?.is_some() {
            self.closed(run, slot)?;
            self.unblock(run, slot, &hint)?;
        }
        Ok(())
    }

    /// What a row inherited, which it passes on.
    pub(super) fn hint_of(&self, slot: Slot) -> Result<Hint, HubError> {
        let mut select =
            self.db.prepare_cached("SELECT iif(hinted IS NULL, NULL, priority), env FROM job WHERE id = ?1")?;
        let hint = select.query_row([slot.id], |row| Ok(Hint { priority: row.get(0)?, env: row.get(1)? }));
        Ok(hint.optional()?.unwrap_or_default())
    }
}
