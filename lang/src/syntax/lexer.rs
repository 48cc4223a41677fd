//! Text to tokens. Code between fences and comments are recognised here: no later stage can take them for syntax.

use super::token::{Token, TokenKind, Tokens};
use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::codes;
use crate::diagnostics::list::Diagnostics;
use crate::source::Span;
use crate::text::{is_word_continue, is_word_start};

/// Splits the script into tokens. Every byte is read a bounded number of times.
pub(crate) fn tokens(diagnostics: &mut Diagnostics<'_>) -> Tokens {
    let text = diagnostics.script.text;
    let tokens = Tokens { list: Vec::new(), comments: Vec::new(), header: None };
    let mut lexer = Lexer { text, at: 0, tokens, at_line_start: true, line_start: 0, open_brackets: 0 };
    lexer.skip_byte_order_mark();
    lexer.header(diagnostics);
    while lexer.token(diagnostics) {}
    lexer.tokens
}

/// Most backticks that a hint repeats.
const MAX_SHOWN_TICKS: usize = 8;

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Tokens,
    /// No token of this line has been read yet.
    at_line_start: bool,
    /// Byte at which this line begins.
    line_start: usize,
    /// Brackets that are open, as far as they match: inside them, a backslash escapes a double quote.
    open_brackets: usize,
}

impl Lexer<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.as_bytes().get(at).copied()
    }

    /// Number of bytes at the start of the rest whose characters all fit.
    fn length_while(&self, fits: impl Fn(char) -> bool) -> usize {
        let rest = self.rest();
        rest.find(|char| !fits(char)).unwrap_or(rest.len())
    }

    fn skip_byte_order_mark(&mut self) {
        if self.rest().starts_with('\u{feff}') {
            self.at += '\u{feff}'.len_utf8();
            self.line_start = self.at;
        }
    }

    /// Reads one token, comment, blank or line break; returns false at the end.
    fn token(&mut self, diagnostics: &mut Diagnostics<'_>) -> bool {
        let Some(char) = self.peek() else {
            self.push(TokenKind::End, 0);
            return false;
        };
        match char {
            ' ' | '\t' | '\x0c' => self.at += 1,
            '\n' | '\r' => self.line_break(),
            '#' => self.comment(),
            '`' => self.code(diagnostics),
            '"' | '\'' if self.quote_length().is_some() => {
                self.push(TokenKind::Quoted, self.quote_length().unwrap_or(1));
            }
            '0'..='9' => self.push(TokenKind::Number, self.length_while(|char| char.is_ascii_digit())),
            _ if is_word_start(char) => self.push(TokenKind::Word, self.length_while(is_word_continue)),
            _ if char.is_ascii_graphic() => self.sign(char),
            _ => self.push(TokenKind::Other, char.len_utf8()),
        }
        true
    }

    fn push(&mut self, kind: TokenKind, length: usize) {
        if self.at_line_start && kind != TokenKind::End {
            self.at_line_start = false;
            self.tokens.list.push(Token { kind: TokenKind::LineStart, span: Span::new(self.line_start, self.at) });
        }
        let span = Span::new(self.at, self.at + length);
        self.tokens.list.push(Token { kind, span });
        self.at += length;
    }

    fn sign(&mut self, sign: char) {
        match sign {
            '(' | '[' | '{' => self.open_brackets += 1,
            ')' | ']' | '}' => self.open_brackets = self.open_brackets.saturating_sub(1),
            _ => {}
        }
        self.push(TokenKind::from_sign(sign), 1);
    }

    fn line_break(&mut self) {
        self.at += 1;
        self.at_line_start = true;
        self.line_start = self.at;
    }

    fn comment(&mut self) {
        let length = self.length_while(|char| !matches!(char, '\n' | '\r'));
        self.tokens.comments.push(Span::new(self.at, self.at + length));
        self.at += length;
    }

    /// Length of the quoted text that begins here; `None` for an apostrophe inside a word and for a quote that is never closed.
    fn quote_length(&self) -> Option<usize> {
        let quote = self.byte(self.at)?;
        let before = self.at.checked_sub(1).and_then(|at| self.byte(at));
        if before.is_some_and(|byte| !b" \t\r\n(,|=:.[{!$@".contains(&byte)) {
            return None;
        }
        let line = self.rest().as_bytes().get(1..)?;
        let has_escapes = quote == b'"' && self.open_brackets > 0;
        let mut escaped = false;
        let end = line.iter().position(|byte| {
            let ends = !escaped && *byte == quote;
            escaped = has_escapes && !escaped && *byte == b'\\';
            ends || matches!(byte, b'\n' | b'\r')
        })?;
        (line.get(end) == Some(&quote)).then_some(end + 2)
    }

    /// The closing fence has as many backticks as the opening one; shorter and longer runs are part of the code.
    fn code(&mut self, diagnostics: &mut Diagnostics<'_>) {
        let fence = self.length_while(|char| char == '`');
        match self.closing_fence(fence) {
            Some(end) => self.push(TokenKind::Code, end - self.at),
            None => {
                diagnostics.add(self.unclosed_code(fence));
                self.push(TokenKind::UnclosedCode, self.text.len() - self.at);
            }
        }
    }

    /// The byte after the closing fence.
    fn closing_fence(&self, fence: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let mut at = self.at + fence;
        while let Some(skip) = bytes.get(at..)?.iter().position(|byte| *byte == b'`') {
            let start = at + skip;
            let length = bytes.get(start..)?.iter().take_while(|byte| **byte == b'`').count();
            at = start + length;
            if length == fence {
                return Some(at);
            }
        }
        None
    }

    fn unclosed_code(&self, fence: usize) -> DiagnosticBuilder {
        let opening = Span::new(self.at, self.at + fence);
        let ticks = "`".repeat(fence.min(MAX_SHOWN_TICKS));
        DiagnosticBuilder::new(codes::UNCLOSED_CODE, opening, "this code is never closed")
            .label("it begins here and extends to the end of the file")
            .hint(format!("add a line with {ticks} below the last line of the code"))
    }

    /// Older files begin with a JSON object, which has no meaning any more.
    fn header(&mut self, diagnostics: &mut Diagnostics<'_>) {
        let blank = self.length_while(char::is_whitespace);
        let start = self.at + blank;
        if self.byte(start) != Some(b'{') {
            return;
        }
        self.at = start;
        let length = json_length(self.rest()).unwrap_or_else(|| {
            let brace = Span::new(start, start + 1);
            let diagnostic =
                DiagnosticBuilder::new(codes::INVALID_HEADER, brace, "the object at the top of the file is not JSON");
            diagnostics
                .add(diagnostic.hint("older files begin with a JSON object; it has no effect, so you can delete it"));
            broken_json_length(self.rest())
        });
        self.tokens.header = Some(Span::new(start, start + length));
        self.at = start + length;
        self.line_start = self.at;
    }
}

fn json_length(text: &str) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}

/// Up to the end of the line that begins with `}`, or else of the first line.
fn broken_json_length(text: &str) -> usize {
    let line_end =
        |from: usize| text.get(from..).and_then(|rest| rest.find(['\n', '\r'])).map_or(text.len(), |at| from + at);
    text.find("\n}").map_or_else(|| line_end(0), |at| line_end(at + 1))
}
