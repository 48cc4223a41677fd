//! When nothing is open any more: rounds settle, then their fan-out closes, then the round around it, at last the run.

use bue_model::RunState;

use super::{Draft, Halt, JobRow, Step};
use crate::error::HubError;
use crate::jobs::graph::Block;
use crate::jobs::instance::{FanOut, Instance, Run, Slot};
use crate::jobs::state::State;

/// Turns of rounds that one transaction makes; the rest follow in transactions of their own, so that nobody waits for a
/// loop over a million elements that are all called off.
pub(crate) const MAX_TURNS: usize = 2;

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

impl Draft<'_> {
    /// Follows everything that closed to its consequences. Terminates: each pass takes an instance out, and one is put in
    /// only for a row that was open and is not any more. Goes on with the others where one needs something read, so that all
    /// is read at once. Fan-outs that have room for more rounds now are left to drafts of their own: what they need read
    /// would have everything here worked out once more.
    pub(crate) fn settle_all(&mut self) -> Step<()> {
        let mut missing = false;
        while let Some(instance) = self.closings.pop_last() {
            match self.settle(instance) {
                Err(Halt::Need) => missing = true,
                settled => settled?,
            }
        }
        if missing { Err(Halt::Need) } else { Ok(()) }
    }

    fn settle(&mut self, instance: Instance) -> Step<()> {
        let rest = self.rest(instance)?;
        match (rest, instance.fanout) {
            (Rest::Open, _) => Ok(()),
            (_, 0) => {
                self.finish_run(instance.run, rest)?;
                Ok(())
            }
            _ => self.settle_round(instance.fanout, rest),
        }
    }

    fn rest(&mut self, instance: Instance) -> Step<Rest> {
        if self.is_open(instance)? {
            return Ok(Rest::Open);
        }
        let (first, end) = self.stretch(instance)?;
        let dead = if self.is_stored(instance) { self.dead_between(first, end)? } else { self.dead_here(first, end) };
        Ok(dead.map_or(Rest::Nothing, Rest::Dead))
    }

    /// The ids of an instance.
    fn stretch(&self, instance: Instance) -> Result<(i64, i64), HubError> {
        let run = self.run(instance.run)?;
        let stride = run.graph.blocks.get(instance.block).map_or(0, Block::stride);
        Ok((instance.first, instance.first + stride))
    }

    /// Whether something in an instance may still happen by itself. One open row is enough to know; that there is none is
    /// known once the database has no other than those that closed here.
    pub(super) fn is_open(&mut self, instance: Instance) -> Step<bool> {
        let stretch = self.stretch(instance)?;
        if self.rows_between(stretch.0, stretch.1).any(|row| row.state.is_open()) {
            return Ok(true);
        }
        if !self.known.knows_all(stretch) && !self.known.no_more_open.contains(&stretch) && self.is_stored(instance) {
            self.needs.open.insert(stretch);
            return Err(Halt::Need);
        }
        Ok(false)
    }

    /// Rounds made by this draft are nowhere else.
    fn is_stored(&self, instance: Instance) -> bool {
        match self.known.fan_outs.get(&instance.fanout) {
            Some(fan_out) => instance.first < fan_out.round(fan_out.expanded),
            None => instance.fanout == 0 && !self.known.new_runs.contains(&instance.run),
        }
    }

    /// The first failed job among these rows, or the one that the first stuck one is behind.
    fn dead_between(&mut self, first: i64, end: i64) -> Step<Option<i64>> {
        let stretch = (first, end);
        let found = match self.known.first_dead.get(&stretch) {
            _ if self.known.knows_all(stretch) => true,
            // it may have come to life again in this draft
            Some(Some(id)) => self.rows_between(*id, id + 1).any(|row| !row.state.is_open()),
            Some(None) => true,
            None => false,
        };
        if !found {
            self.needs.dead.insert(stretch);
            return Err(Halt::Need);
        }
        Ok(self.dead_here(first, end))
    }

    fn dead_here(&self, first: i64, end: i64) -> Option<i64> {
        let dead = self.rows_between(first, end).find(|row| !row.state.is_open());
        dead.map(|row| row.blocked_by.filter(|_| row.state == State::Stuck).unwrap_or(row.slot.id))
    }

    /// Called once for each round: when its last open row closes, or when it is made without one.
    fn settle_round(&mut self, fanout: i64, rest: Rest) -> Step<()> {
        let mut fan_out = self.presume_fan_out(fanout)?;
        fan_out.settled += 1;
        fan_out.failed += i64::from(matches!(rest, Rest::Dead(_)));
        self.fan_outs.insert(fanout, fan_out);
        if fan_out.settled == fan_out.count {
            let run = self.run(fan_out.run)?;
            return self.close_fan_out(&run, &fan_out);
        }
        if fan_out.wants_to_grow() {
            self.effects.growing.insert(fanout);
        }
        Ok(())
    }

    fn close_fan_out(&mut self, run: &Run, fan_out: &FanOut) -> Step<()> {
        let slot = fan_out.slot();
        if fan_out.failed == 0 {
            return self.complete_fan_out(run, slot);
        }
        let by = self.dead_between(fan_out.first, fan_out.round(fan_out.expanded))?;
        let by = by.ok_or_else(|| HubError::damaged("a failed round without a failed job"))?;
        self.get_stuck(run, slot, by)
    }

    /// A fan-out with failed rounds ends like a job behind a failed one.
    fn get_stuck(&mut self, run: &Run, slot: Slot, by: i64) -> Step<()> {
        if let Some(row) = self.job(slot.id)?.filter(|row| row.state == State::Expanding) {
            self.put(JobRow { state: State::Stuck, blocked_by: Some(by), ..row });
            self.closed(run, slot)?;
            self.hold_up(run, slot, by)?;
        }
        Ok(())
    }

    /// A run that was called off stays so.
    fn finish_run(&mut self, key: i64, rest: Rest) -> Result<(), HubError> {
        let state = if rest == Rest::Nothing { RunState::Completed } else { RunState::Failed };
        if self.run_state(key)? == RunState::Running {
            self.run_states.insert(key, (state, Some(self.now)));
        }
        self.touch(key);
        Ok(())
    }
}
