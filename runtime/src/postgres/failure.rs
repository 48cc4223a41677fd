//! Why a postgres step failed, in words for the person who wrote it.

use bue_model::{Failure, FailureKind};
use tokio_postgres::error::{DbError, ErrorPosition, SqlState};

use super::statements::Statement;
use crate::sql::table::{Table, unlike_rows};
use crate::sql::text::SqlText;

/// A statement of the script failed.
pub(super) fn of_statement(
    error: &tokio_postgres::Error,
    statement: &Statement<'_>,
    sql: &SqlText,
    tables: &[Table],
) -> Failure {
    let Some(db) = error.as_db_error() else { return lost(error) };
    let at = statement.at + place(db, statement.text);
    let mut failure = match unlike_rows(tables).filter(|_| *db.code() == SqlState::UNDEFINED_COLUMN) {
        Some(why) => sql.located(FailureKind::BadInput, &format!("{why}. PostgreSQL says: {}", message(db)), at),
        None => sql.located(kind(db.code()), &message(db), at),
    };
    failure.message.push_str(&details(db, tables));
    failure
}

/// Something of ours around the statements failed.
pub(super) fn of_server(error: &tokio_postgres::Error, what: &str) -> Failure {
    match error.as_db_error() {
        Some(db) => Failure::new(kind(db.code()), format!("{what}: {}{}", message(db), details(db, &[]))),
        None => lost(error),
    }
}

/// The connection is gone, and the transaction with it.
fn lost(error: &tokio_postgres::Error) -> Failure {
    let why = reasons(error);
    let message = format!("The connection to PostgreSQL was lost, and what the step did is undone: {why}");
    Failure::new(FailureKind::Internal, message)
}

/// An error with what is behind it.
pub(super) fn reasons(error: &dyn std::error::Error) -> String {
    let sources = core::iter::successors(error.source(), |error| error.source());
    core::iter::once(error.to_string()).chain(sources.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}

fn kind(code: &SqlState) -> FailureKind {
    match code.code() {
        "42501" => FailureKind::Denied,
        code if code.starts_with("42") => FailureKind::BadCode,
        // the server is full, or shuts down
        code if ["08", "53", "57P"].iter().any(|class| code.starts_with(class)) => FailureKind::Internal,
        _ => FailureKind::Raised,
    }
}

fn message(db: &DbError) -> String {
    format!("{} (SQLSTATE {})", db.message(), db.code().code())
}

/// What PostgreSQL adds to its message, a line each.
fn details(db: &DbError, tables: &[Table]) -> String {
    let own = (*db.code() == SqlState::UNDEFINED_TABLE).then(|| capitals(db.message(), tables)).flatten();
    let lines = [("Detail", db.detail()), ("Hint", db.hint().or(own.as_deref())), ("Where", db.where_())];
    lines.into_iter().filter_map(|(title, text)| Some(format!("\n{title}: {}", text?))).collect()
}

/// Outside of quotes PostgreSQL reads every name in small letters.
fn capitals(message: &str, tables: &[Table]) -> Option<String> {
    let missing = message.split('"').nth(1)?;
    let table =
        tables.iter().find(|table| table.name != missing && table.name.to_lowercase() == missing.to_lowercase())?;
    Some(format!("the step's table has capital letters: write \"{}\" with the double quotes", table.name))
}

/// The byte of a statement that an error is about. PostgreSQL counts characters, from 1.
fn place(db: &DbError, text: &str) -> usize {
    let Some(ErrorPosition::Original(position)) = db.position() else { return 0 };
    let before = usize::try_from(*position).unwrap_or(0).saturating_sub(1);
    text.char_indices().nth(before).map_or(text.trim_end().len(), |(byte, _)| byte)
}
