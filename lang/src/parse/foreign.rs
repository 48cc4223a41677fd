//! Lines that people write out of habit from other languages. Each gets one complaint that says so, instead of one for
//! every sign in it that means something else here.

use super::{Parser, quoted};
use crate::code;
use crate::complaint::Draft;
use crate::language;
use crate::lexer::Kind;

/// Words that begin Python's statements. They may be the names of steps too, so that the rest of the line decides.
const PYTHON: &[&str] = &[
    "assert", "async", "await", "break", "class", "continue", "def", "del", "elif", "else", "except", "finally",
    "from", "global", "if", "pass", "raise", "return", "try", "while", "with", "yield",
];

/// What begins a comment elsewhere.
const COMMENTS: &[&str] = &["//", "/*", "--", ";", "%", "\"\"\"", "'''"];

impl Parser<'_, '_, '_> {
    /// At the start of a line: what to say if it is of another language.
    pub(super) fn foreign(&self, width: usize) -> Option<Draft> {
        let first = self.peek();
        let text = self.text.get(first.span.start as usize..).unwrap_or_default();
        if COMMENTS.iter().any(|sign| text.starts_with(sign)) {
            let draft = Draft::new(code::NOT_UNDERSTOOD, first.span, "this line is no statement");
            return Some(draft.hint("a comment begins with `#`"));
        }
        let word = self.text_of(first);
        if first.kind != Kind::Word || !PYTHON.contains(&word) || !self.is_python_line(width) {
            return None;
        }
        let message = format!("{} begins a line of Python, and this is a script", quoted(word));
        let draft = Draft::new(code::NOT_UNDERSTOOD, first.span, message);
        Some(draft.hint("Python stands in the file of a step, or between fences below the step's function"))
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
