//! Names of steps, pipes and results.

use std::borrow::Cow;

use super::{Parsed, Parser, quoted};
use crate::code;
use crate::diagnostic::DiagnosticBuilder;
use crate::lexer::{Kind, begins_word, continues_word};
use crate::source::Span;
use crate::tree::Name;

/// Longest name, in bytes. Names go into tables, logs and dashboards.
const MAX_NAME: usize = 200;

impl<'a> Parser<'a, '_, '_> {
    /// Words, numbers and dashes side by side on one line, up to the word `stop`; or one quoted text. `None` if no name
    /// begins here.
    pub(super) fn name(&mut self, stop: &str) -> Option<Name<'a>> {
        let first = self.peek();
        match first.kind {
            Kind::Word if self.text_of(first) == stop => None,
            Kind::Word => {
                self.next();
                self.name_parts(stop);
                Some(self.plain_name(first.span.to(self.last().span)))
            }
            Kind::Quoted => {
                self.next();
                Some(self.quoted_name(first.span))
            }
            _ => None,
        }
    }

    /// A name, or a diagnostic that one is missing here.
    pub(super) fn expect_name(&mut self, code: &'static str, what: &str, stop: &str) -> Parsed<Name<'a>> {
        if let Some(name) = self.name(stop) {
            return Ok(name);
        }
        let diagnostic = match self.kind() {
            Kind::Number | Kind::Mark(b'-') => self.bad_beginning(),
            _ => self.unexpected(code, what),
        };
        self.fail(diagnostic)
    }

    fn bad_beginning(&self) -> DiagnosticBuilder {
        let message = format!("a name cannot begin with {}", self.found());
        let diagnostic = DiagnosticBuilder::new(code::BAD_NAME, self.peek().span, message);
        match self.is_mark(b'-') {
            true => {
                diagnostic.hint("lines have no dash in front; steps run one behind the other in a pipe: `p = a | b`")
            }
            false => diagnostic.hint("begin it with a letter or `_`"),
        }
    }

    fn name_parts(&mut self, stop: &str) {
        while matches!(self.kind(), Kind::Word | Kind::Number | Kind::Mark(b'-'))
            && !self.is_word(stop)
            && !self.at_arrow()
        {
            self.next();
        }
    }

    /// `->`, which stands between steps elsewhere.
    fn at_arrow(&self) -> bool {
        let end = self.peek().span.end;
        self.is_mark(b'-') && self.text_of(self.peek_at(1)) == ">" && self.peek_at(1).span.start == end
    }

    fn plain_name(&mut self, span: Span) -> Name<'a> {
        let raw = span.of(self.text);
        self.check_length(raw, span);
        if !raw.contains("  ") && !raw.contains(['\t', '\x0c']) {
            return Name { text: Cow::Borrowed(raw), span };
        }
        let text = raw.split_whitespace().collect::<Vec<_>>().join(" ");
        let diagnostic = DiagnosticBuilder::new(code::SPACES_IN_NAME, span, "this name has several spaces in a row");
        self.report(diagnostic.hint(format!("it is read as {}", quoted(&text))));
        Name { text: Cow::Owned(text), span }
    }

    fn quoted_name(&mut self, span: Span) -> Name<'a> {
        let text = unquoted(span.of(self.text));
        let mut chars = text.chars();
        let good = chars.next().is_some_and(begins_word) && chars.all(|char| char == ' ' || continues_word(char));
        if !good {
            self.bad_name(text, span);
        }
        self.check_length(text, span);
        Name { text: Cow::Borrowed(text), span }
    }

    /// A name that cannot be one is not looked for, and not missed.
    fn bad_name(&mut self, text: &'a str, span: Span) {
        self.report(bad_name(text, span));
        self.lost.extend(text.split(' '));
    }

    /// A name that is too long is not missed either: once is enough to see it.
    fn check_length(&mut self, text: &'a str, span: Span) {
        if text.len() > MAX_NAME {
            let message = format!("this name is longer than {MAX_NAME} bytes");
            self.report(DiagnosticBuilder::new(code::BAD_NAME, span, message));
            self.lost.extend(text.split(' '));
        }
    }

    /// Behind a name at the start of a line: is the next sign one that somebody took for a part of the name? Then the name
    /// is taken as meant, so that its step is still read.
    pub(super) fn rest_of_bad_name(&mut self, name: &Name<'a>) -> Option<Name<'a>> {
        let glued = self.peek().span.start == name.span.end;
        let fits = match self.kind() {
            Kind::Mark(mark) => !b"=:(|#,)[]`\"'".contains(&mark),
            Kind::Other => true,
            _ => false,
        };
        if !(glued && fits) {
            return None;
        }
        while !self.at_line_end() && !matches!(self.kind(), Kind::Mark(b':' | b'=' | b'(')) {
            self.next();
        }
        let span = name.span.to(self.last().span);
        let text = span.of(self.text);
        self.bad_name(text, span);
        Some(Name { text: Cow::Borrowed(text), span })
    }
}

fn bad_name(text: &str, span: Span) -> DiagnosticBuilder {
    let bad = text.chars().find(|char| *char != ' ' && !continues_word(*char));
    let message = match bad {
        Some(char) => format!("`{char}` cannot be part of a name"),
        None => "this cannot be a name".into(),
    };
    let better: String =
        text.trim().chars().map(|char| if char == ' ' || continues_word(char) { char } else { '_' }).collect();
    let fits = better.chars().next().is_some_and(begins_word) && better.len() <= MAX_NAME;
    let rule = "a name is a letter or `_`, then letters, digits, `_`, `-` and single spaces";
    DiagnosticBuilder::new(code::BAD_NAME, span, message).hint(if fits {
        format!("{rule}: {}", quoted(&better))
    } else {
        rule.into()
    })
}

/// Text without its first and last character if these are quotes.
pub(super) fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).map_or(text, str::trim)
}

/// Like [`unquoted`], with the blanks inside kept.
pub(super) fn raw_unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}
