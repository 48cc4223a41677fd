//! When nothing is open any more: rounds settle, then their fan-out closes, then the round around it, at last the run.

use bue_model::RunState;

use super::change_set::{ChangeError, ChangeResult, ChangeSet, MissingRows};
use crate::error::HubError;
use crate::jobs::instance::{FanOut, IdRange, Instance, Location, Run, ids_of};
use crate::jobs::state::State;

/// The progress of an instance, derived from its rows in `job`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Something may still happen without a reset.
    Open,
    /// Everything is completed or cancelled.
    Ended,
    /// This job failed, and the others that are left failed too or are stuck.
    Failed(i64),
}

impl ChangeSet<'_> {
    /// Applies the consequences of everything that closed, and of what can be reused now. Terminates: each pass removes an instance or
    /// a job, and one is added only for a row that was open and is not any more, or that was blocked and is not any more. Fan-outs
    /// that now have room for more rounds are left to separate change sets, because this one would have to start over with the rows
    /// that they need.
    pub(super) fn settle_all(&mut self) -> ChangeResult<()> {
        let mut missing = MissingRows::default();
        loop {
            while let Some((run, location)) = self.to_reuse.pop_first() {
                let result = self.reuse(run, location);
                missing.allow(result)?;
            }
            let Some(instance) = self.to_settle.pop_last() else { return missing.check() };
            let result = self.settle(instance);
            missing.allow(result)?;
        }
    }

    fn settle(&mut self, instance: Instance) -> ChangeResult<()> {
        let progress = self.progress(instance)?;
        match (progress, instance.fanout) {
            (Progress::Open, _) => Ok(()),
            (_, 0) => {
                let run = self.run(instance.run)?;
                let state = if progress == Progress::Ended { RunState::Completed } else { RunState::Failed };
                self.end_run(&run, state)
            }
            _ => self.settle_round(instance.fanout, progress),
        }
    }

    fn progress(&mut self, instance: Instance) -> ChangeResult<Progress> {
        if self.is_open(instance)? {
            return Ok(Progress::Open);
        }
        let ids = self.ids(instance)?;
        let failed = if self.is_stored(instance) { self.first_failed(ids)? } else { self.first_failed_in_memory(ids) };
        Ok(failed.map_or(Progress::Ended, Progress::Failed))
    }

    pub(super) fn ids(&self, instance: Instance) -> Result<IdRange, HubError> {
        Ok(ids_of(&*self.run(instance.run)?, instance))
    }

    /// Returns whether something in an instance may still happen without a reset. One open row is proof; that there is none
    /// is certain once the database has no others than those that closed here.
    pub(super) fn is_open(&mut self, instance: Instance) -> ChangeResult<bool> {
        let ids = self.ids(instance)?;
        if self.rows_between(ids).any(|row| row.state.is_open()) {
            return Ok(true);
        }
        let is_read = self.snapshot.has_read_jobs(ids) || self.snapshot.no_other_open.contains(&ids);
        if !is_read && self.is_stored(instance) {
            self.required.open.insert(ids);
            return Err(ChangeError::MissingRows);
        }
        Ok(false)
    }

    /// Returns whether the database may have rows of an instance. It has none of rounds made by this change set.
    fn is_stored(&self, instance: Instance) -> bool {
        match self.snapshot.fan_outs.get(&instance.fanout) {
            Some(fan_out) => instance.first < fan_out.round_start(fan_out.expanded),
            None => instance.fanout == 0 && !self.snapshot.new_runs.contains(&instance.run),
        }
    }

    /// Returns the first failed job among these rows, or the one that the first stuck row is behind.
    pub(super) fn first_failed(&mut self, ids: IdRange) -> ChangeResult<Option<i64>> {
        let is_read = match self.snapshot.first_failed.get(&ids) {
            _ if self.snapshot.has_read_jobs(ids) => true,
            // this change set may have reset it
            Some(Some(id)) => self.rows_between((*id, id + 1)).any(|row| !row.state.is_open()),
            Some(None) => true,
            None => false,
        };
        if !is_read {
            self.required.first_failed.insert(ids);
            return Err(ChangeError::MissingRows);
        }
        Ok(self.first_failed_in_memory(ids))
    }

    fn first_failed_in_memory(&self, ids: IdRange) -> Option<i64> {
        let row = self.rows_between(ids).find(|row| !row.state.is_open());
        row.map(|row| row.blocked_by.filter(|_| row.state == State::Stuck).unwrap_or(row.location.id))
    }

    /// Settles a round: when its last open row closes, or when it is instantiated without one.
    fn settle_round(&mut self, fanout: i64, progress: Progress) -> ChangeResult<()> {
        let mut fan_out = self.require_fan_out(fanout)?;
        fan_out.settled += 1;
        fan_out.failed += i64::from(matches!(progress, Progress::Failed(_)));
        self.fan_outs.insert(fanout, fan_out);
        if fan_out.settled == fan_out.count {
            let run = self.run(fan_out.run)?;
            return match fan_out.streams {
                true => self.pause_stream(&run, &fan_out),
                false => self.close_fan_out(&run, &fan_out),
            };
        }
        if fan_out.can_grow() {
            self.pending_notifications.growing.insert(fanout);
        }
        Ok(())
    }

    pub(super) fn close_fan_out(&mut self, run: &Run, fan_out: &FanOut) -> ChangeResult<()> {
        let location = fan_out.location();
        if fan_out.failed == 0 {
            return self.complete_fan_out(run, location);
        }
        let failed_job = self.first_failed(fan_out.expanded_ids())?;
        let failed_job = failed_job.ok_or_else(|| HubError::damaged("a failed round without a failed job"))?;
        self.block_fan_out(run, location, failed_job)
    }

    /// A fan-out with failed rounds is stuck, like a job behind a failed one.
    pub(super) fn block_fan_out(&mut self, run: &Run, location: Location, failed_job: i64) -> ChangeResult<()> {
        if let Some(row) = self.job(location.id)?.filter(|row| row.state == State::Expanding) {
            self.put(row.blocked_by_failure(failed_job));
            self.mark_closed(run, location)?;
            self.block_dependants(run, location, failed_job)?;
        }
        Ok(())
    }
}
