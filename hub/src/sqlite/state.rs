//! States of rows, see [`super::schema`].

use bue_model::{JobState, RunState};
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

/// Where a job or a fan-out stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
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
    pub(super) fn is_open(self) -> bool {
        self < Self::Failed
    }

    /// The word people know.
    pub(super) fn shown(self) -> JobState {
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

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(*self as i64))
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(match value.as_i64()? {
            0 => Self::Blocked,
            1 => Self::Parked,
            2 => Self::Ready,
            3 => Self::Running,
            4 => Self::Expanding,
            5 => Self::Failed,
            6 => Self::Stuck,
            7 => Self::Completed,
            8 => Self::Cancelled,
            other => return Err(FromSqlError::OutOfRange(other)),
        })
    }
}

/// Number of a run's state.
pub(super) const fn run_state_code(state: RunState) -> i64 {
    match state {
        RunState::Running => 0,
        RunState::Completed => 1,
        RunState::Failed => 2,
        RunState::Cancelled => 3,
    }
}

/// A run's state of its number.
pub(super) fn run_state(code: i64) -> rusqlite::Result<RunState> {
    Ok(match code {
        0 => RunState::Running,
        1 => RunState::Completed,
        2 => RunState::Failed,
        3 => RunState::Cancelled,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(0, other)),
    })
}
