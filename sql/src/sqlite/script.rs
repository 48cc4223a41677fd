//! Executes the statements of a SQL step one after another.

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, Connection, Statement};

use super::empty::EmptyTables;
use super::error::ScriptError;
use super::exact::literal::{RoundedLiteral, rounded_literal};
use super::exact::rewrite::{Arithmetic, rewrite};
use super::exact::token::tokens;
use super::exact::{functions, inspect};
use super::output::{Output, output_columns};
use super::rows::Tables;
use crate::text::SqlText;

/// A step's statements.
pub(super) struct Script<'a> {
    connection: &'a Connection,
    /// The statements, and a zero byte: without it, SQLite would copy the rest of the text for each of them.
    terminated: String,
    empty: EmptyTables<'a>,
    /// Exact if the inputs contain decimals.
    arithmetic: Arithmetic,
    /// A statement may put the rows of several tables together, and SQLite says only which column of the first one they come
    /// from.
    has_union: bool,
}

/// A statement that is ready to be executed.
struct Prepared<'c> {
    statement: Statement<'c>,
    /// The names of its columns.
    columns: Vec<String>,
    is_rewritten: bool,
    /// The offset of the next statement.
    next: usize,
}

impl<'a> Script<'a> {
    /// The connection has the functions of a step without decimals.
    pub(super) fn new(connection: &'a Connection, sql: &SqlText, tables: &'a Tables) -> rusqlite::Result<Self> {
        let arithmetic = if tables.have_decimals { Arithmetic::Exact } else { Arithmetic::Checked };
        if arithmetic == Arithmetic::Exact {
            functions::register(connection)?;
        }
        let has_union = tokens(&sql.text).iter().any(|token| token.is("union"));
        let terminated = format!("{}\0", sql.text);
        Ok(Self { connection, terminated, empty: EmptyTables::new(connection, &tables.tables), arithmetic, has_union })
    }

    fn text(&self) -> &str {
        self.terminated.strip_suffix('\0').unwrap_or_default()
    }

    /// Executes all statements. The rows of the last one are the result; those of the others are discarded.
    pub(super) fn execute(&self, output: &mut Output<'_>) -> Result<(), ScriptError> {
        let text = self.text();
        if let Some(RoundedLiteral { at, reason }) = rounded_literal(text, self.arithmetic == Arithmetic::Exact) {
            return Err(ScriptError::Literal { at, reason });
        }
        let mut at = skip_blank(text, 0);
        while at < text.len() {
            let Prepared { statement, columns, is_rewritten, next } = self.prepare(at)?;
            let is_last = next >= text.len();
            let columns = output_columns(&statement, &columns, !self.has_union);
            output.execute(statement, &columns, is_last).map_err(|error| error.at(at))?;
            if is_rewritten {
                self.check_names(at)?;
            }
            at = next;
        }
        Ok(())
    }

    /// Prepares the statement that begins at `at`.
    fn prepare(&self, at: usize) -> Result<Prepared<'a>, ScriptError> {
        let rest = self.terminated.get(at..).unwrap_or_default();
        let statement = self.empty.prepare(|| Batch::new(self.connection, rest).next());
        let statement = statement.map_err(|error| ScriptError::Prepare { at, error })?;
        let Some(statement) = statement else { return Err(ScriptError::Unreadable { at }) };
        if statement.parameter_count() > 0 {
            return Err(ScriptError::Parameters { at });
        }
        // Without parameters this is exactly the statement's text, so its length tells where the statement ends.
        let len = statement.expanded_sql().map_or(0, |text| text.len());
        let text = rest.get(..len).filter(|text| !text.is_empty()).ok_or(ScriptError::Unreadable { at })?;
        let next = skip_blank(self.text(), at + len);
        let columns = statement.column_names().map(str::to_owned).collect();
        let prepared = Prepared { statement, columns, is_rewritten: false, next };
        self.replace_arithmetic(at, text, prepared)
    }

    /// Replaces the arithmetic of a statement by functions that do not round.
    fn replace_arithmetic(&self, at: usize, text: &str, original: Prepared<'a>) -> Result<Prepared<'a>, ScriptError> {
        if text.get(..7).is_some_and(|word| word.eq_ignore_ascii_case("explain")) {
            return Ok(original);
        }
        let rewritten = rewrite(text, self.arithmetic);
        let statement = rewritten.as_ref().and_then(|text| self.connection.prepare(text).ok());
        let (executed, prepared) = match (&rewritten, statement) {
            (Some(rewritten), Some(statement)) => {
                (rewritten.as_str(), Prepared { statement, is_rewritten: true, ..original })
            }
            // SQLite does not accept what became of it, so its own arithmetic is what counts
            _ => (text, original),
        };
        if self.arithmetic == Arithmetic::Checked {
            return Ok(prepared);
        }
        match inspect::has_arithmetic(self.connection, executed) {
            Ok(false) => Ok(prepared),
            Ok(true) => Err(ScriptError::Arithmetic { at }),
            Err(error) => Err(ScriptError::Prepare { at, error }),
        }
    }

    /// A column that has no name of its own is named by its text, which is not the author's any more.
    fn check_names(&self, at: usize) -> Result<(), ScriptError> {
        let names = "SELECT c.name FROM pragma_table_list AS t, pragma_table_xinfo(t.name, t.schema) AS c \
                     WHERE c.name LIKE '%decimal\\____(%' ESCAPE '\\' \
                     OR c.name LIKE '%checked\\____(%' ESCAPE '\\' LIMIT 1";
        let name = self.connection.query_row(names, [], |row| row.get::<_, String>(0));
        match name {
            Ok(column) => Err(ScriptError::Unnamed { at, column }),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(()),
            Err(error) => Err(ScriptError::Run { at, error }),
        }
    }
}

/// Returns the offset of the first byte from `at` on that belongs to a statement.
pub(super) fn skip_blank(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let skipped = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else {
            let is_blank = |c: char| c.is_ascii_whitespace() || matches!(c, ';' | '\u{feff}');
            rest.chars().next().filter(|c| is_blank(*c)).map_or(0, char::len_utf8)
        };
        if skipped == 0 {
            return at;
        }
        at += skipped;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_spaces_and_semicolons_are_skipped() {
        let text = " ;-- a ; b\n/* c; */ ;\tselect";
        assert_eq!(skip_blank(text, 0), text.len() - 6);
        assert_eq!(skip_blank("/* open", 0), 7);
        assert_eq!(skip_blank("-- end", 0), 6);
    }
}
