//! Failures of SQL steps, worded for their author.

use bue_model::words::bytes_text;
use bue_model::{Failure, FailureKind};
use rusqlite::{Error, ErrorCode};

use super::authorizer::Authorizer;
use super::error::{InputError, InputProblem, ScriptError};
use crate::rows_error::at_cell;
use crate::table::{Table, explain_missing_column, not_a_table};
use crate::text::SqlText;

impl InputError {
    pub(super) fn into_failure(self, authorizer: &Authorizer<'_>) -> Failure {
        let Self { table, input, problem } = self;
        match problem {
            InputProblem::Rows(error) => error.failure(&table, input, "return a list of maps"),
            // `fill` starts again with the columns of all rows, so this is not reported
            InputProblem::StartAgain => not_a_table(&table, input, "its rows have more columns than it"),
            InputProblem::Value { column, row, reason } => not_a_table(&table, input, &at_cell(&column, row, &reason)),
            InputProblem::Sqlite(error) => {
                limit_failure(&error, authorizer).unwrap_or_else(|| not_a_table(&table, input, &message(&error)))
            }
        }
    }
}

impl ScriptError {
    pub(super) fn into_failure(self, sql: &SqlText, tables: &[Table], authorizer: &Authorizer<'_>) -> Failure {
        match self {
            Self::Limit(failure) => failure,
            Self::Arithmetic { at } => {
                let message = "this arithmetic would round the decimals of the inputs, and it cannot be replaced by exact \
                               functions here; write it with decimal_add(a, b), decimal_sub(a, b), decimal_mul(a, b) \
                               and decimal_mod(a, b)";
                sql.located(FailureKind::BadCode, message, at)
            }
            Self::Unnamed { at, column } => {
                let message =
                    format!("the column `{column}` needs a name, because it is computed: write AS and a name");
                sql.located(FailureKind::BadCode, &message, at)
            }
            Self::Literal { at, reason } => {
                let message = format!(
                    "{reason}; write fewer digits, write it as text, or use a postgres step, whose `numeric` holds it"
                );
                sql.located(FailureKind::BadCode, &message, at)
            }
            Self::Unreadable { at } => sql.located(FailureKind::BadCode, "a statement that cannot be read", at),
            Self::Parameters { at } => {
                let message =
                    "`?`, `:name`, `@name` and `$name` have no value here; write the value, or take it from a table";
                sql.located(FailureKind::BadCode, message, at)
            }
            Self::Prepare { at, error } => {
                let offset_inside = match &error {
                    Error::SqlInputError { offset, .. } => usize::try_from(*offset).unwrap_or(0),
                    _ => 0,
                };
                sqlite_failure(FailureKind::BadCode, &error, (sql, at + offset_inside), tables, authorizer)
            }
            Self::Run { at, error } => sqlite_failure(FailureKind::Raised, &error, (sql, at), tables, authorizer),
        }
    }
}

fn sqlite_failure(
    kind: FailureKind,
    error: &Error,
    (sql, at): (&SqlText, usize),
    tables: &[Table],
    authorizer: &Authorizer<'_>,
) -> Failure {
    if let Some(failure) = limit_failure(error, authorizer) {
        return failure;
    }
    // for functions, SQLite reports this only in the message
    let is_denied = error.sqlite_error_code() == Some(ErrorCode::AuthorizationForStatementDenied)
        || message(error).starts_with("not authorized");
    if is_denied {
        let action = authorizer.denied().unwrap_or_else(|| "do that".to_owned());
        return sql.located(FailureKind::Denied, &format!("a SQL step may not {action}"), at);
    }
    let reason = message(error);
    let is_missing_column = reason.starts_with("no such column");
    match is_missing_column.then(|| explain_missing_column(tables)).flatten() {
        Some(hint) => sql.located(FailureKind::BadInput, &format!("{hint}. SQLite says: {reason}"), at),
        None => sql.located(kind, &reason, at),
    }
}

/// The failure of a limit, if a limit caused the error.
fn limit_failure(error: &Error, authorizer: &Authorizer<'_>) -> Option<Failure> {
    let step = authorizer.step();
    match error.sqlite_error_code()? {
        ErrorCode::OutOfMemory => Some(Failure::limit(&memory_message(step.memory_bytes))),
        ErrorCode::TooBig => {
            let allowed = bytes_text(step.limits.result_bytes);
            Some(Failure::limit(&format!("the SQL made a text or blob larger than its limit of {allowed}")))
        }
        _ => None,
    }
}

/// What a step is told that went over its memory limit, as a part of a sentence.
#[must_use]
pub fn memory_message(limit_bytes: u64) -> String {
    format!("the SQL needs more memory than its limit of {}; work on fewer rows at a time", bytes_text(limit_bytes))
}

/// The message of SQLite, without what rusqlite adds.
fn message(error: &Error) -> String {
    match error {
        Error::SqlInputError { msg, .. } => msg.clone(),
        Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    }
}
