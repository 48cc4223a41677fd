//! Calling off what a person does not want any more.

use bue_model::JobId;
use bue_model::wire::Changed;

use super::{Draft, Step};
use crate::error::HubError;
use crate::jobs::columns::{row_id, unsigned};
use crate::jobs::instance::{FanOut, Run, instance_of, slot_in};
use crate::jobs::state::State;

impl Draft<'_> {
    /// As if the step had said so: the job's call, and what depends on it. The first job of the call that is not over stands
    /// before all others that are not.
    pub(crate) fn cancel_job(&mut self, job: JobId) -> Step<Changed> {
        let (run, state) = self.state_of(job)?;
        if state == State::Cancelled {
            return Ok(Changed { jobs: 0 });
        }
        let row = self.job(row_id(job))?.filter(|row| row.state.can_be_cancelled());
        let node = row.as_ref().and_then(|row| run.graph.job(row.slot.node));
        let (Some(row), Some(node)) = (row, node) else {
            return Err(HubError::JobEnded { job, state: state.shown() }.into());
        };
        let instance = instance_of(&run, row.slot)?;
        let mut start = row.slot;
        for node in run.graph.chain(node.call) {
            let slot = slot_in(&run, instance, *node)?;
            if self.job(slot.id)?.is_some_and(|row| row.state.can_be_cancelled()) {
                start = slot;
                break;
            }
        }
        Ok(Changed { jobs: self.call_off(&run, vec![start])? })
    }

    /// Rounds of a cancelled run that were never made were counted as blocked. The number of their jobs.
    pub(crate) fn clear_unmade(&mut self, run: &Run, fan_out: &FanOut) -> Result<u64, HubError> {
        let unmade = fan_out.count - fan_out.expanded;
        let body = fan_out.body(run)?;
        self.count_rounds(run, body, State::Blocked, -unmade);
        self.count_rounds(run, body, State::Cancelled, unmade);
        let nodes = run.graph.blocks.get(body).map_or(&[][..], |block| &block.nodes);
        let jobs = nodes.iter().filter(|node| run.graph.job(**node).is_some()).count();
        Ok(unsigned(unmade) * jobs as u64)
    }
}
