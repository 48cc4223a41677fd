//! Splits a script into statements, by the rules of `psql`.
//!
//! A semicolon ends a statement unless it is inside a string, a quoted name, a comment, parentheses (`CREATE RULE … DO
//! (a; b)`) or the body of a routine (`BEGIN ATOMIC a; b; END`). This is not a parser: PostgreSQL decides what a statement is,
//! and a test checks that it finds the same number of them.

use bue_model::{Failure, FailureKind};
use bue_sql::text::SqlText;

/// Words at the beginning of a statement that are inspected.
const MAX_WORDS: usize = 5;

/// A statement of a script.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Statement<'t> {
    /// Its first byte in the script.
    pub(super) at: usize,
    /// Without the semicolon.
    pub(super) text: &'t str,
    /// Its first words outside of quotes, in upper case.
    words: Vec<String>,
    /// One of its words is STDIN or STDOUT.
    uses_client: bool,
}

impl Statement<'_> {
    /// Returns the reason if a step may not contain this statement.
    fn refused(&self) -> Option<String> {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["ROLLBACK", "TO", ..] | ["ROLLBACK", _, "TO", ..] => None,
            ["BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT", ..] | ["PREPARE", "TRANSACTION", ..] => {
                Some(format!(
                    "a postgres step is one transaction, which is committed when all its statements succeed; \
                     remove `{}`, or split the step in two",
                    words.iter().take(2).copied().collect::<Vec<_>>().join(" ")
                ))
            }
            ["COPY", ..] if self.uses_client => {
                Some("COPY has no client here; use the step's inputs as tables, and end with a SELECT".to_owned())
            }
            _ => None,
        }
    }
}

/// Returns the statements of a script.
///
/// # Errors
/// A statement that ends the transaction or waits for a client.
pub(super) fn statements(sql: &SqlText) -> Result<Vec<Statement<'_>>, Failure> {
    if let Some(at) = sql.text.find('\0') {
        return Err(sql.located(FailureKind::BadCode, "a NUL character, which SQL cannot contain", at));
    }
    let statements = split(&sql.text);
    match statements.iter().find_map(|statement| Some((statement.at, statement.refused()?))) {
        Some((at, reason)) => Err(sql.located(FailureKind::BadCode, &reason, at)),
        None => Ok(statements),
    }
}

fn split(text: &str) -> Vec<Statement<'_>> {
    let mut statements = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (statement, next) = next_statement(text, at);
        statements.extend(statement);
        at = next;
    }
    statements
}

/// Returns the statement that begins at `at`, unless it is blank, and the beginning of the next one.
fn next_statement(text: &str, mut at: usize) -> (Option<Statement<'_>>, usize) {
    let mut begin = None;
    let mut nesting = Nesting::default();
    let mut statement = Statement { at, text: "", words: Vec::new(), uses_client: false };
    while let Some((kind, len)) = next_token(text.get(at..).unwrap_or_default()) {
        let word = text.get(at..at + len).unwrap_or_default();
        match kind {
            Token::Semicolon if nesting.is_outside() => return (finish(statement, text, begin, at), at + len),
            Token::Blank => {}
            other => {
                begin.get_or_insert(at);
                nesting.enter(other, word, &statement.words);
                if other == Token::Word {
                    statement.add_word(word);
                }
            }
        }
        at += len;
    }
    (finish(statement, text, begin, text.len()), text.len())
}

fn finish<'t>(statement: Statement<'t>, text: &'t str, begin: Option<usize>, end: usize) -> Option<Statement<'t>> {
    let at = begin?;
    Some(Statement { at, text: text.get(at..end)?, ..statement })
}

impl Statement<'_> {
    fn add_word(&mut self, word: &str) {
        self.uses_client |= word.eq_ignore_ascii_case("stdin") || word.eq_ignore_ascii_case("stdout");
        if self.words.len() < MAX_WORDS {
            self.words.push(word.to_ascii_uppercase());
        }
    }
}

/// The depth of parentheses and of routine bodies.
#[derive(Default)]
struct Nesting {
    parentheses: usize,
    blocks: usize,
}

impl Nesting {
    const fn is_outside(&self) -> bool {
        self.parentheses == 0 && self.blocks == 0
    }

    fn enter(&mut self, token: Token, word: &str, before: &[String]) {
        match token {
            Token::Open => self.parentheses += 1,
            Token::Close => self.parentheses = self.parentheses.saturating_sub(1),
            Token::Word if self.parentheses == 0 && makes_routine(before) => self.enter_word(word),
            _ => {}
        }
    }

    /// `CASE` ends with `END`, as a block does.
    fn enter_word(&mut self, word: &str) {
        if word.eq_ignore_ascii_case("begin") || (self.blocks > 0 && word.eq_ignore_ascii_case("case")) {
            self.blocks += 1;
        } else if word.eq_ignore_ascii_case("end") {
            self.blocks = self.blocks.saturating_sub(1);
        }
    }
}

