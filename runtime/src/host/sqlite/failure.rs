//! Why a SQL step failed, in words for the person who wrote it.

use bue_model::{Failure, FailureKind};
use rusqlite::{Error, ErrorCode};

use super::error::{FillError, FillProblem, ScriptError};
use super::guard::Guard;
use super::heap::Budget;
use super::script::Script;
use crate::sql::table::{Table, explain_missing_column, not_a_table};
use crate::step::failure::{limit, timed_out};
use crate::step::limits::bytes_text;

impl FillError {
    pub(super) fn failure(self, guard: &Guard<'_>) -> Failure {
        let Self { table, input, why } = self;
        match why {
            FillProblem::Rows(error) => error.failure(&table, input, "return a list of maps"),
            // whoever fills begins again with all columns, so nobody is told this
            FillProblem::MoreColumns => not_a_table(&table, input, "its rows have more columns than it"),
            FillProblem::Sqlite(error) => {
                limit_hit(&error, guard).unwrap_or_else(|| not_a_table(&table, input, &message(&error)))
            }
        }
    }
}

impl ScriptError {
    pub(super) fn failure(self, script: &Script, tables: &[Table], guard: &Guard<'_>) -> Failure {
        match self {
            Self::Stopped(failure) => failure,
            Self::Empty { at } => script.0.located(FailureKind::BadCode, "a statement that cannot be read", at),
            Self::Parameters { at } => {
                let why =
                    "`?`, `:name`, `@name` and `$name` have no value here; write the value, or take it from a table";
                script.0.located(FailureKind::BadCode, why, at)
            }
            Self::Prepare { at, error } => {
                let inside = match &error {
                    Error::SqlInputError { offset, .. } => usize::try_from(*offset).unwrap_or(0),
                    _ => 0,
                };
                of_sql(FailureKind::BadCode, &error, (script, at + inside), tables, guard)
            }
            Self::Run { at, error } => of_sql(FailureKind::Raised, &error, (script, at), tables, guard),
        }
    }
}

fn of_sql(
    kind: FailureKind,
    error: &Error,
    (script, at): (&Script, usize),
    tables: &[Table],
    guard: &Guard<'_>,
) -> Failure {
    if let Some(failure) = limit_hit(error, guard) {
        return failure;
    }
    // of functions SQLite says so in words only
    let denied = error.sqlite_error_code() == Some(ErrorCode::AuthorizationForStatementDenied)
        || message(error).starts_with("not authorized");
    if denied {
        let what = guard.denied().unwrap_or_else(|| "do that".to_owned());
        return script.0.located(FailureKind::Denied, &format!("a SQL step may not {what}"), at);
    }
    let reason = message(error);
    let missing = reason.starts_with("no such column");
    match missing.then(|| explain_missing_column(tables)).flatten() {
        Some(why) => script.0.located(FailureKind::BadInput, &format!("{why}. SQLite says: {reason}"), at),
        None => script.0.located(kind, &reason, at),
    }
}

/// The failure of a limit, if that is what stopped SQLite.
fn limit_hit(error: &Error, guard: &Guard<'_>) -> Option<Failure> {
    let limits = guard.limits();
    if Budget::was_exceeded() {
        let allowed = bytes_text(limits.memory_bytes);
        return Some(limit(format!(
            "the SQL needs more memory than its limit of {allowed}; work on fewer rows at a time"
        )));
    }
    match error.sqlite_error_code()? {
        ErrorCode::OperationInterrupted if guard.is_over() => Some(timed_out(limits)),
        ErrorCode::TooBig => {
            let allowed = bytes_text(limits.result_bytes);
            Some(limit(format!("the SQL made a text or blob larger than its limit of {allowed}")))
        }
        _ => None,
    }
}

/// SQLite's words alone.
fn message(error: &Error) -> String {
    match error {
        Error::SqlInputError { msg, .. } => msg.clone(),
        Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    }
}
