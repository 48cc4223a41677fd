//! Why a postgres step failed, in words for the person who wrote it.

use bue_model::{Failure, FailureKind};
use bue_sql::table::{Table, explain_missing_column};
use bue_sql::text::SqlText;
use tokio_postgres::error::{DbError, ErrorPosition, SqlState};

use super::statements::Statement;

/// The failure of a statement of the script.
pub(super) fn from_statement_error(
    error: &tokio_postgres::Error,
    statement: &Statement<'_>,
    sql: &SqlText,
    tables: &[Table],
) -> Failure {
    let Some(db) = error.as_db_error() else { return connection_lost(error) };
    let at = statement.at + error_offset(db, statement.text);
    let mut failure = match explain_missing_column(tables).filter(|_| *db.code() == SqlState::UNDEFINED_COLUMN) {
        Some(reason) => sql.located(FailureKind::BadInput, &format!("{reason}. PostgreSQL says: {}", message(db)), at),
        None => sql.located(kind(db.code()), &message(db), at),
    };
    failure.message.push_str(&details(db, tables));
    failure
}

/// The failure of something that bue does around the statements.
pub(super) fn from_server_error(error: &tokio_postgres::Error, what: &str) -> Failure {
    match error.as_db_error() {
        Some(db) => Failure::new(kind(db.code()), format!("{what}: {}{}", message(db), details(db, &[]))),
        None => connection_lost(error),
    }
}

/// The failure of a step whose connection was lost.
fn connection_lost(error: &tokio_postgres::Error) -> Failure {
    let reason = error_chain(error);
    let message = format!("The connection to PostgreSQL was lost, so the step's changes were rolled back: {reason}");
    Failure::new(FailureKind::Internal, message)
}

/// Returns the texts of an error and its sources, joined by colons.
pub(super) fn error_chain(error: &dyn std::error::Error) -> String {
    let sources = core::iter::successors(error.source(), |error| error.source());
    core::iter::once(error.to_string()).chain(sources.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}

fn kind(code: &SqlState) -> FailureKind {
    match code.code() {
        "42501" => FailureKind::Denied,
        code if code.starts_with("42") => FailureKind::BadCode,
        // the server is out of resources or shuts down
        code if ["08", "53", "57P"].iter().any(|class| code.starts_with(class)) => FailureKind::Internal,
        _ => FailureKind::Raised,
    }
}

fn message(db: &DbError) -> String {
    format!("{} (SQLSTATE {})", db.message(), db.code().code())
}

/// Returns what PostgreSQL adds to its message, one line each.
fn details(db: &DbError, tables: &[Table]) -> String {
    let hint = (*db.code() == SqlState::UNDEFINED_TABLE).then(|| case_hint(db.message(), tables)).flatten();
    let lines = [("Detail", db.detail()), ("Hint", db.hint().or(hint.as_deref())), ("Where", db.where_())];
    lines.into_iter().filter_map(|(title, text)| Some(format!("\n{title}: {}", text?))).collect()
}

/// Returns a hint if the name differs in case only: PostgreSQL folds names outside of quotes to lower case.
fn case_hint(message: &str, tables: &[Table]) -> Option<String> {
    let missing = message.split('"').nth(1)?;
    let table =
        tables.iter().find(|table| table.name != missing && table.name.to_lowercase() == missing.to_lowercase())?;
    Some(format!("the step's table has capital letters: write \"{}\" with the double quotes", table.name))
}

/// Returns the byte of a statement that an error refers to. PostgreSQL counts characters from 1.
fn error_offset(db: &DbError, text: &str) -> usize {
    let Some(ErrorPosition::Original(position)) = db.position() else { return 0 };
    let before = usize::try_from(*position).unwrap_or(0).saturating_sub(1);
    text.char_indices().nth(before).map_or(text.trim_end().len(), |(byte, _)| byte)
}
