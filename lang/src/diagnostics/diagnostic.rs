//! A diagnostic as it is reported.

use std::sync::Arc;

use serde::Serialize;

use crate::source::{Position, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The script has no plan.
    Error,
    /// The script has a plan, but perhaps not the intended one.
    Warning,
}

/// A mistake in a script, or in a file that its steps use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// `E0012` or `W0001`; a code never changes its meaning. [`explain`](crate::explain) has a page on each.
    pub code: &'static str,
    /// Whether the script can have a plan.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// The file with the mistake: the script, or a file that a step uses.
    pub file: String,
    /// Where in `file`. The first label is the mistake itself, further ones show related places. Never empty.
    pub labels: Vec<Label>,
    /// The text of `file`, unless that is the script.
    #[serde(skip)]
    pub file_text: Option<Arc<str>>,
    /// Where the script names `file`, unless that is the script.
    pub used_at: Option<Label>,
    /// What to write instead.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// Line and column of the mistake.
    #[must_use]
    pub fn position(&self) -> Position {
        self.labels.first().map_or(Position { line: 1, column: 1 }, |label| label.start)
    }

    /// The first byte of the script that it is about.
    pub(crate) fn script_offset(&self) -> u32 {
        self.used_at.as_ref().or(self.labels.first()).map_or(0, |label| label.span.start)
    }

    /// Returns whether the script has no plan because of it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// A piece of a file, with a note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Label {
    /// In bytes.
    pub span: Span,
    /// Position of its first character.
    pub start: Position,
    /// Position after its last character.
    pub end: Position,
    /// The note; may be empty.
    pub text: String,
}
