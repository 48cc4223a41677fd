//! What can go wrong in a SQL step, before it is put into words.

use bue_model::Failure;
use rusqlite::Error;

use crate::sql::rows_error::RowsError;

/// An input could not become a table.
pub(super) struct FillError {
    pub(super) table: String,
    /// Its position, from 1.
    pub(super) input: usize,
    pub(super) why: FillProblem,
}

/// Why it could not.
pub(super) enum FillProblem {
    Rows(RowsError),
    /// A row has a column that the table has not.
    MoreColumns,
    Sqlite(Error),
}

impl From<RowsError> for FillProblem {
    fn from(error: RowsError) -> Self {
        Self::Rows(error)
    }
}

impl From<Error> for FillProblem {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The statements failed. `at` is the byte of the script where the statement begins.
pub(super) enum ScriptError {
    Prepare { at: usize, error: Error },
    Run { at: usize, error: Error },
    Parameters { at: usize },
    Empty { at: usize },
    Stopped(Failure),
}

/// A statement failed while it ran.
pub(super) enum RunError {
    Sqlite(Error),
    Limit(Failure),
}

impl From<Error> for RunError {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

impl RunError {
    pub(super) fn at(self, at: usize) -> ScriptError {
        match self {
            Self::Sqlite(error) => ScriptError::Run { at, error },
            Self::Limit(failure) => ScriptError::Stopped(failure),
        }
    }
}
