//! The text of a SQL step, and positions in it.

use bue_model::{Bundle, Failure, FailureKind};
use serde::{Deserialize, Serialize};

use super::placeholders::{Placeholders, fill_placeholders};

/// Bytes of a step's statements at most. To split them takes a hundred times the memory.
pub(crate) const MAX_TEXT: usize = 2 * 1024 * 1024;

/// Why a longer text is refused, and what to do.
pub(crate) const TOO_LONG: &str =
    "the SQL of a step has at most 2 MiB; pass rows as an input instead of writing them into statements";

/// A step's statements.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqlText {
    /// With its placeholders filled in.
    pub text: String,
    /// The file that contains them.
    file: String,
    /// The line of that file on which the text begins.
    first_line: u32,
}

/// A position in a text, as a person finds it.
struct Position<'a> {
    /// Line of the user's file.
    line: u64,
    /// The line's text.
    text: &'a str,
    /// Characters before the position.
    column: usize,
}

impl SqlText {
    /// The entry of a bundle.
    ///
    /// # Errors
    /// A bundle without its entry, text that is not UTF-8 or has more than 2 MiB, and no random bits for an id.
    pub fn new(bundle: &Bundle, placeholders: &Placeholders) -> Result<Self, Failure> {
        let bad_code = |reason: &str| Failure::new(FailureKind::BadCode, format!("{}: {reason}", bundle.entry));
        let content = bundle.entry_content().ok_or_else(|| bad_code("the step's bundle does not contain it"))?;
        if content.len() > MAX_TEXT {
            return Err(bad_code(TOO_LONG));
        }
        let text = core::str::from_utf8(content).map_err(|_| bad_code("SQL must be UTF-8 text, but this is not"))?;
        let text = fill_placeholders(text, placeholders)?;
        Ok(Self { text, file: bundle.entry.clone(), first_line: bundle.first_line })
    }

    /// Returns a failure that shows the line of this byte.
    #[must_use]
    pub fn located(&self, kind: FailureKind, what: &str, at: usize) -> Failure {
        let position = self.position(at);
        let excerpt: String = position.text.chars().skip(position.column.saturating_sub(60)).take(120).collect();
        let indent = " ".repeat(position.column.min(60));
        let message = format!("{}, line {}: {what}\n    {excerpt}\n    {indent}^", self.file, position.line);
        Failure::new(kind, message)
    }

    fn position(&self, at: usize) -> Position<'_> {
        let at = self.text.floor_char_boundary(at);
        let (before, after) = self.text.split_at(at);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let end = at + after.find('\n').unwrap_or(after.len());
        let lines = before.matches('\n').count() as u64;
        Position {
            line: u64::from(self.first_line) + lines,
            text: self.text.get(start..end).unwrap_or_default().trim_end(),
            column: self.text.get(start..at).unwrap_or_default().chars().count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bue_model::SourceFile;
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_text_over_the_limit_is_refused() {
        let text = |len: usize| {
            let files = vec![SourceFile { path: "x.sql".into(), content: Bytes::from(vec![b';'; len]) }];
            let bundle = Bundle { entry: "x.sql".into(), first_line: 1, files, ..Bundle::default() };
            SqlText::new(&bundle, &Placeholders::default())
        };
        assert!(text(MAX_TEXT).is_ok());
        let refused = text(MAX_TEXT + 1).expect_err("too long");
        assert!(
            refused.kind == FailureKind::BadCode && refused.message.contains("x.sql: the SQL of a step has at most")
        );
    }
}
