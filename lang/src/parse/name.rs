//! Names of steps, pipes and results.

use std::borrow::Cow;

use super::parser::{Parsed, Parser};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::source::Span;
use crate::syntax::token::TokenKind;
use crate::syntax::tree::Name;
use crate::text::{backquoted, is_word_continue, is_word_start, unquoted};

/// Longest name, in bytes. Names appear in tables, logs and dashboards.
const MAX_NAME: usize = 200;

impl<'a> Parser<'a, '_, '_> {
    /// Words, numbers and dashes side by side on one line, up to the word `stop`; or one quoted text. `None` if no name
    /// begins here.
    pub(super) fn name(&mut self, stop: &str) -> Option<Name<'a>> {
        let first = self.peek();
        match first.kind {
            TokenKind::Word if self.text_of(first) == stop => None,
            TokenKind::Word => {
                self.next();
                self.name_parts(stop);
                Some(self.plain_name(first.span.to(self.previous().span)))
            }
            TokenKind::Quoted => {
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
            TokenKind::Number | TokenKind::Minus => self.invalid_start(),
            _ => self.unexpected(code, what),
        };
        self.fail(diagnostic)
    }

    fn invalid_start(&self) -> DiagnosticBuilder {
        let message = format!("a name cannot begin with {}", self.describe_next());
        let diagnostic = DiagnosticBuilder::new(codes::INVALID_NAME, self.peek().span, message);
        match self.at(TokenKind::Minus) {
            true => diagnostic.hint("a script has no list items; steps run one after another in a pipe: `p = a | b`"),
            false => diagnostic.hint("begin it with a letter or `_`"),
        }
    }

    fn name_parts(&mut self, stop: &str) {
        while matches!(self.kind(), TokenKind::Word | TokenKind::Number | TokenKind::Minus)
            && !self.at_word(stop)
            && !self.at_arrow()
        {
            self.next();
        }
    }

    /// `->`, which other systems write between steps.
    fn at_arrow(&self) -> bool {
        let end = self.peek().span.end;
        self.at(TokenKind::Minus) && self.text_of(self.peek_nth(1)) == ">" && self.peek_nth(1).span.start == end
    }

    fn plain_name(&mut self, span: Span) -> Name<'a> {
        let raw = span.of(self.text);
        self.check_length(raw, span);
        if !raw.contains("  ") && !raw.contains(['\t', '\x0c']) {
            return Name { text: Cow::Borrowed(raw), span };
        }
        let text = raw.split_whitespace().collect::<Vec<_>>().join(" ");
        let diagnostic = DiagnosticBuilder::new(codes::SPACES_IN_NAME, span, "this name has several spaces in a row");
        self.report(diagnostic.hint(format!("it is read as {}", backquoted(&text))));
        Name { text: Cow::Owned(text), span }
    }

    fn quoted_name(&mut self, span: Span) -> Name<'a> {
        let text = unquoted(span.of(self.text));
        let mut chars = text.chars();
        let good = chars.next().is_some_and(is_word_start) && chars.all(|char| char == ' ' || is_word_continue(char));
        if !good {
            self.bad_name(text, span);
        }
        self.check_length(text, span);
        Name { text: Cow::Borrowed(text), span }
    }

    /// An invalid name is reported once: its uses are not reported as unknown.
    fn bad_name(&mut self, text: &'a str, span: Span) {
        self.report(invalid_name(text, span));
        self.unparsed_words.extend(text.split(' '));
    }

    /// A name that is too long is also reported once.
    fn check_length(&mut self, text: &'a str, span: Span) {
        if text.len() > MAX_NAME {
            let message = format!("this name is longer than {MAX_NAME} bytes");
            self.report(DiagnosticBuilder::new(codes::INVALID_NAME, span, message));
            self.unparsed_words.extend(text.split(' '));
        }
    }

    /// After a name at the start of a line: if the next sign was meant to be part of the name, the intended name, so that
    /// its step is still parsed.
    pub(super) fn recover_name(&mut self, name: &Name<'a>) -> Option<Name<'a>> {
        let adjacent = self.peek().span.start == name.span.end;
        let fits = match self.kind() {
            TokenKind::Equals
            | TokenKind::Colon
            | TokenKind::OpenParen
            | TokenKind::CloseParen
            | TokenKind::OpenBracket
            | TokenKind::CloseBracket
            | TokenKind::Bar
            | TokenKind::Comma => false,
            TokenKind::Sign => !["\"", "'"].contains(&self.text_of(self.peek())),
            kind => kind.is_sign() || kind == TokenKind::Other,
        };
        if !(adjacent && fits) {
            return None;
        }
        while !self.at_line_end() && !matches!(self.kind(), TokenKind::Colon | TokenKind::Equals | TokenKind::OpenParen)
        {
            self.next();
        }
        let span = name.span.to(self.previous().span);
        let text = span.of(self.text);
        self.bad_name(text, span);
        Some(Name { text: Cow::Borrowed(text), span })
    }
}

fn invalid_name(text: &str, span: Span) -> DiagnosticBuilder {
    let bad = text.chars().find(|char| *char != ' ' && !is_word_continue(*char));
    let message = match bad {
        Some(char) => format!("`{char}` cannot be part of a name"),
        None => "this cannot be a name".into(),
    };
    let better: String =
        text.trim().chars().map(|char| if char == ' ' || is_word_continue(char) { char } else { '_' }).collect();
    let fits = better.chars().next().is_some_and(is_word_start) && better.len() <= MAX_NAME;
    let rule = "a name is a letter or `_`, then letters, digits, `_`, `-` and single spaces";
    DiagnosticBuilder::new(codes::INVALID_NAME, span, message).hint(if fits {
        format!("{rule}: {}", backquoted(&better))
    } else {
        rule.into()
    })
}
