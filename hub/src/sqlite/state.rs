//! Conversions of states from and to columns.

use bue_model::RunState;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::jobs::state::{State, run_state_from_code};

impl ToSql for State {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(*self as i64))
    }
}

impl FromSql for State {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let code = value.as_i64()?;
        Self::from_code(code).ok_or(FromSqlError::OutOfRange(code))
    }
}

/// Converts a run's state from its column.
pub(super) fn run_state(code: i64) -> rusqlite::Result<RunState> {
    run_state_from_code(code).ok_or(rusqlite::Error::IntegralValueOutOfRange(0, code))
}
