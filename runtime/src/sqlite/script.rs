//! The text of a SQL step: placeholders, and one statement after the other.

use std::collections::HashMap;

use bue_model::{Bundle, Failure, FailureKind};
use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, Connection, Statement};
use uuid::Builder;

use super::failure::ScriptError;
use super::output::Output;
use crate::task::Placeholders;

/// A step's statements.
pub(super) struct Script {
    text: String,
    /// The file they stand in.
    pub(super) file: String,
    /// The line of that file on which the text begins.
    first_line: u32,
}

/// A place in a script as people look for it.
pub(super) struct Place<'a> {
    /// Line of the user's file.
    pub(super) line: u64,
    /// The line's text.
    pub(super) text: &'a str,
    /// Characters before the place.
    pub(super) column: usize,
}

impl Script {
    pub(super) fn new(bundle: &Bundle, placeholders: &Placeholders) -> Result<Self, Failure> {
        let bad = |why: &str| Failure::new(FailureKind::BadCode, format!("{}: {why}", bundle.entry));
        let content = bundle.entry_content().ok_or_else(|| bad("the step's bundle does not hold it"))?;
        let text = core::str::from_utf8(content).map_err(|_| bad("SQL must be UTF-8 text, and this is not"))?;
        let text = fill_placeholders(text, placeholders)?;
        Ok(Self { text, file: bundle.entry.clone(), first_line: bundle.first_line })
    }

    /// Runs all statements. The rows of the last one are the result; those of the others are dropped.
    pub(super) fn run(&self, connection: &Connection, output: &mut Output) -> Result<(), ScriptError> {
        let mut at = skip_blank(&self.text, 0);
        while at < self.text.len() {
            let (statement, next) = self.prepare(connection, at)?;
            let is_last = next >= self.text.len();
            output.take(statement, is_last).map_err(|error| error.at(at))?;
            at = next;
        }
        Ok(())
    }

    /// The statement that begins at `at`, and where the next one begins.
    fn prepare<'c>(&self, connection: &'c Connection, at: usize) -> Result<(Statement<'c>, usize), ScriptError> {
        let rest = self.text.get(at..).unwrap_or_default();
        let statement = Batch::new(connection, rest).next().map_err(|error| ScriptError::Prepare { at, error })?;
        let Some(statement) = statement else { return Err(ScriptError::Empty { at }) };
        if statement.parameter_count() > 0 {
            return Err(ScriptError::Parameters { at });
        }
        // Without parameters this is the statement's text, letter by letter, and so tells where it ends.
        let len = statement.expanded_sql().map_or(0, |text| text.len());
        if len == 0 {
            return Err(ScriptError::Empty { at });
        }
        Ok((statement, skip_blank(&self.text, at + len)))
    }

    /// Where a byte of the script is.
    pub(super) fn place(&self, at: usize) -> Place<'_> {
        let at = self.text.floor_char_boundary(at);
        let (before, after) = self.text.split_at(at);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let end = at + after.find('\n').unwrap_or(after.len());
        let lines = before.matches('\n').count() as u64;
        Place {
            line: u64::from(self.first_line) + lines,
            text: self.text.get(start..end).unwrap_or_default().trim_end(),
            column: self.text.get(start..at).unwrap_or_default().chars().count(),
        }
    }
}

/// The first byte from `at` on that belongs to a statement.
pub(super) fn skip_blank(text: &str, mut at: usize) -> usize {
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let skipped = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else {
            let blank = |c: char| c.is_ascii_whitespace() || matches!(c, ';' | '\u{feff}');
            rest.chars().next().filter(|c| blank(*c)).map_or(0, char::len_utf8)
        };
        if skipped == 0 {
            return at;
        }
        at += skipped;
    }
}

