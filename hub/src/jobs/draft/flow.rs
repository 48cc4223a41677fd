//! What happens to the dependants of a job that completed, failed or was called off.
//!
//! Each of the three walks to rows that are Blocked, calling off to Stuck ones too, and leaves all others alone: what is
//! completed, failed or cancelled stays so, and a row that does not exist yet finds out how its parents stand when it is made.

use bue_model::NodeId;
use bue_model::job::Failure;

use super::rows::DoneRow;
use super::{Draft, Halt, JobRow, Step};
use crate::jobs::columns::to_blob;
use crate::jobs::initial_state::Hint;
use crate::jobs::instance::{Run, Slot, instance_of, node_of, slot_in};
use crate::jobs::state::State;

impl Draft<'_> {
    /// The rows that wait for this one: in its own instance, and in the rounds inside it that exist.
    pub(super) fn dependants(&mut self, run: &Run, slot: Slot) -> Step<Vec<Slot>> {
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
        self.look_at_jobs(&found)?;
        Ok(found)
    }

    /// The same on a walk through many rows, which goes on with the others where one needs something read, so that all is read
    /// at once.
    pub(super) fn dependants_as_known(&mut self, run: &Run, slot: Slot, missing: &mut bool) -> Step<Vec<Slot>> {
        match self.dependants(run, slot) {
            Err(Halt::Need) => {
                *missing = true;
                Ok(Vec::new())
            }
            found => found,
        }
    }

    /// The rows of a node in all rounds of these fan-outs, as far as they are not over.
    fn inside(&mut self, fan_outs: &[Slot], node: NodeId) -> Step<Vec<Slot>> {
        let (mut found, mut missing) = (Vec::new(), false);
        for slot in fan_outs {
            match self.inside_one(*slot, node) {
                Ok(mut rows) => found.append(&mut rows),
                Err(Halt::Need) => missing = true,
                Err(failed) => return Err(failed),
            }
        }
        if missing { Err(Halt::Need) } else { Ok(found) }
    }

    fn inside_one(&mut self, slot: Slot, node: NodeId) -> Step<Vec<Slot>> {
        let Some(fan_out) = self.fan_out(slot.id)? else { return Ok(Vec::new()) };
        // rounds made by this draft were never stored
        if self.known.fan_outs.contains_key(&fan_out.id) && !self.known.alive.contains(&(fan_out.id, node.0)) {
            self.needs.alive.insert((fan_out.id, node.0));
            return Err(Halt::Need);
        }
        let rows = self.rows_between(fan_out.first, fan_out.round(fan_out.expanded));
        Ok(rows.filter(|row| row.slot.node == node).map(|row| row.slot).collect())
    }

    /// Rows of `job` that are known or drafted, by id.
    pub(super) fn rows_between(&self, first: i64, end: i64) -> impl Iterator<Item = &JobRow> {
        let end = end.max(first);
        let stored = self.known.jobs.range(first..end);
        let mut all: Vec<&JobRow> = stored.filter(|(id, _)| !self.jobs.contains_key(id)).map(|(_, row)| row).collect();
        all.extend(self.jobs.range(first..end).filter_map(|(_, row)| row.as_ref()));
        all.sort_by_key(|row| row.slot.id);
        all.into_iter()
    }

    /// Everything that waited for this one waits for one less.
    pub(super) fn unblock(&mut self, run: &Run, slot: Slot, hint: &Hint) -> Step<()> {
        for child in self.dependants(run, slot)? {
            let Some(mut row) = self.job(child.id)? else { continue };
            leave_hint(slot.node, &mut row, hint);
            let is_job = run.graph.job(child.node).is_some();
            let free = self.parent_completed(&mut row, if is_job { State::Ready } else { State::Expanding });
            self.put(row);
            match (free, is_job) {
                (false, _) => {}
                (true, true) => {
                    self.effects.work = true;
                    self.moved(run, child.node, State::Blocked, State::Ready);
                }
                (true, false) => self.start_fan_out(run, child)?,
            }
        }
        Ok(())
    }

    /// Whether the row became free by it. Each parent completes once, a parent that starts anew is the child's only one
    /// (see [`super::reset`]), so the count reaches 0 when the last one completes and only then.
    fn parent_completed(&self, row: &mut JobRow, free: State) -> bool {
        if row.waiting_for == 0 {
            return false;
        }
        row.waiting_for -= 1;
        let becomes_free = row.waiting_for == 0 && row.state == State::Blocked;
        if becomes_free {
            row.state = free;
            row.available_at = self.now;
        }
        becomes_free
    }

    /// A job's attempts are used up. Its row is open when this is called.
    pub(super) fn fail(&mut self, run: &Run, mut row: JobRow, failure: &Failure) -> Step<()> {
        let (slot, from) = (row.slot, row.state);
        row.state = State::Failed;
        row.lease_end = None;
        row.failure = Some(to_blob(failure)?);
        self.put(row);
        self.failed.insert((run.key, slot.id), true);
        self.moved(run, slot.node, from, State::Failed);
        self.closed(run, slot)?;
        self.hold_up(run, slot, slot.id)
    }

    /// Everything that waits for this one, directly or not, is stuck behind the failed job `by`.
    pub(super) fn hold_up(&mut self, run: &Run, slot: Slot, by: i64) -> Step<()> {
        let (mut walk, mut missing) = (vec![slot], false);
        while let Some(slot) = walk.pop() {
            for child in self.dependants_as_known(run, slot, &mut missing)? {
                if let Some(row) = self.job(child.id)?.filter(|row| row.state == State::Blocked) {
                    self.put(JobRow { state: State::Stuck, blocked_by: Some(by), ..row });
                    self.closed(run, child)?;
                    walk.push(child);
                }
            }
        }
        if missing { Err(Halt::Need) } else { Ok(()) }
    }

    /// Calls these rows off, and everything that waits for them, also what a failed job holds up: it could not be had
    /// after a reset either.
    pub(super) fn call_off(&mut self, run: &Run, slots: Vec<Slot>) -> Step<u64> {
        let (mut walk, mut jobs, mut missing) = (slots, 0, false);
        while let Some(slot) = walk.pop() {
            let Some(row) = self.job(slot.id)?.filter(|row| row.state.can_be_cancelled()) else { continue };
            if row.state == State::Stuck {
                // its round was counted as failed, and settles once more
                self.reopen(run, instance_of(run, slot)?)?;
            }
            jobs += u64::from(run.graph.job(slot.node).is_some());
            self.moved(run, slot.node, row.state, State::Cancelled);
            self.bury(row, State::Cancelled, Hint::default(), None);
            self.closed(run, slot)?;
            walk.extend(self.dependants_as_known(run, slot, &mut missing)?);
        }
        if missing { Err(Halt::Need) } else { Ok(jobs) }
    }

    /// Takes an open row from `job` to `done`. The token goes along, so a report that comes twice is recognised; one for a
    /// row that was called off is not, since only a completed row's token counts.
    pub(super) fn bury(&mut self, row: JobRow, state: State, hint: Hint, value: Option<Vec<u8>>) {
        let id = row.slot.id;
        self.jobs.insert(id, None);
        let done = DoneRow {
            slot: row.slot,
            run: row.run,
            state,
            token: row.token,
            worker: row.worker,
            attempts: row.attempts,
            resets: row.resets,
            hint,
            value,
            log: row.log,
        };
        self.done.insert(id, Some(done));
    }
}

/// The child inherits, unless a node that stands later left it something already.
fn leave_hint(from: NodeId, row: &mut JobRow, hint: &Hint) {
    if let Some(priority) = hint.priority
        && row.hinted.is_none_or(|earlier| earlier <= from)
    {
        row.priority = priority;
        row.hinted = Some(from);
    }
    if let Some(env) = &hint.env
        && row.env_from.is_none_or(|earlier| earlier <= from)
    {
        row.env = Some(env.clone());
        row.env_from = Some(from);
    }
}
