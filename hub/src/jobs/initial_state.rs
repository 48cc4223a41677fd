//! The state in which a job is instantiated, derived from the states of its parents, and the hints it inherits. Pure.

use std::sync::Arc;

use bue_model::NodeId;

/// What a completed job passes on to its dependants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hint {
    pub(crate) priority: Option<i64>,
    pub(crate) env: Option<Vec<u8>>,
    pub(crate) scope: Option<Arc<str>>,
}

/// The state of a parent as its dependants see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ParentState {
    /// It may still complete without a reset.
    Open,
    Completed(Hint),
    /// It cannot complete unless this failed job is reset.
    Failed(i64),
    Cancelled,
}

/// What a job inherited, and from which node. The node that comes last in the script wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct InheritedHint {
    pub(crate) priority: Option<(NodeId, i64)>,
    pub(crate) env: Option<(NodeId, Vec<u8>)>,
    pub(crate) scope: Option<(NodeId, Arc<str>)>,
}

impl InheritedHint {
    /// Inherits from a parent.
    pub(crate) fn inherit(&mut self, from: NodeId, hint: &Hint) {
        if let Some(priority) = hint.priority
            && overrides(from, self.priority.map(|(earlier, _)| earlier))
        {
            self.priority = Some((from, priority));
        }
        if let Some(env) = &hint.env
            && overrides(from, self.env.as_ref().map(|(earlier, _)| *earlier))
        {
            self.env = Some((from, env.clone()));
        }
        if let Some(scope) = &hint.scope
            && overrides(from, self.scope.as_ref().map(|(earlier, _)| *earlier))
        {
            self.scope = Some((from, scope.clone()));
        }
    }
}

/// Returns whether a hint from one node replaces the one that was inherited from another.
pub(crate) fn overrides(from: NodeId, earlier: Option<NodeId>) -> bool {
    earlier.is_none_or(|earlier| earlier <= from)
}

/// The state in which a job is instantiated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InitialState {
    /// All parents are completed.
    Ready,
    /// This many parents are not completed.
    Blocked { waiting_for: i64 },
    /// This many parents are not completed, and they never will be unless the failed job is reset.
    Stuck { waiting_for: i64, failed_job: i64 },
    /// A parent is cancelled.
    Cancelled,
}

impl InitialState {
    /// Derives the state from the parents' states. A cancelled parent outweighs a failed one, because no reset brings it back.
    pub(crate) fn from_parents<'a>(parents: impl IntoIterator<Item = &'a ParentState>) -> Self {
        let (mut waiting_for, mut failed_job, mut is_cancelled) = (0, None, false);
        for parent in parents {
            match parent {
                ParentState::Completed(_) => continue,
                ParentState::Open => {}
                ParentState::Failed(job) => failed_job = failed_job.or(Some(*job)),
                ParentState::Cancelled => is_cancelled = true,
            }
            waiting_for += 1;
        }
        match (is_cancelled, failed_job, waiting_for) {
            (true, ..) => Self::Cancelled,
            (_, Some(failed_job), waiting_for) => Self::Stuck { waiting_for, failed_job },
            (_, None, 0) => Self::Ready,
            (_, None, waiting_for) => Self::Blocked { waiting_for },
        }
    }

    /// Returns the state of such a job as its dependants see it.
    pub(crate) fn as_parent(&self) -> ParentState {
        match self {
            Self::Ready | Self::Blocked { .. } => ParentState::Open,
            Self::Stuck { failed_job, .. } => ParentState::Failed(*failed_job),
            Self::Cancelled => ParentState::Cancelled,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_ready_when_all_its_parents_are_completed() {
        let completed = ParentState::Completed(Hint::default());
        let (open, failed, cancelled) = (ParentState::Open, ParentState::Failed(7), ParentState::Cancelled);
        assert_eq!(InitialState::from_parents([]), InitialState::Ready);
        assert_eq!(InitialState::from_parents([&completed, &completed]), InitialState::Ready);
        assert_eq!(InitialState::from_parents([&completed, &open]), InitialState::Blocked { waiting_for: 1 });
        let stuck = InitialState::Stuck { waiting_for: 2, failed_job: 7 };
        assert_eq!(InitialState::from_parents([&failed, &open, &completed]), stuck);
        assert_eq!(InitialState::from_parents([&failed, &cancelled]), InitialState::Cancelled);
    }

    #[test]
    fn of_several_hints_the_last_in_the_script_wins() {
        let hint = |priority| Hint { priority: Some(priority), ..Hint::default() };
        let mut inherited = InheritedHint::default();
        inherited.inherit(NodeId(5), &hint(1));
        inherited.inherit(NodeId(2), &hint(9));
        assert_eq!(inherited.priority, Some((NodeId(5), 1)));
        inherited.inherit(NodeId(6), &hint(-3));
        assert_eq!(inherited.priority, Some((NodeId(6), -3)));
    }
}