/// Replaces `{{scope}} {{priority}} {{timeout}} {{retries}}`, and `{{uuid:x}}` or `{{uuid|x}}` by a fresh id for each `x`
/// (32 hexadecimal digits, so that it can be part of a name). What is unknown stays.
fn fill_placeholders(text: &str, placeholders: &Placeholders) -> Result<String, Failure> {
    let mut ids = HashMap::new();
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        filled.push_str(before);
        let known = behind.split_once("}}").map(|(name, after)| Ok((value_of(name, placeholders, &mut ids)?, after)));
        match known.transpose()? {
            Some((Some(value), after)) => {
                filled.push_str(&value);
                rest = after;
            }
            _ => {
                filled.push_str("{{");
                rest = behind;
            }
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

/// The text with letters or digits in the place of each placeholder, as many as it has: for looking at its grammar.
pub(super) fn mask_placeholders(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once("{{") {
        masked.push_str(before);
        let known = behind.split_once("}}").and_then(|(name, after)| Some((stand_in(name)?, name, after)));
        match known {
            Some((sign, name, after)) => {
                masked.extend(core::iter::repeat_n(sign, name.chars().count() + 4));
                rest = after;
            }
            None => {
                masked.push_str("{{");
                rest = behind;
            }
        }
    }
    masked.push_str(rest);
    masked
}

/// A sign of which the value of a placeholder may be made; `None` if there is no such placeholder.
fn stand_in(name: &str) -> Option<char> {
    match name.trim() {
        "scope" => Some('x'),
        "priority" | "timeout" | "retries" => Some('1'),
        name => name.strip_prefix("uuid")?.starts_with([':', '|']).then_some('x'),
    }
}

fn value_of<'t>(
    name: &'t str,
    placeholders: &Placeholders,
    ids: &mut HashMap<&'t str, String>,
) -> Result<Option<String>, Failure> {
    let name = name.trim();
    Ok(match name {
        "scope" => Some(placeholders.scope.clone()),
        "priority" => Some(placeholders.priority.to_string()),
        "timeout" => Some(placeholders.timeout_s.to_string()),
        "retries" => Some(placeholders.retries.to_string()),
        _ => match name.strip_prefix("uuid").and_then(|rest| rest.strip_prefix([':', '|'])) {
            None => None,
            Some(which) => Some(match ids.get(which) {
                Some(id) => id.clone(),
                None => ids.entry(which).or_insert(fresh_id()?).clone(),
            }),
        },
    })
}

fn fresh_id() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|error| Failure::new(FailureKind::Internal, format!("The system gave no random bytes: {error}")))?;
    Ok(Builder::from_random_bytes(bytes).into_uuid().simple().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholders() -> Placeholders {
        Placeholders { scope: "eu".to_owned(), priority: -3, timeout_s: 60, retries: 2 }
    }

    fn filled(text: &str) -> String {
        fill_placeholders(text, &placeholders()).expect("random bytes")
    }

    #[test]
    fn placeholders_are_replaced_and_unknown_ones_stay() {
        assert_eq!(filled("{{scope}} {{ priority }} {{timeout}}/{{retries}}"), "eu -3 60/2");
        for unknown in ["{{x}}", "{{", "a {{scope", "}}", "{{}}", "{{{{", "{{uuid}}"] {
            assert_eq!(filled(unknown), unknown);
        }
        assert_eq!(filled("{{x}}{{scope}}{{{scope}}"), "{{x}}eu{{{scope}}");
    }

    #[test]
    fn ids_are_the_same_for_the_same_name() {
        let text = filled("{{uuid:a}} {{uuid|a}} {{uuid:b}}");
        let ids: Vec<&str> = text.split(' ').collect();
        assert!(ids[0] == ids[1] && ids[0] != ids[2] && ids[0].len() == 32, "{text}");
        assert_ne!(filled("{{uuid:a}}"), filled("{{uuid:a}}"));
    }

    #[test]
    fn blank_is_what_holds_no_statement() {
        let text = " ;-- a ; b\n/* c; */ ;\tselect";
        assert_eq!(skip_blank(text, 0), text.len() - 6);
        assert_eq!(skip_blank("/* open", 0), 7);
        assert_eq!(skip_blank("-- end", 0), 6);
    }
}
