//! Columns of empty inputs: an empty list has no keys, so its table gets the columns that the statements refer to.

use rusqlite::{Connection, Error, Result, Statement};

use super::rows::NO_COLUMNS;
use crate::table::{Shape, Table, quoted};

/// Columns that are added for one statement at most.
const MAX_COLUMNS: usize = 1000;

/// The tables of empty inputs.
pub(super) struct EmptyTables<'a> {
    connection: &'a Connection,
    names: Vec<&'a str>,
}

impl<'a> EmptyTables<'a> {
    pub(super) fn new(connection: &'a Connection, tables: &'a [Table]) -> Self {
        let empty = tables.iter().filter(|table| table.shape == Shape::Empty);
        Self { connection, names: empty.map(|table| table.name.as_str()).collect() }
    }

    /// Prepares a statement, and adds the columns that it lacks to an empty table if that makes them known.
    pub(super) fn prepare(&self, prepare: impl Fn() -> Result<Option<Statement<'a>>>) -> Result<Option<Statement<'a>>> {
        let mut prepared = prepare();
        for _ in 0..MAX_COLUMNS {
            let Err(error) = &prepared else { break };
            let Some(missing) = missing_column(error).filter(|_| !self.names.is_empty()) else { break };
            let Some(next) = self.names.iter().find_map(|table| self.with_column(table, &missing, &prepare)) else {
                break;
            };
            prepared = next;
        }
        prepared
    }

    /// Adds a column and prepares again; `None` if the same column is still unknown.
    fn with_column(
        &self,
        table: &str,
        missing: &Missing,
        prepare: &impl Fn() -> Result<Option<Statement<'a>>>,
    ) -> Option<Result<Option<Statement<'a>>>> {
        let (table, column) = (quoted(table), quoted(&missing.column));
        self.connection.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column}")).ok()?;
        let prepared = prepare();
        if prepared.as_ref().is_err_and(|error| missing_column(error).as_ref() == Some(missing)) {
            self.connection.execute_batch(&format!("ALTER TABLE {table} DROP COLUMN {column}")).ok()?;
            return None;
        }
        // the statement that was prepared is prepared again by SQLite when it is executed
        let placeholder = format!("ALTER TABLE {table} DROP COLUMN {}", quoted(NO_COLUMNS));
        // it may be gone already
        let _ = self.connection.execute_batch(&placeholder);
        Some(prepared)
    }
}

/// What a message of SQLite says is missing.
#[derive(PartialEq, Eq)]
struct Missing {
    /// As in the message, with its table.
    text: String,
    column: String,
}

fn missing_column(error: &Error) -> Option<Missing> {
    let message = match error {
        Error::SqlInputError { msg, .. } => msg,
        Error::SqliteFailure(_, Some(message)) => message,
        _ => return None,
    };
    let text = message
        .strip_prefix("no such column: ")
        .or_else(|| message.split_once(" has no column named ").map(|(_, column)| column))?;
    // a name in double quotes gets a hint; a name with a table is written as table.column
    let text = text.split(" - should this be").next().unwrap_or(text);
    let column = text.rsplit('.').next().unwrap_or(text).trim_matches('"');
    Some(Missing { text: text.to_owned(), column: column.to_owned() })
}
