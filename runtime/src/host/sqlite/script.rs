//! Executes the statements of a SQL step one after another.

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, Connection, Statement};

use super::error::ScriptError;
use super::output::Output;
use crate::sql::text::SqlText;

/// A step's statements.
pub(super) struct Script(pub(super) SqlText);

impl Script {
    /// Executes all statements. The rows of the last one are the result; those of the others are discarded.
    pub(super) fn execute(&self, connection: &Connection, output: &mut Output) -> Result<(), ScriptError> {
        let mut at = skip_blank(&self.0.text, 0);
        while at < self.0.text.len() {
            let (statement, next) = self.prepare(connection, at)?;
            let is_last = next >= self.0.text.len();
            output.execute(statement, is_last).map_err(|error| error.at(at))?;
            at = next;
        }
        Ok(())
    }

    /// Prepares the statement that begins at `at`, and returns it with the offset of the next one.
    fn prepare<'c>(&self, connection: &'c Connection, at: usize) -> Result<(Statement<'c>, usize), ScriptError> {
        let rest = self.0.text.get(at..).unwrap_or_default();
        let statement = Batch::new(connection, rest).next().map_err(|error| ScriptError::Prepare { at, error })?;
        let Some(statement) = statement else { return Err(ScriptError::Unreadable { at }) };
        if statement.parameter_count() > 0 {
            return Err(ScriptError::Parameters { at });
        }
        // Without parameters this is exactly the statement's text, so its length tells where the statement ends.
        let len = statement.expanded_sql().map_or(0, |text| text.len());
        if len == 0 {
            return Err(ScriptError::Unreadable { at });
        }
        Ok((statement, skip_blank(&self.0.text, at + len)))
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
