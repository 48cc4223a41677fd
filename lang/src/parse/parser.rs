//! The cursor over a script's tokens, with what parsing collects.

use std::collections::HashSet;

use crate::diagnostics::builder::DiagnosticBuilder;
use crate::diagnostics::list::Diagnostics;
use crate::source::Span;
use crate::syntax::token::{Token, TokenKind};
use crate::syntax::tree::{Block, Layout, Tree};
use crate::text::backquoted;

/// The indentation unit of files without `TAB = …`.
const DEFAULT_UNIT: &str = "    ";

/// Proof that a diagnostic was reported for what could not be parsed.
pub(super) struct Reported;

pub(super) type Parsed<T> = Result<T, Reported>;

pub(super) struct Parser<'a, 't, 'd> {
    pub(super) text: &'a str,
    /// The last one is [`TokenKind::End`]; the cursor never moves past it.
    pub(super) tokens: &'t [Token],
    /// Index of the next token.
    pub(super) position: usize,
    pub(super) diagnostics: &'d mut Diagnostics<'a>,
    pub(super) layout: Layout,
    /// The indentation that the last warning was about.
    pub(super) last_odd_indent: Option<usize>,
    /// Number of loops around the current line.
    pub(super) loop_depth: u32,
    /// Indentation of the current statement, in columns.
    pub(super) statement_indent: usize,
    /// Words of what could not be parsed.
    pub(super) unparsed_words: HashSet<&'a str>,
}

impl<'a, 't, 'd> Parser<'a, 't, 'd> {
    pub(super) fn new(tokens: &'t [Token], diagnostics: &'d mut Diagnostics<'a>) -> Self {
        Self {
            text: diagnostics.script.text,
            tokens,
            position: 0,
            diagnostics,
            layout: Layout { depths: Vec::new(), raw: Vec::new(), unit: DEFAULT_UNIT.to_owned() },
            last_odd_indent: None,
            loop_depth: 0,
            statement_indent: 0,
            unparsed_words: HashSet::new(),
        }
    }

    pub(super) fn into_tree(self, block: Block<'a>) -> Tree<'a> {
        Tree { block, unparsed_words: self.unparsed_words, layout: self.layout }
    }

    /// The token `ahead` places after the next one.
    pub(super) fn peek_nth(&self, ahead: usize) -> Token {
        let end = Token { kind: TokenKind::End, span: Span::new(self.text.len(), self.text.len()) };
        self.tokens.get(self.position + ahead).or(self.tokens.last()).copied().unwrap_or(end)
    }

    pub(super) fn peek(&self) -> Token {
        self.peek_nth(0)
    }

    pub(super) fn kind_nth(&self, ahead: usize) -> TokenKind {
        self.peek_nth(ahead).kind
    }

    pub(super) fn kind(&self) -> TokenKind {
        self.peek().kind
    }

    pub(super) fn next(&mut self) -> Token {
        let token = self.peek();
        if token.kind != TokenKind::End {
            self.position += 1;
        }
        token
    }

    /// The token before the next one, or the next one if it is the first.
    pub(super) fn previous(&self) -> Token {
        self.position.checked_sub(1).and_then(|previous| self.tokens.get(previous)).copied().unwrap_or(self.peek())
    }

    pub(super) fn text_of(&self, token: Token) -> &'a str {
        token.span.of(self.text)
    }

