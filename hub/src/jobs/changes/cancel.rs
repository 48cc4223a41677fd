//! Cancelling what a person does not want any more.

use bue_model::wire::Changed;
use bue_model::{JobId, NodeId};

use super::change_set::{ChangeResult, ChangeSet};
use crate::error::HubError;
use crate::jobs::columns::{row_id, unsigned};
use crate::jobs::graph::BlockIndex;
use crate::jobs::instance::{FanOut, Run, instance_of, location_in};
use crate::jobs::state::State;

impl ChangeSet<'_> {
    /// Cancels a job's call, and what depends on it, as if the step had answered `cancel`. Begins with the first job of the
    /// call that has not ended, because all others that have not depend on it.
    pub(crate) fn cancel_job(&mut self, job: JobId) -> ChangeResult<Changed> {
        let (run, state) = self.job_state(job)?;
        if state == State::Cancelled {
            return Ok(Changed { jobs: 0 });
        }
        let row = self.job(row_id(job))?.filter(|row| row.state.can_be_cancelled());
        let node = row.as_ref().and_then(|row| run.graph.job(row.location.node));
        let (Some(row), Some(node)) = (row, node) else {
            return Err(HubError::JobEnded { job, state: state.as_job_state() }.into());
        };
        let instance = instance_of(&run, row.location)?;
        let mut start = row.location;
        for node in run.graph.chain(node.call) {
            let location = location_in(&run, instance, *node)?;
            if self.job(location.id)?.is_some_and(|row| row.state.can_be_cancelled()) {
                start = location;
                break;
            }
        }
        Ok(Changed { jobs: self.cancel_rows(&run, vec![start])? })
    }

    /// Counts the jobs of rounds that were never instantiated, and so were counted as blocked, as cancelled. Returns their
    /// number.
    pub(crate) fn cancel_unexpanded(&mut self, run: &Run, fan_out: &FanOut) -> Result<u64, HubError> {
        let rounds = fan_out.count - fan_out.expanded;
        let body = fan_out.body(run)?;
        self.count_rounds(run, body, State::Blocked, -rounds);
        self.count_rounds(run, body, State::Cancelled, rounds);
        Ok(unsigned(rounds) * jobs_in_round(run, body))
    }
}

/// Returns the number of jobs in a round of a loop with this body, apart from handlers.
pub(super) fn jobs_in_round(run: &Run, body: BlockIndex) -> u64 {
    let nodes = run.graph.blocks.get(body).map_or(&[][..], |block| &block.nodes);
    let is_counted = |node: &&NodeId| run.graph.job(**node).is_some_and(|job| job.handles.is_none());
    nodes.iter().filter(is_counted).count() as u64
}
