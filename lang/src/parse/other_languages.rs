//! Lines of other languages, which people write out of habit. Each gets one diagnostic that says so, instead of one for each
//! sign in it that means something else here.

use super::parser::Parser;
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::language;
use crate::syntax::token::TokenKind;
use crate::text::backquoted;

/// Words that begin statements in Python. They may also be names of steps, so the rest of the line decides.
const PYTHON: &[&str] = &[
    "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except", "finally",
    "from", "global", "if", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// The purpose of some of them, and how to achieve it here.
const INSTEAD: &[(&[&str], &str)] = &[
    (
        &["if", "elif", "else"],
        "a script has no conditions: let a step decide; `Result(status=StepStatus.cancel)` ends its call and everything after it",
    ),
    (
        &["try", "except"],
        "`!retries 3` retries a step that fails, `!on_failure notify` calls another one, `finally:` at the top level runs at the end",
    ),
    (&["finally"], "`finally:` and an indented block below it, at the top level, run when the run ends"),
    (&["while"], "a step that returns `Result(status=StepStatus.pending)` runs again; `!every 10s` sets the interval"),
];

/// Longest line, in bytes, that a hint quotes.
pub(super) const MAX_QUOTED: usize = 120;

/// What begins a comment in other languages.
const COMMENTS: &[&str] = &["//", "/*", "--", ";", "%", "\"\"\"", "'''"];

/// Returns whether the text begins with a comment of another language.
pub(super) fn begins_comment(text: &str) -> bool {
    COMMENTS.iter().any(|sign| text.starts_with(sign))
}

impl Parser<'_, '_, '_> {
    /// At the start of a line: the diagnostic if the line is of another language.
    pub(super) fn other_language(&self, width: usize) -> Option<DiagnosticBuilder> {
        let first = self.peek();
        if begins_comment(self.remaining_text()) {
            let diagnostic = DiagnosticBuilder::new(codes::NOT_UNDERSTOOD, first.span, "this line is not a statement");
            return Some(diagnostic.hint("a comment begins with `#`"));
        }
        let word = self.text_of(first);
        if word == "foreach" && self.is_for_each() {
            let diagnostic = DiagnosticBuilder::new(codes::INVALID_LOOP, first.span, "a loop begins with `for`");
            return Some(diagnostic.hint(format!("`for {} in pipe():`", self.text_of(self.peek_nth(1)))));
        }
        if first.kind != TokenKind::Word || !PYTHON.contains(&word) || !self.is_python_line(width) {
            return None;
        }
        let message = format!("{} begins a Python statement, but this is a script", backquoted(word));
        let diagnostic = DiagnosticBuilder::new(codes::NOT_UNDERSTOOD, first.span, message);
        if let Some(import) = self.python_import() {
            return Some(diagnostic.hint(import));
        }
        let instead = INSTEAD.iter().find(|(words, _)| words.contains(&word)).map(|(_, hint)| *hint);
        Some(
            diagnostic.hint(
                instead.unwrap_or("put Python into the file of a step, or between fences below the step's function"),
            ),
        )
    }

    /// `foreach x in`
    fn is_for_each(&self) -> bool {
        self.kind_nth(1) == TokenKind::Word && matches!(self.text_of(self.peek_nth(2)), "in" | "of")
    }

    /// For `from x import f`: the same import as scripts write it.
    fn python_import(&self) -> Option<String> {
        let line = self.line_text();
        let (module, names) = line.strip_prefix("from ")?.split_once(" import ")?;
        let plain = line.len() <= MAX_QUOTED && !line.contains('(') && !module.ends_with(".py");
        plain.then(|| format!("`import python ({}) {}.py`", names.trim(), module.trim().replace('.', "/")))
    }

    /// The text from here to the end of the line.
    pub(super) fn line_text(&self) -> &str {
        self.remaining_text().lines().next().unwrap_or_default().trim_end()
    }

    /// At a word of Python: returns whether the line is Python and not one of ours.
    fn is_python_line(&self, width: usize) -> bool {
        let ahead = self.name_parts_ahead(1);
        let deeper = |ahead| {
            self.kind_nth(ahead) == TokenKind::LineStart && self.indent_width(self.peek_nth(ahead).span) > width
        };
        match self.kind_nth(ahead) {
            kind if kind.ends_line() => !deeper(ahead),
            TokenKind::Colon if deeper(ahead + 1) => !self.step_begins(ahead + 2),
            TokenKind::Colon => self.kind_nth(ahead + 1).ends_line(),
            TokenKind::Equals if self.kind_nth(ahead + 1) != TokenKind::Equals => false,
            _ => self.ends_with_colon(ahead) || self.at_word("from"),
        }
    }

    /// Returns whether the lines of a step, a language or a setting, begin at this token.
    fn step_begins(&self, ahead: usize) -> bool {
        let first = self.peek_nth(ahead);
        first.kind.begins_setting() || language::find(self.text_of(first)).is_some()
    }

    fn ends_with_colon(&self, mut ahead: usize) -> bool {
        while !self.kind_nth(ahead + 1).ends_line() {
            ahead += 1;
        }
        self.kind_nth(ahead) == TokenKind::Colon
    }
}