    /// The script from the next token on.
    pub(super) fn remaining_text(&self) -> &'a str {
        self.text.get(self.peek().span.start as usize..).unwrap_or_default()
    }

    pub(super) fn at(&self, kind: TokenKind) -> bool {
        self.kind() == kind
    }

    pub(super) fn at_word(&self, word: &str) -> bool {
        self.at_word_nth(0, word)
    }

    /// The same, so many tokens ahead.
    pub(super) fn at_word_nth(&self, ahead: usize, word: &str) -> bool {
        let token = self.peek_nth(ahead);
        token.kind == TokenKind::Word && self.text_of(token) == word
    }

    /// Consumes the next token if it is of this kind.
    pub(super) fn eat(&mut self, kind: TokenKind) -> Option<Token> {
        self.at(kind).then(|| self.next())
    }

    pub(super) fn at_line_end(&self) -> bool {
        self.kind().ends_line()
    }

    /// Number of tokens from the next one on that can be part of a name, at least `from`.
    pub(super) fn name_parts_ahead(&self, from: usize) -> usize {
        let mut ahead = from;
        while self.kind_nth(ahead).is_name_part() {
            ahead += 1;
        }
        ahead
    }

    /// Inside brackets line breaks mean nothing.
    pub(super) fn skip_line_breaks(&mut self) {
        while self.kind() == TokenKind::LineStart {
            let closing =
                matches!(self.kind_nth(1), TokenKind::CloseParen | TokenKind::CloseBracket | TokenKind::CloseBrace);
            self.start_line(self.loop_depth + u32::from(!closing));
        }
    }

    /// Consumes the start of a line that should be indented by `depth` units, and returns its indentation.
    pub(super) fn start_line(&mut self, depth: u32) -> Span {
        self.layout.depths.push(depth);
        self.next().span
    }

    /// Columns of one unit of indentation.
    pub(super) fn unit_width(&self) -> usize {
        columns(&self.layout.unit, self.tab_width())
    }

    /// Columns of an indentation.
    pub(super) fn indent_width(&self, indent: Span) -> usize {
        columns(indent.of(self.text), self.tab_width())
    }

    /// Columns of a tab: as many as the unit has, unless the unit consists of tabs.
    fn tab_width(&self) -> usize {
        if self.layout.unit.contains('\t') { DEFAULT_UNIT.len() } else { self.layout.unit.len() }
    }

    /// The next token, for messages.
    pub(super) fn describe_next(&self) -> String {
        let token = self.peek();
        match token.kind {
            TokenKind::LineStart => "the end of the line".into(),
            TokenKind::End => "the end of the file".into(),
            TokenKind::Code | TokenKind::UnclosedCode => "code".into(),
            TokenKind::Other if !is_visible(self.text_of(token)) => {
                let number = self.text_of(token).chars().next().map_or(0, u32::from);
                format!("the invisible character U+{number:04X}")
            }
            _ => backquoted(self.text_of(token)),
        }
    }

    /// Where something is missing: after the previous token if the line ends here, else the unexpected token.
    pub(super) fn missing_span(&self) -> Span {
        if self.at_line_end() { self.previous().span.after() } else { self.peek().span }
    }

    pub(super) fn report(&mut self, diagnostic: DiagnosticBuilder) {
        self.diagnostics.add(diagnostic);
    }

    pub(super) fn fail<T>(&mut self, diagnostic: DiagnosticBuilder) -> Parsed<T> {
        self.diagnostics.add(diagnostic);
        Err(Reported)
    }

    /// "expected X, found Y", at the next token.
    pub(super) fn unexpected(&self, code: &'static str, expected: &str) -> DiagnosticBuilder {
        let message = format!("expected {expected}, found {}", self.describe_next());
        DiagnosticBuilder::new(code, self.missing_span(), message)
    }

    /// "expected X", with the bracket that is still open.
    pub(super) fn unclosed(&self, code: &'static str, opening: Token, expected: &str) -> DiagnosticBuilder {
        if self.kind() == TokenKind::End {
            let message = format!("this `{}` is never closed", self.text_of(opening));
            return DiagnosticBuilder::new(code, opening.span, message);
        }
        self.unexpected(code, expected).label_at(opening.span, "the bracket is opened here")
    }
}

fn columns(indent: &str, tab_width: usize) -> usize {
    indent.bytes().map(|byte| if byte == b'\t' { tab_width } else { 1 }).sum()
}

fn is_visible(text: &str) -> bool {
    !text.contains(|char: char| {
        char.is_whitespace() || char.is_control() || matches!(char, '\u{200b}'..='\u{200f}' | '\u{feff}')
    })
}
