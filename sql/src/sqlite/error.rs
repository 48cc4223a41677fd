//! Errors of SQL steps. `failure.rs` turns them into messages.

use bue_model::Failure;
use rusqlite::Error;

use crate::rows_error::RowsError;

/// An input could not become a table.
pub(super) struct InputError {
    pub(super) table: String,
    /// The position of the input, from 1.
    pub(super) input: usize,
    pub(super) problem: InputProblem,
}

/// Why an input could not become a table.
pub(super) enum InputProblem {
    Rows(RowsError),
    /// A row does not fit the columns so far; with those of all rows it does.
    StartAgain,
    /// SQLite cannot hold a value.
    Value {
        column: String,
        /// From 1.
        row: u64,
        reason: String,
    },
    Sqlite(Error),
}

impl From<RowsError> for InputProblem {
    fn from(error: RowsError) -> Self {
        Self::Rows(error)
    }
}

impl From<Error> for InputProblem {
    fn from(error: Error) -> Self {
        Self::Sqlite(error)
    }
}

/// A statement failed. `at` is the offset in the script where it begins, in bytes.
pub(super) enum ScriptError {
    Prepare {
        at: usize,
        error: Error,
    },
    Run {
        at: usize,
        error: Error,
    },
    /// The statement has parameters, which have no values.
    Parameters {
        at: usize,
    },
    /// The statement would add or multiply decimals as floats.
    Arithmetic {
        at: usize,
    },
    /// A table or view that the statement created has a column that is named for the function that computes it.
    Unnamed {
        at: usize,
        column: String,
    },
    /// A number in the SQL would be rounded.
    Literal {
        at: usize,
        reason: String,
    },
    /// The statement cannot be read.
    Unreadable {
        at: usize,
    },
    Limit(Failure),
}

/// A statement failed during its execution.
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
    /// Adds where the statement begins.
    pub(super) fn at(self, at: usize) -> ScriptError {
        match self {
            Self::Sqlite(error) => ScriptError::Run { at, error },
            Self::Limit(failure) => ScriptError::Limit(failure),
        }
    }
}
