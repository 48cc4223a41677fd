//! States of rows, the same numbers in both databases. The table in [`crate::sqlite`]'s `schema` says what they mean.

use bue_model::{JobState, RunState};

/// Where a job or a fan-out stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Blocked = 0,
    Parked = 1,
    Ready = 2,
    Running = 3,
    Expanding = 4,
    Failed = 5,
    Stuck = 6,
    Completed = 7,
    Cancelled = 8,
}

impl State {
    /// Something may still happen by itself.
    pub(crate) fn is_open(self) -> bool {
        self < Self::Failed
    }

    /// It waits, runs, or would if what holds it up were reset.
    pub(crate) fn can_be_cancelled(self) -> bool {
        self.is_open() || self == Self::Stuck
    }

    /// The state of this number.
    pub(crate) fn of_code(code: i64) -> Option<Self> {
        Some(match code {
            0 => Self::Blocked,
            1 => Self::Parked,
            2 => Self::Ready,
            3 => Self::Running,
            4 => Self::Expanding,
            5 => Self::Failed,
            6 => Self::Stuck,
            7 => Self::Completed,
            8 => Self::Cancelled,
            _ => return None,
        })
    }

    /// The word people know.
    pub(crate) fn shown(self) -> JobState {
        match self {
            Self::Blocked | Self::Stuck => JobState::Blocked,
            Self::Parked | Self::Ready => JobState::Available,
            Self::Running | Self::Expanding => JobState::Running,
            Self::Failed => JobState::Failed,
            Self::Completed => JobState::Completed,
            Self::Cancelled => JobState::Cancelled,
        }
    }
}

/// Number of a run's state.
pub(crate) const fn run_state_code(state: RunState) -> i64 {
    match state {
        RunState::Running => 0,
        RunState::Completed => 1,
        RunState::Failed => 2,
        RunState::Cancelled => 3,
    }
}

/// A run's state of its number.
pub(crate) const fn run_state_of_code(code: i64) -> Option<RunState> {
    Some(match code {
        0 => RunState::Running,
        1 => RunState::Completed,
        2 => RunState::Failed,
        3 => RunState::Cancelled,
        _ => return None,
    })
}
