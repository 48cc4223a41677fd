//! Fan-outs: they start when their source completes, and their rounds are made a window at a time, so that a million
//! elements keep few rows alive.

use super::{Draft, Halt, Step};
use crate::error::HubError;
use crate::jobs::graph::Block;
use crate::jobs::instance::{FanOut, Instance, Run, Slot, instance_of, slot_in};
use crate::jobs::state::State;

impl Draft<'_> {
    /// The source has completed: now the rounds are known. The row was just set to Expanding, which happens once.
    pub(super) fn start_fan_out(&mut self, run: &Run, slot: Slot) -> Step<()> {
        let node = run.graph.fan_out(slot.node).ok_or_else(|| HubError::damaged("a job where a loop should be"))?;
        let source = slot_in(run, instance_of(run, slot)?, node.over)?.id;
        let stride = run.graph.blocks.get(node.body).map_or(0, Block::stride);
        let count = if stride == 0 { 0 } else { self.elements(source)? };
        if count == 0 {
            return self.complete_fan_out(run, slot);
        }
        let ids = count.checked_mul(stride).ok_or_else(|| HubError::damaged("a list of too many elements"))?;
        let (expanded, settled, failed) = (0, 0, 0);
        let fan_out = FanOut {
            id: slot.id,
            run: run.key,
            node: slot.node,
            outer: slot.fanout,
            source,
            first: self.take_ids(ids)?,
            stride,
            count,
            expanded,
            settled,
            failed,
        };
        self.fan_outs.insert(slot.id, fan_out);
        self.count_rounds(run, node.body, State::Blocked, count);
        self.grow(slot.id)
    }

    /// Rounds that are not made yet are counted like blocked jobs, so that people see how much is to come.
    pub(crate) fn count_rounds(&mut self, run: &Run, body: usize, state: State, rounds: i64) {
        for node in run.graph.blocks.get(body).map_or(&[][..], |block| &block.nodes) {
            if let Some(job) = run.graph.job(*node) {
                self.counts.add(run.key, job.step, state, rounds);
            }
        }
    }

    fn elements(&mut self, source: i64) -> Step<i64> {
        let drafted = self.chunks.iter().rev().find(|chunk| chunk.source == source);
        if let Some(last) = drafted {
            return Ok(last.first + last.count);
        }
        if let Some(elements) = self.known.elements.get(&source) {
            return Ok(*elements);
        }
        self.needs.elements.insert(source);
        Err(Halt::Need)
    }

    /// Makes the next rounds: a turn, if the window has room for one. Safe to be asked at any time: rounds below `expanded` are
    /// never made again, and a fan-out that was called off is not Expanding any more.
    pub(crate) fn grow(&mut self, id: i64) -> Step<()> {
        self.effects.growing.remove(&id);
        let Some(mut fan_out) = self.fan_out(id)?.filter(FanOut::wants_to_grow) else { return Ok(()) };
        if self.job(id)?.is_none_or(|row| row.state != State::Expanding) {
            return Ok(());
        }
        let run = self.run(fan_out.run)?;
        let end = fan_out.next_end();
        let block = fan_out.body(&run)?;
        let instance = |round| Instance { run: run.key, fanout: id, block, first: fan_out.round(round) };
        let around = self.surroundings(&run, instance(fan_out.expanded), fan_out.slot())?;
        for round in fan_out.expanded..end {
            self.make(&run, instance(round), &around)?;
        }
        fan_out.expanded = end;
        if fan_out.wants_to_grow() {
            self.effects.growing.insert(id);
        }
        self.fan_outs.insert(id, fan_out);
        Ok(())
    }

    /// No round, or every round is over and none failed: what gathers them may run.
    pub(super) fn complete_fan_out(&mut self, run: &Run, slot: Slot) -> Step<()> {
        let Some(row) = self.job(slot.id)?.filter(|row| row.state.is_open()) else { return Ok(()) };
        let hint = row.hint();
        self.bury(row, State::Completed, hint.clone(), None);
        self.closed(run, slot)?;
        self.unblock(run, slot, &hint)
    }
}
