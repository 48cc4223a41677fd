//! Lines that people write out of habit from other languages. Each gets one diagnostic that says so, instead of one for
//! every sign in it that means something else here.

use super::{Parser, quoted};
use crate::code;
use crate::diagnostic::DiagnosticBuilder;
use crate::language;
use crate::lexer::Kind;

/// Words that begin Python's statements. They may be the names of steps too, so that the rest of the line decides.
const PYTHON: &[&str] = &[
    "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except", "finally",
    "from", "global", "if", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// What some of them are written for, and how that is said here.
const INSTEAD: &[(&[&str], &str)] = &[
    (
        &["if", "elif", "else"],
        "a script has no conditions: a step decides, and `Result(status=StepStatus.cancel)` ends its call and what follows",
    ),
    (&["try", "except", "finally"], "a step that fails is tried again with `!retries 3`"),
    (&["while"], "a step that answers `Result(status=StepStatus.pending)` is run again: `!every 10s` says how often"),
];

/// Longest line, in bytes, that a hint says again.
pub(super) const MAX_ECHO: usize = 120;

/// What begins a comment elsewhere.
const COMMENTS: &[&str] = &["//", "/*", "--", ";", "%", "\"\"\"", "'''"];

/// Does a comment of another language begin here?
pub(super) fn begins_comment(text: &str) -> bool {
    COMMENTS.iter().any(|sign| text.starts_with(sign))
}

impl Parser<'_, '_, '_> {
    /// At the start of a line: what to say if it is of another language.
    pub(super) fn foreign(&self, width: usize) -> Option<DiagnosticBuilder> {
        let first = self.peek();
        let text = self.text.get(first.span.start as usize..).unwrap_or_default();
        if begins_comment(text) {
            let diagnostic = DiagnosticBuilder::new(code::NOT_UNDERSTOOD, first.span, "this line is no statement");
            return Some(diagnostic.hint("a comment begins with `#`"));
        }
        let word = self.text_of(first);
        if word == "foreach" && self.is_for_each() {
            let diagnostic = DiagnosticBuilder::new(code::BAD_LOOP, first.span, "a loop begins with `for`");
            return Some(diagnostic.hint(format!("`for {} in pipe():`", self.text_of(self.peek_at(1)))));
        }
        if first.kind != Kind::Word || !PYTHON.contains(&word) || !self.is_python_line(width) {
            return None;
        }
        let message = format!("{} begins a line of Python, and this is a script", quoted(word));
        let diagnostic = DiagnosticBuilder::new(code::NOT_UNDERSTOOD, first.span, message);
        if let Some(import) = self.python_import() {
            return Some(diagnostic.hint(import));
        }
        let instead = INSTEAD.iter().find(|(words, _)| words.contains(&word)).map(|(_, hint)| *hint);
        Some(diagnostic.hint(
            instead.unwrap_or("Python stands in the file of a step, or between fences below the step's function"),
        ))
    }

    /// `foreach x in`
    fn is_for_each(&self) -> bool {
        self.peek_at(1).kind == Kind::Word && matches!(self.text_of(self.peek_at(2)), "in" | "of")
    }

    /// For `from x import f`: the import it means.
    fn python_import(&self) -> Option<String> {
        let line = self.line_text();
        let (module, names) = line.strip_prefix("from ")?.split_once(" import ")?;
        let plain = line.len() <= MAX_ECHO && !line.contains('(') && !module.ends_with(".py");
        plain.then(|| format!("`import python ({}) {}.py`", names.trim(), module.trim().replace('.', "/")))
    }

    /// The text from here to the end of the line.
    pub(super) fn line_text(&self) -> &str {
        let rest = self.text.get(self.peek().span.start as usize..).unwrap_or_default();
        rest.lines().next().unwrap_or_default().trim_end()
    }

    /// At a word of Python: is the line none of ours?
    fn is_python_line(&self, width: usize) -> bool {
        let mut ahead = 1;
        while self.is_name_part(ahead) {
            ahead += 1;
        }
        let deeper = |ahead| self.peek_at(ahead).kind == Kind::Line && self.width(self.peek_at(ahead).span) > width;
        match self.peek_at(ahead).kind {
            Kind::Line | Kind::End => !deeper(ahead),
            Kind::Mark(b':') if deeper(ahead + 1) => !self.step_begins(ahead + 2),
            Kind::Mark(b':') => matches!(self.peek_at(ahead + 1).kind, Kind::Line | Kind::End),
            Kind::Mark(b'=') if self.peek_at(ahead + 1).kind != Kind::Mark(b'=') => false,
            _ => self.ends_with_colon(ahead) || self.is_word("from"),
        }
    }

    fn is_name_part(&self, ahead: usize) -> bool {
        matches!(self.peek_at(ahead).kind, Kind::Word | Kind::Number | Kind::Quoted | Kind::Mark(b'-'))
    }

    /// Do a step's lines begin at this token: a language, or a setting?
    fn step_begins(&self, ahead: usize) -> bool {
        let first = self.peek_at(ahead);
        matches!(first.kind, Kind::Mark(b'!' | b'$' | b'@')) || language::find(self.text_of(first)).is_some()
    }

    fn ends_with_colon(&self, mut ahead: usize) -> bool {
        while !matches!(self.peek_at(ahead + 1).kind, Kind::Line | Kind::End) {
            ahead += 1;
        }
        self.peek_at(ahead).kind == Kind::Mark(b':')
    }

    /// `tab = '  '` and `TAB '  '`: what `TAB = '  '` was meant to be.
    pub(super) fn is_misspelt_tab(&self) -> bool {
        let word = self.text_of(self.peek());
        let equals = self.peek_at(1).kind == Kind::Mark(b'=');
        let value = self.peek_at(if equals { 2 } else { 1 });
        let blank = super::name::raw_unquoted(self.text_of(value)).replace("\\t", "\t").trim().is_empty();
        word.eq_ignore_ascii_case("tab") && value.kind == Kind::Quoted && blank && (word != "TAB" || !equals)
    }
}
