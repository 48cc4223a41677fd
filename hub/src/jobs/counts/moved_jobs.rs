//! [`MovedJobs`]: jobs in other scopes than that of their step. The counts of steps do not tell where those wait. Pure.

use bue_model::{NodeId, StepIndex};

use crate::jobs::columns::unsigned;
use crate::jobs::instance::Run;
use crate::jobs::state::State;

/// Groups of moved jobs that are read of one run. Those of further scopes count where the script has them.
pub(crate) const MAX_GROUPS: i64 = 1_000;

/// Counts the moved jobs of a run that wait or run, by node, scope and state. The parameters, which a store begins with `$mark`,
/// are the run and [`MAX_GROUPS`]; `$moved` is the condition of their index.
macro_rules! select_moved {
    ($mark:literal, $moved:literal) => {
        concat!(
            "SELECT node, scope, state, count(*) FROM job WHERE run = ",
            $mark,
            "1 AND ",
            $moved,
            " AND state IN (",
            $crate::jobs::state::state_code!(Parked),
            ", ",
            $crate::jobs::state::state_code!(Ready),
            ", ",
            $crate::jobs::state::state_code!(Running),
            ") GROUP BY node, scope, state ORDER BY node, scope, state LIMIT ",
            $mark,
            "2"
        )
    };
}
pub(crate) use select_moved;

/// Jobs of one step in one state that are in another scope than the script says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MovedJobs {
    pub(crate) step: StepIndex,
    /// Where they are.
    pub(crate) scope: String,
    pub(crate) state: State,
    pub(crate) jobs: u64,
}

impl MovedJobs {
    /// Returns what a row of [`select_moved!`] says. `None` for a fan-out, which is in no scope.
    pub(crate) fn new(run: &Run, node: NodeId, scope: String, state: State, jobs: i64) -> Option<Self> {
        let step = run.graph.job(node)?.step;
        Some(Self { step, scope, state, jobs: unsigned(jobs) })
    }
}