fn makes_routine(words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    matches!(
        words.as_slice(),
        ["CREATE", "FUNCTION" | "PROCEDURE", ..] | ["CREATE", "OR", "REPLACE", "FUNCTION" | "PROCEDURE", ..]
    )
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token {
    /// Spaces and comments.
    Blank,
    Semicolon,
    Open,
    Close,
    /// A name or keyword outside of quotes.
    Word,
    /// Anything else, including strings and quoted names.
    Other,
}

/// Returns the kind and the length of the first token of a text.
fn next_token(text: &str) -> Option<(Token, usize)> {
    let bytes = text.as_bytes();
    let second = bytes.get(1);
    Some(match bytes.first()? {
        b';' => (Token::Semicolon, 1),
        b'(' => (Token::Open, 1),
        b')' => (Token::Close, 1),
        b'-' if second == Some(&b'-') => (Token::Blank, text.find(['\n', '\r']).unwrap_or(text.len())),
        b'/' if second == Some(&b'*') => (Token::Blank, comment_len(bytes)),
        b'e' | b'E' if second == Some(&b'\'') => (Token::Other, 1 + quoted_len(bytes.get(1..)?, b'\'', true)),
        quote @ (b'\'' | b'"') => (Token::Other, quoted_len(bytes, *quote, false)),
        b'$' => (Token::Other, dollar_quoted_len(text)),
        byte if is_letter(*byte) => {
            (Token::Word, count_while(bytes, |byte| is_letter(byte) || byte.is_ascii_digit() || byte == b'$'))
        }
        byte if byte.is_ascii_digit() => {
            (Token::Other, count_while(bytes, |byte| is_letter(byte) || byte.is_ascii_digit()))
        }
        byte if byte.is_ascii_whitespace() || *byte == 0x0b => (Token::Blank, 1),
        _ => (Token::Other, 1),
    })
}

/// Returns whether a byte begins a name. Bytes outside of ASCII do.
const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || !byte.is_ascii()
}

fn count_while(bytes: &[u8], belongs: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| !belongs(*byte)).unwrap_or(bytes.len())
}

/// Returns the length of a comment. Comments nest.
fn comment_len(bytes: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => (at, depth) = (at + 2, depth + 1),
            Some(b"*/") if depth == 1 => return at + 2,
            Some(b"*/") => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Returns the length of a quoted token. A doubled quote is one quote; with `backslashes`, a backslash escapes the next
/// character.
fn quoted_len(bytes: &[u8], quote: u8, backslashes: bool) -> usize {
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'\\' if backslashes => 2,
            byte if *byte == quote && bytes.get(at + 1) == Some(&quote) => 2,
            byte if *byte == quote => return at + 1,
            _ => 1,
        };
    }
    bytes.len()
}

/// Returns the length of `$$ … $$`, of `$name$ … $name$`, or of a single `$`.
fn dollar_quoted_len(text: &str) -> usize {
    let after = text.get(1..).unwrap_or_default().as_bytes();
    let name = count_while(after, |byte| is_letter(byte) || byte.is_ascii_digit());
    let is_tag = after.get(name) == Some(&b'$') && !after.first().is_some_and(u8::is_ascii_digit);
    let Some(tag) = text.get(..name + 2).filter(|_| is_tag) else { return 1 };
    let body = text.get(tag.len()..).unwrap_or_default();
    body.find(tag).map_or(text.len(), |end| tag.len() + end + tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(script: &str) -> Vec<&str> {
        split(script).into_iter().map(|statement| statement.text).collect()
    }

    #[test]
    fn a_semicolon_inside_a_token_ends_nothing() {
        for whole in [
            "SELECT ';'",
            "SELECT 'it''s; '",
            r"SELECT E'\'; '",
            r"SELECT '\'",
            "SELECT \";\" , \"a\"\"; b\"",
            "SELECT $$;$$, $a$ ; $$ ; $b$ ; $a$",
            "SELECT /* ; /* ; */ ; */ 1",
            "SELECT 1 -- ; 'x",
            "SELECT a$b$c, $1",
            "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END",
            "create or replace procedure p() begin atomic select 1; end",
            "SELECT 'open; ",
            "SELECT $x$ open; ",
            "SELECT /* open; ",
        ] {
            assert_eq!(texts(whole), [whole]);
        }
    }

    #[test]
    fn statements_are_split_at_semicolons() {
        assert_eq!(texts(" ;; -- a ; b\nSELECT 1; SELECT 2 ;\n/* the end; */"), ["SELECT 1", "SELECT 2 "]);
        assert_eq!(texts("SELECT a$b;SELECT 1$"), ["SELECT a$b", "SELECT 1$"]);
        assert_eq!(texts(r"SELECT '\';SELECT 2"), [r"SELECT '\'", "SELECT 2"]);
        assert_eq!(
            texts("SELECT CASE WHEN a THEN b END;SELECT begin;SELECT 3"),
            ["SELECT CASE WHEN a THEN b END", "SELECT begin", "SELECT 3"]
        );
        assert_eq!(texts("SELECT é;SELECT $é$;$é$"), ["SELECT é", "SELECT $é$;$é$"]);
        assert!(texts(" -- nothing").is_empty());
    }

    #[test]
    fn what_ends_the_transaction_is_refused() {
        let refused = |text: &str| split(text).iter().any(|statement| statement.refused().is_some());
        for text in [
            "begin",
            "START TRANSACTION",
            "select 1; commit",
            "/* x */ End",
            "ABORT",
            "rollback work",
            "ROLLBACK AND CHAIN",
            "PREPARE TRANSACTION 'x'",
            "COPY t FROM STDIN",
            "copy (select 1) to stdout",
        ] {
            assert!(refused(text), "{text}");
        }
        for text in [
            "SAVEPOINT a; ROLLBACK TO a",
            "ROLLBACK WORK TO SAVEPOINT a",
            "RELEASE a",
            "PREPARE q AS SELECT 1",
            "SELECT 'commit'",
            "DO $$ BEGIN END $$",
            "COPY t FROM PROGRAM 'x'",
        ] {
            assert!(!refused(text), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_split_without_loss(text in "[;'\"$aEe\\\\/*()\\- \né1-]{0,60}") {
            let mut behind = 0;
            for statement in split(&text) {
                prop_assert!(statement.at >= behind);
                behind = statement.at + statement.text.len();
                prop_assert_eq!(&text[statement.at..behind], statement.text);
            }
            prop_assert!(split(&text[behind..]).is_empty());
        }
    }
}
