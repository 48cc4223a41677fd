//! Why an input cannot become a table.

use bue_model::cbor::CborError;
use bue_model::{Failure, FailureKind};

use super::table::{needs_rows, no_table};

/// Why an input is no rows that could be used.
#[derive(Debug)]
pub(crate) enum RowsError {
    Unreadable(CborError),
    /// It is this instead.
    NoRows(String),
    /// Something in them cannot be in a table.
    Unfit(String),
}

impl From<CborError> for RowsError {
    fn from(error: CborError) -> Self {
        Self::Unreadable(error)
    }
}

impl RowsError {
    /// The failure of an input that is no rows, or none of which a table could be made. `instead` says what to do.
    pub(crate) fn failure(&self, table: &str, input: usize, instead: &str) -> Failure {
        let message = match self {
            Self::Unreadable(error) => format!("Step input {input} cannot be read: {error}"),
            Self::NoRows(got) => needs_rows(table, input, got, instead),
            Self::Unfit(why) => return no_table(table, input, why),
        };
        Failure::new(FailureKind::BadInput, message)
    }
}
