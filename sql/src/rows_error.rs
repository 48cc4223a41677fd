//! Why an input cannot become a table.

use bue_model::cbor::CborError;
use bue_model::{Failure, FailureKind};

use super::table::{needs_rows, not_a_table};

/// Says which cell a reason is about; rows are counted from 1.
#[must_use]
pub fn at_cell(column: &str, row: u64, reason: &str) -> String {
    format!("column `{column}`, row {row} (the first is row 1): {reason}")
}

/// Why the rows of an input cannot be used.
#[derive(Debug)]
pub enum RowsError {
    /// It is not a value.
    Unreadable(CborError),
    /// It is something else, which is named here.
    NotRows(String),
    /// A row contains something that a table cannot hold.
    Unfit(String),
}

impl From<CborError> for RowsError {
    fn from(error: CborError) -> Self {
        Self::Unreadable(error)
    }
}

impl RowsError {
    /// Whether the bytes end before the value does.
    pub(crate) fn is_end_of_input(&self) -> bool {
        matches!(self, Self::Unreadable(error) if error.is_end_of_input())
    }

    /// Returns the failure for this input. `instead` is the advice.
    #[must_use]
    pub fn failure(&self, table: &str, input: usize, instead: &str) -> Failure {
        let message = match self {
            Self::Unreadable(error) => format!("Step input {input} cannot be read: {error}"),
            Self::NotRows(got) => needs_rows(table, input, got, instead),
            Self::Unfit(reason) => return not_a_table(table, input, reason),
        };
        Failure::new(FailureKind::BadInput, message)
    }
}
