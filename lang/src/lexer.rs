//! Text to tokens. Code between fences and comments end here: nothing behind this file can take them for syntax.

use unicode_ident::{is_xid_continue, is_xid_start};

use crate::code;
use crate::diagnostic::{DiagnosticBuilder, Diagnostics};
use crate::source::Span;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A line that holds something begins; the span is its indentation.
    Line,
    /// A letter or `_`, then letters, digits, `_`, `-`.
    Word,
    /// ASCII digits.
    Number,
    /// Text between two equal quotes on one line, quotes included.
    Quoted,
    /// Fence, code, fence.
    Code,
    /// A fence and everything behind it: the closing one is missing.
    OpenCode,
    /// One ASCII sign.
    Mark(u8),
    /// Any other character.
    Other,
    /// The end of the file, once, at the end.
    End,
}

/// A piece of the text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Span,
}

/// The tokens of a script.
pub(crate) struct Tokens {
    /// The last one is [`Kind::End`].
    pub(crate) list: Vec<Token>,
    /// From `#` to the end of the line, in order.
    pub(crate) comments: Vec<Span>,
    /// The JSON object at the top, if there is one.
    pub(crate) header: Option<Span>,
}

/// Cuts the script into tokens. Every byte is looked at a fixed number of times.
pub(crate) fn tokens(diagnostics: &mut Diagnostics<'_>) -> Tokens {
    let text = diagnostics.script.text;
    let tokens = Tokens { list: Vec::new(), comments: Vec::new(), header: None };
    let mut lexer = Lexer { text, at: 0, tokens, fresh: true, indent: 0 };
    lexer.eat_mark_of_utf8();
    lexer.header(diagnostics);
    while lexer.token(diagnostics) {}
    lexer.tokens
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    tokens: Tokens,
    /// No token stands on this line yet.
    fresh: bool,
    /// Where this line begins.
    indent: usize,
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

    /// Length of the longest start of `rest` whose characters all fit.
    fn run(&self, fits: impl Fn(char) -> bool) -> usize {
        let rest = self.rest();
        rest.find(|char| !fits(char)).unwrap_or(rest.len())
    }

    fn eat_mark_of_utf8(&mut self) {
        if self.rest().starts_with('\u{feff}') {
            self.at += '\u{feff}'.len_utf8();
            self.indent = self.at;
        }
    }

    /// Reads one token, comment, blank or line break; false at the end.
    fn token(&mut self, diagnostics: &mut Diagnostics<'_>) -> bool {
        let Some(char) = self.peek() else {
            self.push(Kind::End, 0);
            return false;
        };
        match char {
            ' ' | '\t' | '\x0c' => self.at += 1,
            '\n' | '\r' => self.line_break(),
            '#' => self.comment(),
            '`' => self.code(diagnostics),
            '"' | '\'' if self.quote_length().is_some() => self.push(Kind::Quoted, self.quote_length().unwrap_or(1)),
            '0'..='9' => self.push(Kind::Number, self.run(|char| char.is_ascii_digit())),
            _ if begins_word(char) => self.push(Kind::Word, self.run(continues_word)),
            _ if char.is_ascii_graphic() => self.push(Kind::Mark(self.byte(self.at).unwrap_or(b'?')), 1),
            _ => self.push(Kind::Other, char.len_utf8()),
        }
        true
    }

    fn push(&mut self, kind: Kind, length: usize) {
        if self.fresh && kind != Kind::End {
            self.fresh = false;
            self.tokens.list.push(Token { kind: Kind::Line, span: Span::new(self.indent, self.at) });
        }
        let span = Span::new(self.at, self.at + length);
        self.tokens.list.push(Token { kind, span });
        self.at += length;
    }

    fn line_break(&mut self) {
        self.at += 1;
        self.fresh = true;
        self.indent = self.at;
    }

    fn comment(&mut self) {
        let length = self.run(|char| !matches!(char, '\n' | '\r'));
        self.tokens.comments.push(Span::new(self.at, self.at + length));
        self.at += length;
    }

    /// Length of the quoted text that begins here. An apostrophe inside a word is none, nor is a quote nobody closes.
    fn quote_length(&self) -> Option<usize> {
        let quote = self.byte(self.at)?;
        let before = self.at.checked_sub(1).and_then(|at| self.byte(at));
        if before.is_some_and(|byte| !b" \t\r\n(,|=:[!$@".contains(&byte)) {
            return None;
        }
        let line = self.rest().as_bytes().get(1..)?;
        let end = line.iter().position(|byte| *byte == quote || matches!(byte, b'\n' | b'\r'))?;
        (line.get(end) == Some(&quote)).then_some(end + 2)
    }

    /// As many backticks close a fence as opened it; other runs are part of the code.
    fn code(&mut self, diagnostics: &mut Diagnostics<'_>) {
        let fence = self.run(|char| char == '`');
        match self.closing_fence(fence) {
            Some(end) => self.push(Kind::Code, end - self.at),
            None => {
                diagnostics.add(self.open_code(fence));
                self.push(Kind::OpenCode, self.text.len() - self.at);
            }
        }
    }

    /// The byte behind the closing fence.
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

    fn open_code(&self, fence: usize) -> DiagnosticBuilder {
        let opening = Span::new(self.at, self.at + fence);
        let ticks = "`".repeat(fence.min(8));
        DiagnosticBuilder::new(code::OPEN_FENCE, opening, "this code is never closed")
            .label("it begins here and runs to the end of the file")
            .hint(format!("put a line with {ticks} below the last line of the code"))
    }

    /// Older files carry a JSON object at the top; it means nothing to us.
    fn header(&mut self, diagnostics: &mut Diagnostics<'_>) {
        let blank = self.run(char::is_whitespace);
        let start = self.at + blank;
        if self.byte(start) != Some(b'{') {
            return;
        }
        self.at = start;
        let length = json_length(self.rest()).unwrap_or_else(|| {
            let brace = Span::new(start, start + 1);
            let diagnostic =
                DiagnosticBuilder::new(code::BAD_HEADER, brace, "this object at the top of the file is not JSON");
            diagnostics
                .add(diagnostic.hint("older files carry a JSON object here; it means nothing and can be deleted"));
            broken_json_length(self.rest())
        });
        self.tokens.header = Some(Span::new(start, start + length));
        self.at = start + length;
        self.indent = self.at;
    }
}

fn json_length(text: &str) -> Option<usize> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>();
    values.next()?.ok()?;
    Some(values.byte_offset())
}

/// To the end of the line that begins with `}`, or of the first line.
fn broken_json_length(text: &str) -> usize {
    let line_end =
        |from: usize| text.get(from..).and_then(|rest| rest.find(['\n', '\r'])).map_or(text.len(), |at| from + at);
    text.find("\n}").map_or_else(|| line_end(0), |at| line_end(at + 1))
}

/// May a name begin with it?
pub(crate) fn begins_word(char: char) -> bool {
    char == '_' || is_xid_start(char)
}

/// May it stand inside a word?
pub(crate) fn continues_word(char: char) -> bool {
    char == '-' || is_xid_continue(char)
}
