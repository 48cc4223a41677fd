//! Checks the syntax of SQL before anything runs, so that a misspelt keyword does not cost a run.
//!
//! Every statement is prepared against an empty database, and none is executed. Tables and columns exist only when the inputs
//! are known, so errors about them are ignored here.

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Batch, Connection, Error};

use super::script::skip_blank;
use crate::placeholders::mask_placeholders;
use crate::text::{MAX_TEXT, TOO_LONG};

/// A syntax error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlProblem {
    /// Line in the text, from 1.
    pub line: u32,
    /// Column, from 1, in characters.
    pub column: u32,
    /// SQLite's message.
    pub message: String,
}

/// The end of the text. Without it, SQLite would copy the text that it gets.
const END: char = '\0';

/// Checks all statements of a sqlite3 step, without executing them. Placeholders are allowed wherever a step may have them.
///
/// # Errors
/// A text of more than 2 MiB, and the first syntax error. Statements after one whose end cannot be found are not checked.
pub fn check_sql(text: &str) -> Result<(), SqlProblem> {
    if text.len() > MAX_TEXT {
        return Err(SqlProblem { line: 1, column: 1, message: TOO_LONG.to_owned() });
    }
    let terminated = format!("{}{END}", mask_placeholders(text));
    let masked = terminated.strip_suffix(END).unwrap_or_default();
    // if SQLite itself fails, the step will report that
    let Ok(connection) = empty_database() else { return Ok(()) };
    let mut at = skip_blank(masked, 0);
    while at < masked.len() {
        let Some(end) = statement_end(&connection, &terminated, at)? else { return Ok(()) };
        at = skip_blank(masked, end);
    }
    Ok(())
}

/// Some statements act while they are prepared. The authorizer denies them, and a denial is not a syntax error.
fn empty_database() -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    connection.authorizer(Some(|context: AuthContext<'_>| match context.action {
        AuthAction::Pragma { .. } | AuthAction::Attach { .. } | AuthAction::Detach { .. } => Authorization::Deny,
        _ => Authorization::Allow,
    }))?;
    Ok(connection)
}

/// The offset of the end of the statement that begins at `at`; `None` if it cannot be found.
///
/// SQLite gets the text up to the next semicolon, because an error copies what it got. Where that is not the end of the statement,
/// as in the body of a trigger, it gets all of the text.
fn statement_end(connection: &Connection, text: &str, at: usize) -> Result<Option<usize>, SqlProblem> {
    let rest = text.get(at..).unwrap_or_default();
    let piece = after_semicolon(rest).and_then(|end| rest.get(..end)).filter(|_| !is_create(rest));
    match piece.map(|piece| prepared_end(connection, text, at, piece)) {
        Some(Ok(Some(end))) => Ok(Some(end)),
        _ => prepared_end(connection, text, at, rest),
    }
}

fn is_create(statement: &str) -> bool {
    statement.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("create"))
}

/// The same, of a statement that begins at the beginning of `rest`.
fn prepared_end(connection: &Connection, text: &str, at: usize, rest: &str) -> Result<Option<usize>, SqlProblem> {
    match Batch::new(connection, rest).next() {
        Ok(Some(statement)) if statement.parameter_count() == 0 => {
            let length = statement.expanded_sql().map_or(0, |text| text.len());
            Ok((length > 0).then_some(at + length))
        }
        Ok(_) => Ok(None),
        Err(Error::SqlInputError { msg, offset, .. }) if is_syntax_error(&msg) => {
            Err(problem(text, at + usize::try_from(offset).unwrap_or_default(), msg))
        }
        // the text ends too early, so the error has no offset
        Err(Error::SqliteFailure(_, Some(message))) if is_syntax_error(&message) => {
            Err(problem(text, at + rest.trim_end_matches(END).trim_end().len(), message))
        }
        // the body of a trigger contains semicolons
        Err(_) if is_create(rest) => Ok(None),
        Err(_) => Ok(after_semicolon(rest).map(|length| at + length)),
    }
}

/// Is this a message of SQLite's parser? Others are about names that are resolved while a statement is prepared.
fn is_syntax_error(message: &str) -> bool {
    message.ends_with("syntax error") || message == "incomplete input" || message.starts_with("unrecognized token")
}

/// The offset after the first semicolon outside strings, quoted names and comments.
fn after_semicolon(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let skipped = match rest.bytes().next()? {
            b';' => return Some(at + 1),
            quote @ (b'\'' | b'"' | b'`') => 2 + rest.get(1..)?.find(char::from(quote))?,
            b'[' => 1 + rest.find(']')?,
            b'-' if rest.starts_with("--") => rest.find('\n')?,
            b'/' if rest.starts_with("/*") => 2 + rest.find("*/")?,
            _ => rest.chars().next()?.len_utf8(),
        };
        at += skipped;
    }
}

fn problem(text: &str, at: usize, message: String) -> SqlProblem {
    let before = text.get(..text.floor_char_boundary(at)).unwrap_or_default();
    let one_based = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
    let line = before.rsplit('\n').next().unwrap_or_default();
    SqlProblem { line: one_based(before.matches('\n').count()), column: one_based(line.chars().count()), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_statements_have_no_problem() {
        for text in [
            "",
            "-- nothing\n;;",
            "select 1",
            "select * from not_there where no_column = 'x;' and [a;b] = \"c;d\"; select 2;",
            "select nofunction(1) from t; -- ; behind\nselect 3",
            "create table a (b int); insert into a values (1); select * from a",
            "create trigger x after insert on nowhere begin delete from t; select 1; end; select 1",
            "select * from t_{{uuid:a}} where '{{scope}}' = {{priority}} limit {{ retries }}",
            "pragma table_info(t); select 1",
            "attach 'x.db' as y; select 1",
            "select ?1 from t",
            "with r(n) as (select 1 union all select n + 1 from r where n < 5) select n from r",
            "select 'größe', \"日本\" from t",
        ] {
            assert_eq!(check_sql(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn syntax_errors_have_their_position() {
        for (text, line, column, message) in [
            ("selct 1", 1, 1, "near \"selct\": syntax error"),
            ("select *\nfrom t\nwhre a = 1 and b", 3, 6, "near \"a\": syntax error"),
            ("select a from t;\nselect from t", 2, 8, "near \"from\": syntax error"),
            ("select (1", 1, 10, "incomplete input"),
            ("select 'ü', 'abc", 1, 13, "unrecognized token: \"'abc\""),
            ("select '{{scope}}' fro t x", 1, 24, "near \"t\": syntax error"),
            ("select {{unknown}}", 1, 8, "unrecognized token: \"{\""),
        ] {
            let problem = check_sql(text).expect_err(text);
            assert_eq!((problem.line, problem.column, problem.message.as_str()), (line, column, message), "{text}");
        }
    }

    /// If each statement copied what follows it, this test would take many minutes.
    #[test]
    fn a_long_script_is_checked() {
        for statement in ["select a, 'b' from t where c = 1;\n", "SELECT 1;"] {
            assert_eq!(check_sql(&statement.repeat(MAX_TEXT / statement.len())), Ok(()));
            let too_long = check_sql(&statement.repeat(MAX_TEXT / statement.len() + 1)).expect_err("too long");
            assert!(too_long.message.contains("at most 2 MiB"), "{too_long:?}");
        }
        let text = format!("{}select from t", "SELECT 1;\n".repeat(100_000));
        let problem = check_sql(&text).expect_err("the last statement");
        assert_eq!((problem.line, problem.column), (100_001, 8));
    }
}
