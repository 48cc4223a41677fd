//! Why calls have no value: what a page looks up for its calls and rounds without one. Pure.

use std::collections::HashMap;

use bue_model::wire::{CallResult, NoValue, RoundValue};
use bue_model::{NodeId, RunState};

use crate::jobs::instance::Run;
use crate::jobs::state::State;

/// The row whose state says why there is no value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MissingValue {
    /// The id of a call's last job, or of the first loop around it that has no rounds.
    pub(crate) id: i64,
    /// The last job's node; `None` for a loop.
    pub(crate) last: Option<NodeId>,
}

/// The columns of such a row that is neither completed nor missing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StateColumns {
    pub(crate) state: State,
    pub(crate) blocked_by: Option<i64>,
}

/// The rows that were found.
pub(crate) type States = HashMap<i64, StateColumns>;

/// Fills in the reasons, which are in the order of the results and their rounds.
pub(crate) fn fill_in(results: &mut [CallResult], reasons: impl IntoIterator<Item = NoValue>) {
    let mut reasons = reasons.into_iter();
    results.iter_mut().for_each(|result| fill_in_value(&mut result.value, &mut reasons));
}

/// The recursion is as deep as loops are nested, which a plan bounds.
fn fill_in_value(value: &mut RoundValue, reasons: &mut impl Iterator<Item = NoValue>) {
    match value {
        RoundValue::Value(_) => {}
        RoundValue::Rounds(rounds) => rounds.iter_mut().for_each(|round| fill_in_value(round, reasons)),
        RoundValue::Nothing(reason) => {
            if let Some(known) = reasons.next() {
                *reason = known;
            }
        }
    }
}

impl MissingValue {
    /// Returns why there is no value. Rounds that were never instantiated have no row.
    pub(crate) fn reason(self, run: &Run, state: RunState, rows: &States) -> NoValue {
        let row = rows.get(&self.id);
        match row.map(|row| row.state) {
            Some(State::Cancelled) => NoValue::Cancelled,
            Some(State::Failed) => NoValue::Failed,
            Some(State::Stuck) if row.is_some_and(|row| self.is_held_up_by_own_call(run, row)) => NoValue::Failed,
            Some(State::Stuck) => NoValue::Skipped,
            _ => match state {
                RunState::Running => NoValue::Running,
                RunState::Cancelled => NoValue::Cancelled,
                RunState::Completed | RunState::Failed => NoValue::Skipped,
            },
        }
    }

    /// Returns whether the failed job is one of the same call, in the same instance.
    fn is_held_up_by_own_call(self, run: &Run, row: &StateColumns) -> bool {
        let (Some(last), Some(failed)) = (self.last, row.blocked_by) else { return false };
        let offset = |node: NodeId| run.graph.node(node).map(|node| node.offset);
        let (Some(job), Some(last_offset)) = (run.graph.job(last), offset(last)) else { return false };
        let first = self.id - last_offset;
        run.graph.chain(job.call).iter().any(|node| offset(*node).is_some_and(|offset| first + offset == failed))
    }
}
